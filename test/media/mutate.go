//go:build linux

package main

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"slices"
)

// A mutation changes a copy of its input, which it may write to and return.
type mutation func(r *rand.Rand, b []byte) []byte

// mutant is the nth broken form of b, the same in each run: one to four changes, some of them blind and some at the places that a parser looks at.
func mutant(b []byte, name string, n int) []byte {
	r := rand.New(rand.NewPCG(uint64(crc32.ChecksumIEEE([]byte(name))), uint64(n)))
	b = slices.Clone(b)
	mutations := []mutation{truncate, flip, overwrite, cut, repeat, number, text, startCodes, markers, dimensions}
	for range 1 + r.IntN(4) {
		if len(b) < 16 {
			break
		}
		b = mutations[r.IntN(len(mutations))](r, b)
	}
	return b
}

func truncate(r *rand.Rand, b []byte) []byte { return b[:r.IntN(len(b))] }

func flip(r *rand.Rand, b []byte) []byte {
	for range 1 << r.IntN(7) {
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	}
	return b
}

func overwrite(r *rand.Rand, b []byte) []byte {
	at := r.IntN(len(b))
	with := []byte{0, 0xff, byte(r.Uint32())}[r.IntN(3)]
	for i := range b[at:min(len(b), at+1<<r.IntN(10))] {
		b[at+i] = with
	}
	return b
}

func cut(r *rand.Rand, b []byte) []byte {
	at := r.IntN(len(b))
	return slices.Delete(b, at, min(len(b), at+1+r.IntN(1<<r.IntN(12))))
}

func repeat(r *rand.Rand, b []byte) []byte {
	at := r.IntN(len(b))
	part := slices.Clone(b[at:min(len(b), at+1<<r.IntN(12))])
	return slices.Insert(b, r.IntN(len(b)), part...)
}

// number puts a number that breaks sums where one may stand.
func number(r *rand.Rand, b []byte) []byte {
	at := r.IntN(len(b) - 8)
	if r.IntN(2) == 0 { // containers have their sizes in front
		at = r.IntN(min(len(b)-8, 512))
	}
	n := []uint64{0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 1<<63 - 1, 1 << 63, 1<<64 - 1}[r.IntN(12)]
	switch r.IntN(4) {
	case 0:
		b[at] = byte(n)
	case 1:
		binary.BigEndian.PutUint16(b[at:], uint16(n))
	case 2:
		binary.BigEndian.PutUint32(b[at:], uint32(n))
	case 3:
		binary.BigEndian.PutUint64(b[at:], n)
	}
	return b
}

// text changes a number written in digits, as protocols have them.
func text(r *rand.Rand, b []byte) []byte {
	var digits []int
	for i, c := range b {
		if c >= '0' && c <= '9' {
			digits = append(digits, i)
		}
	}
	if len(digits) == 0 {
		return flip(r, b)
	}
	at := digits[r.IntN(len(digits))]
	return slices.Replace(b, at, at+1, []byte([]string{"-1", "", "99999999999999999999", "4294967296", "0", "1e9", "\x00", "%n"}[r.IntN(8)])...)
}

// startCodes works on the NAL units of H.264 and H.265 in Annex B: takes one out, doubles it, swaps two, gives one another type, or cuts it short.
func startCodes(r *rand.Rand, b []byte) []byte {
	parts := bytes.SplitAfter(b, []byte{0, 0, 1})
	if len(parts) < 4 {
		return flip(r, b)
	}
	i, j := 1+r.IntN(len(parts)-1), 1+r.IntN(len(parts)-1)
	switch r.IntN(5) {
	case 0:
		parts = slices.Delete(parts, i, i+1)
	case 1:
		parts = slices.Insert(parts, j, parts[i])
	case 2:
		parts[i], parts[j] = parts[j], parts[i]
	case 3:
		if len(parts[i]) > 0 {
			parts[i] = slices.Clone(parts[i])
			parts[i][0] = parts[i][0]&0xe0 | byte(r.IntN(32))
		}
	case 4:
		keep := r.IntN(len(parts[i]) + 1)
		parts[i] = append(parts[i][:keep:keep], 0, 0, 1)
	}
	return slices.Concat(parts...)
}

// markers works on the segments of a JPEG: another marker, another length, or the segment twice.
func markers(r *rand.Rand, b []byte) []byte {
	var at []int
	for i := 0; i+4 < len(b); i++ {
		if b[i] == 0xff && b[i+1] >= 0xc0 && b[i+1] != 0xff {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return flip(r, b)
	}
	i := at[r.IntN(len(at))]
	switch r.IntN(3) {
	case 0:
		b[i+1] = 0xc0 + byte(r.IntN(0x3f))
	case 1:
		binary.BigEndian.PutUint16(b[i+2:], uint16(r.Uint32()))
	case 2:
		end := min(len(b), i+2+int(binary.BigEndian.Uint16(b[i+2:])))
		b = slices.Insert(b, i, slices.Clone(b[i:end])...)
	}
	return b
}

// dimensions has the picture say that it is of another size, most often a huge one, in headers whose checks still hold: JPEG's frame, PNG's header, TIFF's
// tags, H.264's sequence parameter set.
func dimensions(r *rand.Rand, b []byte) []byte {
	w, h := side(r), side(r)
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG")) && len(b) > 33:
		binary.BigEndian.PutUint32(b[16:], uint32(w))
		binary.BigEndian.PutUint32(b[20:], uint32(h))
		binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
		return b
	case bytes.HasPrefix(b, []byte("II*\x00")):
		for i := 8; i+12 <= len(b); i++ {
			if tag := binary.LittleEndian.Uint16(b[i:]); (tag == 256 || tag == 257) && b[i+2] >= 3 && b[i+2] <= 4 && b[i+3] == 0 {
				binary.LittleEndian.PutUint32(b[i+8:], uint32(w))
				w = h
			}
		}
		return b
	}
	if i := bytes.IndexByte(b, 0xff); i >= 0 && bytes.HasPrefix(b[i:], []byte{0xff, 0xd8}) {
		for j := i + 2; j+9 < len(b); j++ {
			if b[j] == 0xff && (b[j+1] == 0xc0 || b[j+1] == 0xc2) {
				binary.BigEndian.PutUint16(b[j+5:], uint16(h))
				binary.BigEndian.PutUint16(b[j+7:], uint16(w))
				return b
			}
		}
	}
	for i := 0; i+4 < len(b); i++ {
		if b[i] == 0 && b[i+1] == 0 && b[i+2] == 1 && b[i+3]&0x1f == 7 {
			end := bytes.Index(b[i+3:], []byte{0, 0, 1})
			if end < 0 {
				break
			}
			return slices.Replace(b, i+3, i+3+end, sps(w, h)...)
		}
	}
	return number(r, b)
}

func side(r *rand.Rand) int {
	return []int{0, 1, 2, 15, 17, 4096, 8192, 16384, 32767, 65535, 1 << 20, 1<<31 - 1}[r.IntN(12)]
}

// sps makes a sequence parameter set (H.264 section 7.3.2.1.1) of profile Baseline.
func sps(w, h int) []byte {
	var bits []byte
	put := func(n uint64, size int) {
		for i := size - 1; i >= 0; i-- {
			bits = append(bits, byte(n>>i)&1)
		}
	}
	ue := func(n uint64) { // section 9.1
		size := 0
		for (n+1)>>size > 1 {
			size++
		}
		put(0, size)
		put(n+1, size+1)
	}
	put(0x67, 8)
	put(66, 8) // profile_idc
	put(0, 8)
	put(51, 8) // level_idc
	ue(0)      // seq_parameter_set_id
	ue(0)      // log2_max_frame_num_minus4
	ue(2)      // pic_order_cnt_type
	ue(16)     // max_num_ref_frames
	put(0, 1)
	ue(uint64(max(1, w/16)) - 1)
	ue(uint64(max(1, h/16)) - 1)
	put(1, 1) // frame_mbs_only_flag
	put(1, 1)
	put(0, 1)
	put(0, 1) // vui_parameters_present_flag
	put(1, 1)
	out := make([]byte, (len(bits)+7)/8)
	for i, bit := range bits {
		out[i/8] |= bit << (7 - i%8)
	}
	return out
}

// bomb is a PNG whose few bytes become a picture of w by h, which its header says rightly.
func bomb(w, h int) []byte {
	var data bytes.Buffer
	z := zlib.NewWriter(&data)
	row := make([]byte, 1+(w+7)/8) // one bit a pixel
	for range h {
		_, _ = z.Write(row) // to memory
	}
	_ = z.Close() // as above
	header := binary.BigEndian.AppendUint32(nil, uint32(w))
	header = binary.BigEndian.AppendUint32(header, uint32(h))
	header = append(header, 1, 0, 0, 0, 0)
	out := []byte("\x89PNG\r\n\x1a\n")
	for _, c := range []struct {
		kind string
		body []byte
	}{{"IHDR", header}, {"IDAT", data.Bytes()}, {"IEND", nil}} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(c.body)))
		begin := len(out)
		out = append(append(out, c.kind...), c.body...)
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[begin:]))
	}
	return out
}
