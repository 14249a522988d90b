package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"slices"
	"time"

	"sightline/internal/h264"
	"sightline/internal/media"
)

// Native is a Feed whose source codes its pictures itself, in a codec that FeedInfo.Native names.
type Native interface {
	Feed
	// Headers are the H.264 parameter sets that the source gave apart from its pictures, as Annex B; empty if there are none.
	Headers() []byte
	// NextUnit waits for the next access unit, as the source coded it. With decode it also gives the newest picture that the decoder has by then, and either
	// may be nil. After Rest, and when decode was false before, it goes back to the last keyframe, so that units and pictures begin at once.
	NextUnit(ctx context.Context, decode bool) (*Unit, *Picture, error)
}

// Unit is one access unit as its source coded it: H.264 as Annex B, or one JPEG. Nothing in it changes.
type Unit struct {
	Data []byte
	At   time.Time // of arrival, with a monotonic reading
}

// unfitError tells in a sentence for people why a source's own coding cannot be passed on.
type unfitError struct{ sentence string }

func (e *unfitError) Error() string { return e.sentence }

func unfit(format string, args ...any) error {
	return &unfitError{fmt.Sprintf(format, args...) + ", so it is encoded anew."}
}

// passed is an access unit that viewers can be sent.
type passed struct {
	data          []byte
	key           bool
	at            time.Time
	codec         string    // RFC 6381; set in keyframes
	width, height int       // from the parameter set of keyframes; 0: those of the feed
	came          time.Time // into the relay
}

// errDamaged is a unit that is left out.
var errDamaged = errors.New("damaged access unit")

// passage makes a source's own access units fit for viewers: each keyframe carries its parameter sets, and these say that nothing is reordered. It
// refuses streams that viewers cannot decode, or not without delay. The zero value is ready.
type passage struct {
	codec  media.Codec
	params []byte     // the parameter sets as they go out, Annex B
	raw    [][]byte   // the sets those were made of
	sps    *h264.SPS  // the newest
	tables []byte     // of a JPEG without its own
	since  int        // slices' units since the last IDR
	pps    []h264.NAL // of the access unit in hand
	spss   []h264.NAL // likewise
}

// unitsWithoutIDR is how many may come before a camera counts as one that sends none.
const unitsWithoutIDR = 1800

// learn takes in parameter sets that came apart from pictures.
func (p *passage) learn(headers []byte) error {
	p.spss, p.pps = p.spss[:0], p.pps[:0]
	for n := range h264.Units(headers) {
		switch n.Type() {
		case h264.TypeSPS:
			p.spss = append(p.spss, n)
		case h264.TypePPS:
			p.pps = append(p.pps, n)
		}
	}
	return p.setParams()
}

// setParams makes params of the sets found last, if there are both kinds.
func (p *passage) setParams() error {
	if len(p.spss) == 0 || len(p.pps) == 0 {
		return nil
	}
	all := slices.Concat(p.spss, p.pps)
	if slices.EqualFunc(p.raw, all, func(a []byte, b h264.NAL) bool { return bytes.Equal(a, b) }) {
		return nil
	}
	var out []byte
	var last *h264.SPS
	for _, n := range p.spss {
		sps, err := h264.ParseSPS(n)
		if err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		switch {
		case sps.Interlaced:
			return unfit("The source's own H.264 is interlaced")
		case sps.Profile != 66 && sps.Profile != 77 && sps.Profile != 100:
			return unfit("The source's own H.264 has profile %d, which browsers do not decode", sps.Profile)
		}
		if sps.HoldsBack() {
			n = sps.WithoutReordering()
		}
		out, last = h264.AppendUnit(out, n), sps
	}
	for _, n := range p.pps {
		out = h264.AppendUnit(out, n)
	}
	p.params, p.sps, p.raw = out, last, nil
	for _, n := range all {
		p.raw = append(p.raw, bytes.Clone(n))
	}
	return nil
}

// pass makes of u what viewers are sent. An error is an *unfitError, or wraps errDamaged for a unit to leave out.
func (p *passage) pass(u *Unit) (passed, error) {
	if p.codec == media.CodecJPEG {
		data, err := p.jpeg(u.Data)
		return passed{data: data, key: true, at: u.At, codec: "jpeg"}, err
	}
	p.spss, p.pps = p.spss[:0], p.pps[:0]
	slices, idr := 0, false
	for n := range h264.Units(u.Data) {
		switch n.Type() {
		case h264.TypeSPS:
			p.spss = append(p.spss, n)
		case h264.TypePPS:
			p.pps = append(p.pps, n)
		case h264.TypeIDR, h264.TypeSlice:
			kind, err := h264.Slice(n)
			if err != nil {
				return passed{}, fmt.Errorf("%w: %w", errDamaged, err)
			}
			if kind == h264.SliceB {
				return passed{}, unfit("The source's own H.264 has B pictures, which cannot be shown without delay")
			}
			slices++
			idr = idr || n.Type() == h264.TypeIDR
		}
	}
	if slices == 0 {
		return passed{}, fmt.Errorf("%w: no picture in it", errDamaged)
	}
	if err := p.setParams(); err != nil {
		return passed{}, err
	}
	out := passed{data: u.Data, key: idr && p.sps != nil, at: u.At}
	if !out.key {
		if p.since++; p.since > unitsWithoutIDR {
			return passed{}, unfit("The source's own H.264 has no IDR pictures that a viewer could begin with")
		}
		return out, nil
	}
	p.since = 0
	out.codec, out.width, out.height = p.sps.CodecString(), p.sps.Width, p.sps.Height
	if len(p.spss) == 0 || len(p.pps) == 0 || p.sps.HoldsBack() {
		out.data = p.rewrite(u.Data)
	}
	return out, nil
}

// rewrite puts the parameter sets of p in place of those in au; an access unit delimiter stays first (clause 7.4.1.2.3).
func (p *passage) rewrite(au []byte) []byte {
	out := make([]byte, 0, len(au)+len(p.params)+16)
	placed := false
	for n := range h264.Units(au) {
		t := n.Type()
		if t == h264.TypeSPS || t == h264.TypePPS {
			continue
		}
		if !placed && t != h264.TypeAUD {
			out, placed = append(out, p.params...), true
		}
		out = h264.AppendUnit(out, n)
	}
	return out
}

// jpeg gives a camera's JPEG with Huffman tables, which many leave out since Motion JPEG's are always the same (those of ITU-T T.81, annex K.3).
func (p *passage) jpeg(b []byte) ([]byte, error) {
	const soi, dht, sos = 0xd8, 0xc4, 0xda
	if len(b) < 4 || b[0] != 0xff || b[1] != soi {
		return nil, fmt.Errorf("%w: no JPEG", errDamaged)
	}
	for i := 2; i+4 <= len(b); {
		if b[i] != 0xff {
			break
		}
		switch b[i+1] {
		case 0xff: // fill
			i++
			continue
		case dht:
			return b, nil
		case sos:
			if p.tables == nil {
				p.tables = standardTables()
			}
			return slices.Concat(b[:i], p.tables, b[i:]), nil
		}
		i += 2 + int(b[i+2])<<8 + int(b[i+3])
	}
	return nil, fmt.Errorf("%w: a JPEG that ends before its picture", errDamaged)
}

// standardTables is the DHT segment of annex K.3, from the one encoder that always writes it.
func standardTables() []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio420), nil); err != nil {
		panic("capture: a JPEG in memory: " + err.Error()) // nothing in it can fail
	}
	i := bytes.Index(b.Bytes(), []byte{0xff, 0xc4})
	n := 2 + int(b.Bytes()[i+2])<<8 + int(b.Bytes()[i+3])
	return bytes.Clone(b.Bytes()[i : i+n])
}
