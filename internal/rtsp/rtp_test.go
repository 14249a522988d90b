package rtsp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"sightline/internal/rtsp/rtsptest"
)

func TestParsePacket(t *testing.T) {
	source := rtsptest.Packets{Seq: 65535, SSRC: 9, Payload: 96}
	b := source.Packet(77, true, []byte("media"))
	p, err := parsePacket(b, time.Time{})
	if err != nil || p.kind != 96 || !p.marker || p.seq != 65535 || p.ts != 77 || p.ssrc != 9 || string(p.payload) != "media" {
		t.Fatalf("%+v, %v", p, err)
	}
	// Two contributing sources, an extension of one word, three bytes of padding.
	full := append([]byte{0x80 | 0x20 | 0x10 | 2}, b[1:12]...)
	full = append(full, make([]byte, 8)...)
	full = append(full, 0xbe, 0xde, 0, 1, 1, 2, 3, 4)
	full = append(append(full, "media"...), 0, 0, 3)
	if p, err = parsePacket(full, time.Time{}); err != nil || string(p.payload) != "media" {
		t.Fatalf("%+v, %v", p, err)
	}
	for n := range full[:28] {
		if _, err := parsePacket(full[:n], time.Time{}); err == nil {
			t.Errorf("%d bytes of a header pass", n)
		}
	}
	for _, bad := range [][]byte{append([]byte{0x40}, b[1:]...), append(bytes.Clone(append([]byte{0xa0}, b[1:]...)), 200)} {
		if _, err := parsePacket(bad, time.Time{}); err == nil {
			t.Errorf("% x passes", bad)
		}
	}
}

func TestOrder(t *testing.T) {
	for _, tc := range []struct {
		name   string
		window int
		come   []uint16
		want   string // what is given; *n for those lost before
	}{
		{"in order", 64, []uint16{65534, 65535, 0, 1}, "65534 65535 0 1"},
		{"overtaken", 64, []uint16{1, 3, 4, 2, 5}, "1 2 3 4 5"},
		{"twice", 64, []uint16{1, 2, 2, 4, 4, 3, 1, 5}, "1 2 3 4 5"},
		{"lost, with more behind than may wait", 2, []uint16{1, 3, 4, 5, 2, 6}, "1 3*1 4 5 6"},
		{"lost over TCP", 0, []uint16{1, 4, 5}, "1 4*2 5"},
		{"begun anew", 64, []uint16{1, 30000, 30001}, "1 30000*1 30001"},
		{"too late", 1, []uint16{10, 12, 13, 11, 14}, "10 12*1 13 14"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := order{window: tc.window}
			var got []string
			now := time.Now()
			for _, seq := range tc.come {
				o.put(packet{seq: seq, came: now}, func(p packet, lost int) {
					s := fmt.Sprint(p.seq)
					if lost > 0 {
						s += fmt.Sprintf("*%d", lost)
					}
					got = append(got, s)
				})
			}
			if s := fmt.Sprint(got); s != "["+tc.want+"]" {
				t.Errorf("%s, want %s", s, tc.want)
			}
		})
	}
}

func TestOrder_WaitsNotLong(t *testing.T) {
	o := order{window: orderPackets}
	var got []uint16
	give := func(p packet, _ int) { got = append(got, p.seq) }
	now := time.Now()
	o.put(packet{seq: 1, came: now}, give)
	payload := []byte{7}
	o.put(packet{seq: 3, came: now, payload: payload}, func(p packet, _ int) { t.Errorf("%d is given", p.seq) })
	payload[0] = 8 // the reader's buffer is used again
	o.put(packet{seq: 4, came: now.Add(orderWait + 1)}, func(p packet, lost int) {
		if p.seq == 3 && (lost != 1 || p.payload[0] != 7) {
			t.Errorf("%+v after %d lost", p, lost)
		}
		give(p, lost)
	})
	if !slices.Equal(got, []uint16{1, 3, 4}) {
		t.Errorf("%v", got)
	}
}

func TestReception_Report(t *testing.T) {
	r := reception{rate: rate}
	now := time.Now()
	source := rtsptest.Packets{SSRC: 5, Seq: 65530}
	for i := range 20 {
		p, err := parsePacket(source.Packet(uint32(i*ticks), true, nil), now.Add(time.Duration(i)*step))
		if err != nil {
			t.Fatal(err)
		}
		if i != 3 && i != 4 {
			r.see(p)
		}
	}
	s, _, bye := parseControl(source.Report(now, 0))
	if s.ssrc != 5 || bye {
		t.Fatalf("%+v, %t", s, bye)
	}
	r.heard(s, now)
	b := r.write(1, now.Add(500*time.Millisecond), true)
	u32 := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	if u32(8) != 5 || u32(12) != 2*256/20<<24|2 || u32(16) != 1<<16+13 || u32(20) != 0 || u32(24) != uint32(s.ntp>>16) || u32(28) != 65536/2 {
		t.Errorf("% x", b)
	}
	// A compound of three packets whose lengths fit.
	var kinds []byte
	for rest := b; len(rest) > 0; rest = rest[4+4*int(binary.BigEndian.Uint16(rest[2:])):] {
		kinds = append(kinds, rest[1])
	}
	if !slices.Equal(kinds, []byte{rtcpRR, rtcpSDES, rtcpPSFB}) {
		t.Errorf("kinds %v", kinds)
	}
	if b = r.write(1, now, false); b[12] != 0 || u32(12) != 2 || len(b) != 52 {
		t.Errorf("the second report: % x", b)
	}
}

func FuzzPacket(f *testing.F) {
	source := rtsptest.Packets{Payload: 96}
	f.Add(source.Packet(1, true, []byte{1, 2, 3}))
	f.Add(append([]byte{0xbf}, source.Packet(1, true, make([]byte, 80))[1:]...))
	f.Add(source.Report(time.Unix(1e9, 0), 5))
	f.Fuzz(func(_ *testing.T, b []byte) {
		r := reception{rate: rate}
		if p, err := parsePacket(b, time.Unix(0, 0)); err == nil {
			r.see(p)
		}
		s, _, _ := parseControl(b)
		r.heard(s, time.Unix(0, 0))
		_ = s.wall()
		r.write(1, time.Unix(1, 0), true)
	})
}

func FuzzOrder(f *testing.F) {
	f.Add([]byte{1, 3, 2, 200, 4})
	f.Fuzz(func(t *testing.T, steps []byte) {
		o := order{window: 8}
		seq, last, begun := uint16(65000), uint16(0), false
		for _, s := range steps {
			seq += uint16(int16(int8(s)))
			o.put(packet{seq: seq}, func(p packet, lost int) {
				if begun && lost == 0 && p.seq != last+1 {
					t.Fatalf("%d after %d, and nothing lost", p.seq, last)
				}
				last, begun = p.seq, true
			})
			if len(o.early) > o.window {
				t.Fatalf("%d packets wait", len(o.early))
			}
		}
	})
}
