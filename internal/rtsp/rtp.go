package rtsp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// packet is one of RTP (RFC 3550 section 5.1).
type packet struct {
	kind    uint8 // payload type
	marker  bool
	seq     uint16
	ts      uint32
	ssrc    uint32
	payload []byte
	came    time.Time
}

// parsePacket reads b, of which the payload stays a part.
func parsePacket(b []byte, came time.Time) (packet, error) {
	if len(b) < 12 || b[0]>>6 != 2 {
		return packet{}, fmt.Errorf("%w: no RTP packet", ErrMalformed)
	}
	p := packet{
		kind: b[1] & 0x7f, marker: b[1]&0x80 != 0, seq: binary.BigEndian.Uint16(b[2:]), ts: binary.BigEndian.Uint32(b[4:]), ssrc: binary.BigEndian.Uint32(b[8:]), came: came,
	}
	at, end := 12+4*int(b[0]&0x0f), len(b)
	if b[0]&0x10 != 0 { // an extension
		if at += 4; at <= end {
			at += 4 * int(binary.BigEndian.Uint16(b[at-2:]))
		}
	}
	if b[0]&0x20 != 0 { // padding, its length in the last byte
		end -= int(b[end-1])
	}
	if at > end {
		return packet{}, fmt.Errorf("%w: an RTP packet's lengths do not fit", ErrMalformed)
	}
	p.payload = b[at:end]
	return p, nil
}

const (
	// orderPackets and orderWait bound how long datagrams that overtook others wait for them.
	orderPackets = 64
	orderWait    = 20 * time.Millisecond
	// orderRestart is a step of sequence numbers that is no reordering: the sender has begun anew.
	orderRestart = 3000
)

// order brings the packets of one source into the order of their sequence numbers.
type order struct {
	window  int // packets that wait for one that is missing; 0 where nothing can overtake
	started bool
	next    uint16
	early   []packet // by sequence number; they own their payload
}

// put takes in p and calls give for each packet that is in order now, with the number of those lost right before it.
func (o *order) put(p packet, give func(p packet, lost int)) {
	ahead := int(int16(p.seq - o.next))
	switch {
	case !o.started || ahead > orderRestart || ahead < -orderRestart:
		lost := 0
		if o.started {
			lost = 1 // nobody knows how many
		}
		o.started, o.early, o.next = true, nil, p.seq+1
		give(p, lost)
		return
	case ahead < 0: // twice, or given up
		return
	case ahead == 0:
		o.next++
		give(p, 0)
	default:
		if i, found := slices.BinarySearchFunc(o.early, p.seq, func(e packet, seq uint16) int { return int(int16(e.seq - seq)) }); !found {
			p.payload = bytes.Clone(p.payload)
			o.early = slices.Insert(o.early, i, p)
		}
	}
	for len(o.early) > 0 {
		first := o.early[0]
		lost := int(first.seq - o.next)
		if lost > 0 && len(o.early) <= o.window && !slices.ContainsFunc(o.early, func(e packet) bool { return p.came.Sub(e.came) > orderWait }) {
			return
		}
		o.early = slices.Delete(o.early, 0, 1)
		o.next = first.seq + 1
		give(first, lost)
	}
}
