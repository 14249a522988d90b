package h264

import (
	"errors"
	"fmt"
)

// ErrAVCC is wrapped by the errors of ParseAVCC and AVCC.AnnexB.
var ErrAVCC = errors.New("malformed length-prefixed H.264")

// AVCC is an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1), which files in the manner of MP4 have in place of start codes.
type AVCC struct {
	// LengthSize is how many bytes say the length of a NAL unit: 1, 2 or 4.
	LengthSize int
	// Headers are the parameter sets, as an Annex B byte stream.
	Headers []byte
}

// IsAVCC tells such a record from an Annex B byte stream, which begins with a start code.
func IsAVCC(b []byte) bool { return len(b) >= 7 && b[0] == 1 }

// ParseAVCC reads a record. It keeps no part of b.
func ParseAVCC(b []byte) (AVCC, error) {
	if !IsAVCC(b) {
		return AVCC{}, fmt.Errorf("%w: no configuration record", ErrAVCC)
	}
	c := AVCC{LengthSize: int(b[4]&3) + 1}
	if c.LengthSize == 3 {
		return AVCC{}, fmt.Errorf("%w: lengths of 3 bytes", ErrAVCC)
	}
	rest := b[5:]
	for _, mask := range []byte{0x1f, 0xff} { // sequence parameter sets, then picture parameter sets
		if len(rest) == 0 {
			return AVCC{}, fmt.Errorf("%w: the record is cut short", ErrAVCC)
		}
		count := int(rest[0] & mask)
		rest = rest[1:]
		for range count {
			if len(rest) < 2 {
				return AVCC{}, fmt.Errorf("%w: the record is cut short", ErrAVCC)
			}
			n := int(rest[0])<<8 | int(rest[1])
			if rest = rest[2:]; n > len(rest) {
				return AVCC{}, fmt.Errorf("%w: a parameter set of %d bytes where %d are left", ErrAVCC, n, len(rest))
			}
			c.Headers = AppendUnit(c.Headers, rest[:n])
			rest = rest[n:]
		}
	}
	return c, nil
}

// AnnexB gives an access unit with start codes in place of its lengths.
func (c AVCC) AnnexB(au []byte) ([]byte, error) {
	out := make([]byte, 0, len(au)+64)
	for len(au) > 0 {
		if len(au) < c.LengthSize {
			return nil, fmt.Errorf("%w: %d bytes behind the last NAL unit", ErrAVCC, len(au))
		}
		n := 0
		for _, b := range au[:c.LengthSize] {
			n = n<<8 | int(b)
		}
		if au = au[c.LengthSize:]; n > len(au) {
			return nil, fmt.Errorf("%w: a NAL unit of %d bytes where %d are left", ErrAVCC, n, len(au))
		}
		out = AppendUnit(out, au[:n])
		au = au[n:]
	}
	return out, nil
}

// AppendUnit appends n to an Annex B byte stream, behind a start code of four bytes.
func AppendUnit(b []byte, n NAL) []byte { return append(append(b, 0, 0, 0, 1), n...) }
