package rtsp

import (
	"encoding/binary"
	"time"
)

// Kinds of RTCP packets (RFC 3550 section 12.1, RFC 4585 section 6.1).
const (
	rtcpSR   = 200
	rtcpRR   = 201
	rtcpSDES = 202
	rtcpBYE  = 203
	rtcpPSFB = 206
	fmtPLI   = 1 // picture loss indication
)

// ntpEpoch is the Unix time of NTP's second 0, in 1900.
const ntpEpoch = -2208988800

// senderReport says which time it was by the sender's clock at a time of its media (RFC 3550 section 6.4.1).
type senderReport struct {
	ssrc uint32
	ntp  uint64 // 32 bits of seconds, 32 of fraction; 0: the sender has no clock
	rtp  uint32
}

// wall is the report's time. NTP's seconds begin anew in 2036: the earlier half of them is taken to be after that.
func (r senderReport) wall() time.Time {
	seconds := int64(r.ntp >> 32)
	if seconds < 1<<31 {
		seconds += 1 << 32
	}
	return time.Unix(seconds+ntpEpoch, int64((r.ntp&0xffffffff)*1e9>>32))
}

// parseControl finds in a compound packet the sender report, of source 0 if there is none, and the source that says it ends.
func parseControl(b []byte) (report senderReport, leaves uint32, bye bool) {
	for len(b) >= 4 && b[0]>>6 == 2 {
		n := 4 + 4*int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			break
		}
		switch {
		case b[1] == rtcpSR && n >= 28:
			report = senderReport{ssrc: binary.BigEndian.Uint32(b[4:]), ntp: binary.BigEndian.Uint64(b[8:]), rtp: binary.BigEndian.Uint32(b[16:])}
		case b[1] == rtcpBYE && n >= 8:
			leaves, bye = binary.BigEndian.Uint32(b[4:]), true
		}
		b = b[n:]
	}
	return report, leaves, bye
}

// reception counts what a receiver report tells (RFC 3550 sections 6.4.1, A.3 and A.8).
type reception struct {
	rate     uint32 // of RTP timestamps, a second
	ssrc     uint32
	base     uint32 // the first sequence number
	highest  uint32 // the last one, with its cycles
	received uint32
	expected uint32 // at the last report, likewise received
	previous uint32
	jitter   float64
	transit  float64
	report   uint32    // the middle 32 bits of the last sender report's time
	reported time.Time // when that came
}

// see takes in a packet as it comes.
func (r *reception) see(p packet) {
	transit := float64(p.came.UnixNano())/1e9*float64(r.rate) - float64(p.ts)
	if r.received == 0 {
		r.ssrc, r.base, r.highest, r.transit = p.ssrc, uint32(p.seq), uint32(p.seq), transit
	}
	r.received++
	if ahead := int16(p.seq - uint16(r.highest)); ahead > 0 {
		r.highest += uint32(ahead)
	}
	// Timestamps that wrap around, or jump, are not jitter.
	if d := transit - r.transit; d > -float64(r.rate) && d < float64(r.rate) {
		r.jitter += (max(d, -d) - r.jitter) / 16
	}
	r.transit = transit
}

// heard takes in a sender report.
func (r *reception) heard(s senderReport, came time.Time) {
	r.report, r.reported = uint32(s.ntp>>16), came
}

// write makes a receiver report with the name that must go along (section 6.1), and with lost a wish for a keyframe.
func (r *reception) write(own uint32, now time.Time, lost bool) []byte {
	expected := r.highest - r.base + 1
	missing := int32(expected - r.received)
	interval, got := expected-r.expected, r.received-r.previous
	r.expected, r.previous = expected, r.received
	var fraction byte
	if interval > got {
		fraction = byte(min(uint64(interval-got)*256/uint64(interval), 255))
	}
	b := []byte{0x81, rtcpRR, 0, 7}
	b = binary.BigEndian.AppendUint32(b, own)
	b = binary.BigEndian.AppendUint32(b, r.ssrc)
	b = binary.BigEndian.AppendUint32(b, uint32(fraction)<<24|uint32(min(max(missing, 0), 0x7fffff)))
	b = binary.BigEndian.AppendUint32(b, r.highest)
	b = binary.BigEndian.AppendUint32(b, uint32(r.jitter))
	b = binary.BigEndian.AppendUint32(b, r.report)
	var since uint32
	if r.report != 0 {
		since = uint32(min(now.Sub(r.reported), time.Hour) * 65536 / time.Second)
	}
	b = binary.BigEndian.AppendUint32(b, since)
	const name = "sightline"
	b = append(b, 0x81, rtcpSDES, 0, 4)
	b = binary.BigEndian.AppendUint32(b, own)
	b = append(append(b, 1, byte(len(name))), name...)
	b = append(b, 0) // ends the items, on a border of 32 bits
	if lost {
		b = append(b, 0x80|fmtPLI, rtcpPSFB, 0, 2)
		b = binary.BigEndian.AppendUint32(b, own)
		b = binary.BigEndian.AppendUint32(b, r.ssrc)
	}
	return b
}
