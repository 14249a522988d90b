package capture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxJPEG is the largest picture that is taken from a stream of JPEGs, in bytes.
const maxJPEG = 32 << 20

// maxStill is the largest still, in pixels: 8K. What claims to be larger is after our memory.
const maxStill = 7680 * 4320

// minSourceSide is the smallest width and height, in pixels, that every encoder and player takes.
const minSourceSide = 64

// errJPEG is wrapped by the errors of parsing one JPEG; a stream of them can go on with the next.
var errJPEG = errors.New("not a JPEG picture")

// jpegReader cuts a stream into JPEGs. It goes by their markers alone and skips what lies between, so it reads bare JPEGs one after
// the other as well as the parts of multipart/x-mixed-replace, and gives each one as soon as its last byte is there.
type jpegReader struct {
	r   *bufio.Reader
	buf []byte
}

func newJPEGReader(r io.Reader) *jpegReader { return &jpegReader{r: bufio.NewReaderSize(r, 64<<10)} }

// next gives the next whole JPEG, valid until the following call. Errors are those of reading: io.EOF between pictures,
// io.ErrUnexpectedEOF within one. A picture that is damaged or too large is left out.
func (j *jpegReader) next() ([]byte, error) {
	for {
		switch err := j.read(); {
		case err == nil:
			return j.buf, nil
		case !errors.Is(err, errJPEG):
			return nil, err
		}
	}
}

// read finds the next start of image and reads to its end.
func (j *jpegReader) read() error {
	for before := byte(0); ; {
		b, err := j.r.ReadByte()
		if err != nil {
			return err
		}
		if before == 0xff && b == 0xd8 {
			break
		}
		before = b
	}
	j.buf = append(j.buf[:0], 0xff, 0xd8)
	marker, err := j.marker()
	for {
		switch {
		case err != nil:
			return whole(err)
		case marker == 0xd9:
			return nil
		case marker == 0xd8, marker == 0x00, marker == 0x01, marker >= 0xd0 && marker <= 0xd7:
			return errJPEG // none of these stands between segments
		}
		if err = j.segment(); err != nil {
			return whole(err)
		}
		if marker == 0xda {
			marker, err = j.scan()
		} else {
			marker, err = j.marker()
		}
	}
}

// whole turns the end of the stream within a picture into what it is.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (j *jpegReader) take() (byte, error) {
	b, err := j.r.ReadByte()
	if err != nil {
		return 0, err
	}
	if len(j.buf) >= maxJPEG {
		return 0, fmt.Errorf("%w: larger than %d bytes", errJPEG, maxJPEG)
	}
	j.buf = append(j.buf, b)
	return b, nil
}

// marker reads one marker, fill bytes before it included.
func (j *jpegReader) marker() (byte, error) {
	b, err := j.take()
	if err == nil && b != 0xff {
		return 0, errJPEG
	}
	for err == nil && b == 0xff {
		b, err = j.take()
	}
	return b, err
}

// segment reads a segment's length and content.
func (j *jpegReader) segment() error {
	hi, err := j.take()
	if err != nil {
		return err
	}
	lo, err := j.take()
	if err != nil {
		return err
	}
	n := (int(hi)<<8 | int(lo)) - 2
	if n < 0 || len(j.buf)+n > maxJPEG {
		return errJPEG
	}
	at := len(j.buf)
	j.buf = append(j.buf, make([]byte, n)...)
	_, err = io.ReadFull(j.r, j.buf[at:])
	return err
}

// scan reads entropy-coded data up to and with the marker that ends it.
func (j *jpegReader) scan() (byte, error) {
	for {
		data, err := j.r.ReadSlice(0xff)
		if len(j.buf)+len(data) > maxJPEG {
			return 0, errJPEG
		}
		j.buf = append(j.buf, data...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return 0, err
		}
		b := byte(0xff)
		for b == 0xff {
			if b, err = j.take(); err != nil {
				return 0, err
			}
		}
		if b != 0x00 && (b < 0xd0 || b > 0xd7) { // neither a stuffed 0xff nor a restart
			return b, nil
		}
	}
}

// jpegSize reads the size of a picture from its frame header, so that it can be refused before any memory is asked for it.
func jpegSize(b []byte) (w, h int, err error) {
	if !bytes.HasPrefix(b, []byte{0xff, 0xd8}) {
		return 0, 0, errJPEG
	}
	for i := 2; i+4 <= len(b); {
		if b[i] != 0xff {
			return 0, 0, errJPEG
		}
		marker := b[i+1]
		if marker == 0xff {
			i++
			continue
		}
		n := int(b[i+2])<<8 | int(b[i+3])
		frame := marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc
		switch {
		case frame && n >= 8 && i+9 <= len(b):
			h, w = int(b[i+5])<<8|int(b[i+6]), int(b[i+7])<<8|int(b[i+8])
			if w == 0 || h == 0 {
				return 0, 0, errJPEG
			}
			if w*h > maxStill {
				return 0, 0, fmt.Errorf("%dx%d pixels are more than the %d that are taken", w, h, maxStill)
			}
			return w, h, nil
		case frame, n < 2, marker == 0xda, marker == 0xd9:
			return 0, 0, errJPEG
		}
		i += 2 + n
	}
	return 0, 0, errJPEG
}
