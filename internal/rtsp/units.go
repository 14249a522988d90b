package rtsp

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"sightline/internal/h264"
)

// maxUnit bounds an access unit, in bytes: a server takes no larger one.
const maxUnit = 8 << 20

// unit is an access unit that is whole and can be decoded, after those given before it.
type unit struct {
	data []byte // new for each
	key  bool
	ts   uint32
	came time.Time // its first packet
}

// depacketizer takes the payload of one packet. buf is the access unit in hand, which add appends to; first is set while that is empty.
// ok is false for a payload that makes no sense, which damages the unit.
type depacketizer interface {
	add(buf, payload []byte, first bool) (_ []byte, ok bool)
	// finish completes the unit in hand, nil if there is no picture in it yet. key tells that decoding can begin there.
	finish(buf []byte) (data []byte, key bool)
}

// assembler makes access units of the packets of one source. It gives only what can be decoded: a unit of which a packet is lost is left out, and so is all that
// follows until the next keyframe.
type assembler struct {
	depacketizer
	buf     []byte // the unit in hand
	open    bool
	damaged bool
	ts      uint32
	came    time.Time
	waiting bool // for a keyframe
	begun   bool // a keyframe has come
}

// newAssembler waits for a keyframe, as after a loss.
func newAssembler(d depacketizer) *assembler { return &assembler{depacketizer: d, waiting: true} }

// put takes in the next packet and calls give for each unit that is complete: at its last packet where that is marked, else when the next one begins.
func (a *assembler) put(p packet, lost int, give func(unit)) {
	if a.open && p.ts != a.ts {
		a.damaged = a.damaged || lost > 0 // maybe its end
		a.close(give, true)
	}
	if !a.open {
		a.open, a.damaged, a.ts, a.came, a.buf = true, false, p.ts, p.came, a.buf[:0]
	}
	a.damaged = a.damaged || lost > 0
	if !a.damaged && len(p.payload) > 0 {
		var ok bool
		if a.buf, ok = a.add(a.buf, p.payload, len(a.buf) == 0); !ok || len(a.buf) > maxUnit {
			a.damaged = true
		}
	}
	if p.marker {
		a.close(give, false)
	}
}

// cut drops the unit in hand and waits for a keyframe.
func (a *assembler) cut() { a.open, a.waiting = false, true }

// close gives the unit in hand. Without over it goes on if it has no picture yet: some cameras mark each packet of what goes before one.
func (a *assembler) close(give func(unit), over bool) {
	if a.damaged {
		a.cut()
		return
	}
	var data []byte
	var key bool
	if len(a.buf) > 0 {
		data, key = a.finish(a.buf)
	}
	if data == nil {
		a.open = !over
		return
	}
	a.open = false
	if key {
		a.waiting, a.begun = false, true
	}
	if !a.waiting {
		give(unit{data: data, key: key, ts: a.ts, came: a.came})
	}
}

// nalKind is what a NAL unit is to an access unit.
type nalKind int

const (
	nalOther    nalKind = iota
	nalSet              // parameters
	nalSequence         // the parameters of a sequence, without which the others are nothing
	nalPicture
	nalKey // of a picture to begin with
)

// annexB is what H.264 and H.265 have in common: NAL units get start codes, and keyframes the parameter sets if these came apart.
type annexB struct {
	kind func(head byte) nalKind
	sets []byte // the newest parameter sets, with start codes

	// Of the unit in hand.
	sequence, picture, key bool
	part                   bool // the last NAL unit may go on
}

// begin is called at the first packet of a unit.
func (a *annexB) begin() { a.sequence, a.picture, a.key, a.part = false, false, false, false }

// nal appends a NAL unit, or the first part of one, to buf.
func (a *annexB) nal(buf, head, rest []byte) []byte {
	switch a.kind(head[0]) {
	case nalSequence:
		a.sequence = true
	case nalKey:
		a.picture, a.key = true, true
	case nalPicture:
		a.picture = true
	}
	a.part = false
	return append(append(h264.AppendUnit(buf, nil), head...), rest...)
}

// aggregate appends the NAL units of an aggregation packet, each of which has its size before it.
func (a *annexB) aggregate(buf, payload []byte) ([]byte, bool) {
	for len(payload) > 0 {
		if len(payload) < 2 {
			return buf, false
		}
		size := int(binary.BigEndian.Uint16(payload))
		if payload = payload[2:]; size == 0 || size > len(payload) {
			return buf, false
		}
		buf = a.nal(buf, payload[:size], nil)
		payload = payload[size:]
	}
	return buf, true
}

// finish implements depacketizer.
func (a *annexB) finish(buf []byte) ([]byte, bool) {
	if a.sequence {
		a.learn(buf) // some cameras send them by themselves
	}
	switch {
	case !a.picture:
		return nil, false
	case a.key && !a.sequence:
		return slices.Concat(a.sets, buf), true
	}
	return bytes.Clone(buf), a.key
}

// learn keeps the parameter sets of buf.
func (a *annexB) learn(buf []byte) {
	a.sets = nil
	for n := range h264.Units(buf) {
		if k := a.kind(n[0]); k == nalSet || k == nalSequence {
			a.sets = h264.AppendUnit(a.sets, n)
		}
	}
}

// h264Units is H.264 (RFC 6184), in the modes without interleaving.
type h264Units struct {
	annexB
	idr bool // the camera makes IDR pictures
}

func newH264(sets []byte) *h264Units { return &h264Units{annexB: annexB{kind: h264Kind, sets: sets}} }

func h264Kind(head byte) nalKind {
	switch (h264.NAL{head}).Type() {
	case h264.TypeSPS:
		return nalSequence
	case h264.TypePPS:
		return nalSet
	case h264.TypeSlice:
		return nalPicture
	case h264.TypeIDR:
		return nalKey
	}
	return nalOther
}

// add implements depacketizer.
func (d *h264Units) add(buf, payload []byte, first bool) ([]byte, bool) {
	const stapA, fuA = 24, 28
	if first {
		d.begin()
	}
	switch kind := payload[0] & 0x1f; {
	case kind >= 1 && kind < stapA:
		return d.nal(buf, payload, nil), true
	case kind == stapA:
		return d.aggregate(buf, payload[1:])
	case kind == fuA && len(payload) > 2 && payload[1]&0x80 != 0: // the first part
		buf = d.nal(buf, []byte{payload[0]&0xe0 | payload[1]&0x1f}, payload[2:])
		d.part = true
		return buf, true
	case kind == fuA && len(payload) > 2:
		return append(buf, payload[2:]...), d.part
	}
	return buf, false
}

// finish implements depacketizer. A camera that makes no IDR pictures is entered at a picture whose slices are all I, as other players do; what refers to pictures before
// it may look it for a moment.
func (d *h264Units) finish(buf []byte) ([]byte, bool) {
	d.idr = d.idr || d.key
	if d.picture && !d.idr {
		d.key = true
		for n := range h264.Units(buf) {
			if n.Type() != h264.TypeSlice {
				continue
			}
			if kind, err := h264.Slice(n); err != nil || kind != h264.SliceI {
				d.key = false
				break
			}
		}
	}
	return d.annexB.finish(buf)
}

// h265Units is H.265 (RFC 7798), without decoding order numbers.
type h265Units struct{ annexB }

func newH265(sets []byte) *h265Units { return &h265Units{annexB{kind: h265Kind, sets: sets}} }

func h265Kind(head byte) nalKind {
	switch kind := head >> 1 & 0x3f; {
	case kind >= 16 && kind <= 23: // IRAP
		return nalKey
	case kind < 32:
		return nalPicture
	case kind == 33: // SPS
		return nalSequence
	case kind == 32, kind == 34: // VPS, PPS
		return nalSet
	}
	return nalOther
}

// add implements depacketizer.
func (d *h265Units) add(buf, payload []byte, first bool) ([]byte, bool) {
	const ap, fu = 48, 49
	if first {
		d.begin()
	}
	if len(payload) < 3 {
		return buf, false
	}
	switch kind := payload[0] >> 1 & 0x3f; {
	case kind < ap:
		return d.nal(buf, payload, nil), true
	case kind == ap:
		return d.aggregate(buf, payload[2:])
	case kind == fu && payload[2]&0x80 != 0: // the first part
		buf = d.nal(buf, []byte{payload[0]&0x81 | payload[2]&0x3f<<1, payload[1]}, payload[3:])
		d.part = true
		return buf, true
	case kind == fu:
		return append(buf, payload[3:]...), d.part
	}
	return buf, false
}
