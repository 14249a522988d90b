package h264

import "errors"

// errShort is a syntax element that lies beyond the end of its NAL unit.
var errShort = errors.New("NAL unit ends inside a syntax element")

// bitReader reads syntax elements from an RBSP (clause 7.2). After an error all reads give 0.
type bitReader struct {
	b   []byte
	pos int // bits
	err error
}

func (r *bitReader) bit() uint32 {
	if r.err != nil || r.pos >= 8*len(r.b) {
		r.err = errShort
		return 0
	}
	v := r.b[r.pos/8] >> (7 - r.pos%8) & 1
	r.pos++
	return uint32(v)
}

func (r *bitReader) flag() bool { return r.bit() == 1 }

// u reads u(n), n at most 32.
func (r *bitReader) u(n int) uint32 {
	var v uint32
	for range n {
		v = v<<1 | r.bit()
	}
	return v
}

// ue reads ue(v) (clause 9.1).
func (r *bitReader) ue() uint32 {
	zeros := 0
	for r.bit() == 0 {
		if zeros++; r.err != nil || zeros > 31 {
			r.err = errShort
			return 0
		}
	}
	return 1<<zeros - 1 + r.u(zeros)
}

// se reads se(v) (clause 9.1.1).
func (r *bitReader) se() int32 {
	k := r.ue()
	if k&1 == 1 {
		return int32(k/2 + 1)
	}
	return -int32(k / 2)
}

// bitWriter writes an RBSP.
type bitWriter struct {
	b    []byte
	free int // bits still free in the last byte
}

func (w *bitWriter) bit(v uint32) {
	if w.free == 0 {
		w.b = append(w.b, 0)
		w.free = 8
	}
	w.free--
	w.b[len(w.b)-1] |= byte(v&1) << w.free
}

func (w *bitWriter) u(n int, v uint32) {
	for i := n - 1; i >= 0; i-- {
		w.bit(v >> i)
	}
}

func (w *bitWriter) ue(v uint32) {
	n := 0
	for x := v + 1; x > 1; x >>= 1 {
		n++
	}
	w.u(n, 0)
	w.u(n+1, v+1)
}

// copyBits copies the bits of src from its first to end (exclusive).
func (w *bitWriter) copyBits(src []byte, end int) {
	r := bitReader{b: src}
	for range end {
		w.bit(r.bit())
	}
}

// trailing writes rbsp_trailing_bits (clause 7.3.2.11).
func (w *bitWriter) trailing() {
	w.bit(1)
	w.free = 0
}

// rbsp removes the emulation prevention bytes of a NAL unit's payload (clause 7.3.1).
func rbsp(payload []byte) []byte {
	out := make([]byte, 0, len(payload))
	zeros := 0
	for _, c := range payload {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, c)
	}
	return out
}

// escape puts emulation prevention bytes into an RBSP (clause 7.4.1).
func escape(b []byte) []byte {
	out := make([]byte, 0, len(b)+4)
	zeros := 0
	for _, c := range b {
		if zeros >= 2 && c <= 3 {
			out = append(out, 3)
			zeros = 0
		}
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, c)
	}
	return out
}
