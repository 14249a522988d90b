package rtsp

import (
	"bytes"
	"encoding/binary"
)

// jpegUnits is JPEG (RFC 2435), of which packets have only what differs from picture to picture: the headers are made here. Huffman tables are left out, as in most cameras' Motion
// JPEG, where they are always those of ITU-T T.81, annex K.3.
type jpegUnits struct {
	width, height int             // from the SDP, for pictures whose size does not fit the packets' header; 0: not told
	tables        map[byte][]byte // quantization tables, by the Q that stands for them where they are not sent again

	head jpegHead // of the unit in hand
	size int      // of its headers in the buffer
}

// jpegHead is what must be the same in all packets of a picture.
type jpegHead struct {
	specific, kind, q, w, h byte
	restart                 uint16
}

func newJPEG(width, height int) *jpegUnits {
	return &jpegUnits{width: width, height: height, tables: map[byte][]byte{}}
}

// add implements depacketizer.
func (d *jpegUnits) add(buf, payload []byte, first bool) ([]byte, bool) {
	if len(payload) < 8 {
		return buf, false
	}
	offset := int(payload[1])<<16 | int(payload[2])<<8 | int(payload[3])
	head := jpegHead{specific: payload[0], kind: payload[4], q: payload[5], w: payload[6], h: payload[7]}
	payload = payload[8:]
	if head.kind >= 64 && head.kind < 128 { // with restart markers
		if len(payload) < 4 {
			return buf, false
		}
		head.restart = binary.BigEndian.Uint16(payload)
		payload = payload[4:]
	}
	if first != (offset == 0) {
		return buf, false
	}
	if !first {
		return append(buf, payload...), head == d.head && offset == len(buf)-d.size
	}
	tables, payload, ok := d.quantizers(head.q, payload)
	if !ok {
		return buf, false
	}
	if buf, ok = d.headers(buf, head, tables); !ok {
		return buf, false
	}
	d.head, d.size = head, len(buf)
	return append(buf, payload...), true
}

// finish implements depacketizer.
func (d *jpegUnits) finish(buf []byte) ([]byte, bool) {
	if len(buf) <= d.size {
		return nil, false
	}
	data := bytes.Clone(buf)
	if !bytes.HasSuffix(data, []byte{0xff, 0xd9}) {
		data = append(data, 0xff, 0xd9)
	}
	return data, true
}

// quantizers gives the tables for q as a JPEG's DQT segments hold them, and what is left of the payload (section 3.1.8).
func (d *jpegUnits) quantizers(q byte, payload []byte) (tables, rest []byte, ok bool) {
	switch {
	case q >= 1 && q <= 99:
		return scaledTables(int(q)), payload, true
	case q < 128 || len(payload) < 4:
		return nil, nil, false
	}
	precision, n := payload[1], int(binary.BigEndian.Uint16(payload[2:]))
	if payload = payload[4:]; n > len(payload) {
		return nil, nil, false
	}
	sent, payload := payload[:n], payload[n:]
	if n == 0 { // those sent before
		tables = d.tables[q]
		return tables, payload, tables != nil
	}
	for id := byte(0); len(sent) > 0; id++ {
		size, wide := 64, byte(0)
		if precision>>id&1 != 0 {
			size, wide = 128, 0x10
		}
		if size > len(sent) || id > 3 {
			return nil, nil, false
		}
		tables = append(append(tables, 0xff, 0xdb, 0, byte(size+3), wide|id), sent[:size]...)
		sent = sent[size:]
	}
	if q < 255 {
		d.tables[q] = tables
	}
	return tables, payload, true
}

// headers appends what comes before a picture's scan (appendix B).
func (d *jpegUnits) headers(buf []byte, h jpegHead, tables []byte) ([]byte, bool) {
	width, height := int(h.w)*8, int(h.h)*8
	if width == 0 || height == 0 {
		width, height = d.width, d.height
	}
	sampling := byte(0x21)
	switch h.kind &^ 64 {
	case 0:
	case 1:
		sampling = 0x22
	default:
		return buf, false
	}
	if width == 0 || height == 0 || h.specific != 0 { // a field, or one eye's picture
		return buf, false
	}
	chroma := byte(1)
	if bytes.Count(tables, []byte{0xff, 0xdb, 0}) < 2 {
		chroma = 0
	}
	buf = append(buf, 0xff, 0xd8)
	buf = append(buf, tables...)
	buf = append(buf, 0xff, 0xc0, 0, 17, 8, byte(height>>8), byte(height), byte(width>>8), byte(width), 3, 1, sampling, 0, 2, 0x11, chroma, 3, 0x11, chroma)
	if h.restart != 0 {
		buf = append(buf, 0xff, 0xdd, 0, 4, byte(h.restart>>8), byte(h.restart))
	}
	return append(buf, 0xff, 0xda, 0, 12, 3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0), true
}

// scaledTables are the DQT segments for Q from 1 to 99: the tables of ITU-T T.81, annex K.1, scaled as section 4.2 has it.
func scaledTables(q int) []byte {
	factor := 200 - 2*q
	if q < 50 {
		factor = 5000 / q
	}
	var out []byte
	for id, table := range [][64]byte{lumaTable, chromaTable} {
		out = append(out, 0xff, 0xdb, 0, 67, byte(id))
		for _, v := range table {
			out = append(out, byte(min(max((int(v)*factor+50)/100, 1), 255)))
		}
	}
	return out
}

// The tables of annex K.1, in zigzag order.
var (
	lumaTable = [64]byte{ //nolint:gochecknoglobals // a table nobody writes to
		16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
		56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
	}
	chromaTable = [64]byte{ //nolint:gochecknoglobals // a table nobody writes to
		17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
	}
)
