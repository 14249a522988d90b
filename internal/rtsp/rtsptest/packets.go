package rtsptest

import (
	"encoding/binary"
	"time"
)

// Packets numbers the RTP packets of one source.
type Packets struct {
	Seq     uint16 // of the next packet
	SSRC    uint32
	Payload uint8
}

// Packet makes one.
func (p *Packets) Packet(ts uint32, marker bool, payload []byte) []byte {
	b := make([]byte, 12, 12+len(payload))
	b[0], b[1] = 0x80, p.Payload
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], p.Seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], p.SSRC)
	p.Seq++
	return append(b, payload...)
}

// MTU is the most bytes of payload in a packet of H264.
const MTU = 1200

// H264 makes the packets of one access unit as RFC 6184 has them: NAL units that fit one packet alone, others in parts.
func (p *Packets) H264(ts uint32, nals ...[]byte) [][]byte {
	var out [][]byte
	for i, n := range nals {
		last := i == len(nals)-1
		if len(n) <= MTU {
			out = append(out, p.Packet(ts, last, n))
			continue
		}
		kind := n[0] & 0x1f
		for rest, first := n[1:], true; len(rest) > 0; first = false {
			part := rest[:min(MTU, len(rest))]
			rest = rest[len(part):]
			head := []byte{n[0]&0xe0 | 28, kind}
			if first {
				head[1] |= 0x80
			}
			if len(rest) == 0 {
				head[1] |= 0x40
			}
			out = append(out, p.Packet(ts, last && len(rest) == 0, append(head, part...)))
		}
	}
	return out
}

// Report makes a sender report (RFC 3550 section 6.4.1): at this time by the sender's clock it was this time of its media.
func (p *Packets) Report(at time.Time, ts uint32) []byte {
	b := make([]byte, 28)
	b[0], b[1], b[3] = 0x80, 200, 6
	binary.BigEndian.PutUint32(b[4:], p.SSRC)
	const since1900 = 2208988800 // seconds to the Unix epoch
	binary.BigEndian.PutUint32(b[8:], uint32(at.Unix()+since1900))
	binary.BigEndian.PutUint32(b[12:], uint32(uint64(at.Nanosecond())<<32/1e9))
	binary.BigEndian.PutUint32(b[16:], ts)
	return b
}
