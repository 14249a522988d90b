// Package h264 reads and corrects what a camera's H.264 says about itself: NAL units, sequence parameter sets and the kinds of slices. It decodes no
// pictures, knows no containers and no sockets, and starts no goroutines. Clauses are those of ITU-T H.264 (08/2021).
package h264

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
)

// Type is nal_unit_type (table 7-1).
type Type uint8

// The types this package tells apart.
const (
	TypeSlice Type = 1
	TypeIDR   Type = 5
	TypeSEI   Type = 6
	TypeSPS   Type = 7
	TypePPS   Type = 8
	TypeAUD   Type = 9
)

// NAL is one NAL unit without its start code: the header byte and what follows.
type NAL []byte

// Type is the type of n; 0 if n is empty.
func (n NAL) Type() Type {
	if len(n) == 0 {
		return 0
	}
	return Type(n[0] & 0x1f)
}

// Units gives the NAL units of an Annex B byte stream (clause B.1), as parts of au. What stands before the first start code is left out, as are
// empty units.
func Units(au []byte) iter.Seq[NAL] {
	return func(yield func(NAL) bool) {
		start := startCode(au)
		for start >= 0 {
			au = au[start+3:]
			next := startCode(au)
			unit := au
			if next >= 0 {
				unit = au[:next]
			}
			// trailing_zero_8bits, and the zero_byte of the next start code
			unit = bytes.TrimRight(unit, "\x00")
			if len(unit) > 0 && !yield(NAL(unit)) {
				return
			}
			start = next
		}
	}
}

// startCode is where the next 00 00 01 stands, or -1.
func startCode(b []byte) int { return bytes.Index(b, []byte{0, 0, 1}) }

// SliceKind is what a slice may be predicted from.
type SliceKind uint8

// The kinds of slices (table 7-6); SP and SI count as P and I.
const (
	SliceP SliceKind = 0
	SliceB SliceKind = 1
	SliceI SliceKind = 2
)

// ErrNotSlice is returned for a NAL unit that is no slice.
var ErrNotSlice = errors.New("not a slice")

// Slice tells the kind of a slice NAL unit (types 1 and 5). The error wraps ErrNotSlice, or tells that the unit is cut short.
func Slice(n NAL) (SliceKind, error) {
	if t := n.Type(); t != TypeSlice && t != TypeIDR {
		return 0, fmt.Errorf("NAL unit of type %d: %w", t, ErrNotSlice)
	}
	r := bitReader{b: rbsp(n[1:min(len(n), 16)])}
	r.ue() // first_mb_in_slice
	kind := r.ue()
	if r.err != nil || kind > 9 {
		return 0, fmt.Errorf("slice header: slice_type %d: %w", kind, errors.Join(r.err, errShort))
	}
	switch kind % 5 {
	case 1:
		return SliceB, nil
	case 2, 4:
		return SliceI, nil
	default:
		return SliceP, nil
	}
}
