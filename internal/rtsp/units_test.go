package rtsp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/jpeg"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/rtsp/rtsptest"
)

// NAL units whose first byte is right; of slices the second says which kind: 0xb8 is I, 0x9a P.
var (
	sps   = []byte{0x67, 66, 1, 2} //nolint:gochecknoglobals // nobody writes to it
	pps   = []byte{0x68, 3, 4}     //nolint:gochecknoglobals // likewise
	idr   = []byte{0x65, 0xb8, 5}  //nolint:gochecknoglobals // likewise
	islic = []byte{0x41, 0xb8, 5}  //nolint:gochecknoglobals // likewise
	delta = []byte{0x41, 0x9a, 6}  //nolint:gochecknoglobals // likewise
)

func annex(nals ...[]byte) (b []byte) {
	for _, n := range nals {
		b = append(append(b, 0, 0, 0, 1), n...)
	}
	return b
}

// assemble puts payloads, each with a timestamp, through an assembler and gives the units. A payload after "lost" has one lost before it.
type piece struct {
	ts      uint32
	marker  bool
	lost    bool
	payload []byte
}

func assemble(a *assembler, pieces ...piece) (got []unit) {
	for _, p := range pieces {
		lost := 0
		if p.lost {
			lost = 1
		}
		a.put(packet{ts: p.ts, marker: p.marker, payload: p.payload}, lost, func(u unit) { got = append(got, u) })
	}
	return got
}

func sameUnits(t *testing.T, got []unit, want ...unit) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b unit) bool { return a.key == b.key && a.ts == b.ts && bytes.Equal(a.data, b.data) }) {
		t.Errorf("units %v, want %v", got, want)
	}
}

func TestH264(t *testing.T) {
	stap := slices.Concat([]byte{24, 0, byte(len(sps))}, sps, []byte{0, byte(len(pps))}, pps, []byte{0, byte(len(idr))}, idr)
	long := append([]byte{0x65, 0xb8}, bytes.Repeat([]byte{9}, 3000)...)
	source := rtsptest.Packets{}
	var parts []piece
	for _, b := range source.H264(1, sps, pps, long) {
		p, err := parsePacket(b, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, piece{ts: 1, marker: p.marker, payload: p.payload})
	}
	for _, tc := range []struct {
		name   string
		sets   []byte
		pieces []piece
		want   []unit
	}{
		{"single units, ended by the marker", nil, []piece{{1, false, false, sps}, {1, false, false, pps}, {1, true, false, idr}, {2, true, false, delta}}, []unit{{data: annex(sps, pps, idr), key: true, ts: 1}, {data: annex(delta), ts: 2}}},
		{"no markers: ended by the next time", nil, []piece{{1, false, false, sps}, {1, false, false, idr}, {2, false, false, delta}, {3, false, false, delta}}, []unit{{data: annex(sps, idr), key: true, ts: 1}, {data: annex(delta), ts: 2}}},
		{"a marker on every packet", nil, []piece{{1, true, false, sps}, {1, true, false, pps}, {1, true, false, idr}, {2, true, false, delta}}, []unit{{data: annex(sps, pps, idr), key: true, ts: 1}, {data: annex(delta), ts: 2}}},
		{"parameter sets at another time", nil, []piece{{1, true, false, sps}, {2, true, false, idr}}, []unit{{data: annex(sps, idr), key: true, ts: 2}}},
		{"aggregated", nil, []piece{{1, true, false, stap}}, []unit{{data: annex(sps, pps, idr), key: true, ts: 1}}},
		{"in parts", nil, parts, []unit{{data: annex(sps, pps, long), key: true, ts: 1}}},
		{"parameter sets from the SDP", annex(sps, pps), []piece{{1, true, false, idr}, {2, true, false, delta}}, []unit{{data: annex(sps, pps, idr), key: true, ts: 1}, {data: annex(delta), ts: 2}}},
		{"newer ones in band", annex(pps), []piece{{1, false, false, sps}, {1, false, false, pps}, {1, true, false, idr}, {2, true, false, idr}}, []unit{{data: annex(sps, pps, idr), key: true, ts: 1}, {data: annex(sps, pps, idr), key: true, ts: 2}}},
		{"nothing before a keyframe", nil, []piece{{1, true, false, delta}, {2, true, false, idr}}, []unit{{data: annex(idr), key: true, ts: 2}}},
		{"a camera without IDR pictures", nil, []piece{{1, true, false, delta}, {2, true, false, islic}, {3, true, false, delta}}, []unit{{data: annex(islic), key: true, ts: 2}, {data: annex(delta), ts: 3}}},
		{"I pictures are no keyframes where there are IDR pictures", nil, []piece{{1, true, false, idr}, {2, true, true, delta}, {3, true, false, islic}, {4, true, false, delta}, {5, true, false, idr}}, []unit{{data: annex(idr), key: true, ts: 1}, {data: annex(idr), key: true, ts: 5}}},
		{"lost between two units: both are damaged", nil, []piece{{1, true, false, idr}, {2, false, false, delta}, {3, true, true, idr}, {4, true, false, delta}, {5, true, false, idr}}, []unit{{data: annex(idr), key: true, ts: 1}, {data: annex(idr), key: true, ts: 5}}},
		{"lost inside a keyframe", nil, append(slices.Clone(parts[:3]), piece{1, true, true, parts[4].payload}, piece{2, true, false, delta}, piece{3, true, false, idr}), []unit{{data: annex(idr), key: true, ts: 3}}},
		{"a part without its beginning", nil, []piece{{1, true, false, []byte{0x7c, 5, 1}}, {2, true, false, idr}}, []unit{{data: annex(idr), key: true, ts: 2}}},
		{"an aggregate that is cut", nil, []piece{{1, true, false, stap[:len(stap)-1]}, {2, true, false, idr}}, []unit{{data: annex(idr), key: true, ts: 2}}},
		{"interleaved modes", nil, []piece{{1, true, false, []byte{25, 0, 0, 0, 1, 0x65}}, {2, true, false, idr}}, []unit{{data: annex(idr), key: true, ts: 2}}},
		{"an empty packet with the marker", nil, []piece{{1, false, false, idr}, {1, true, false, nil}, {2, true, false, delta}}, []unit{{data: annex(idr), key: true, ts: 1}, {data: annex(delta), ts: 2}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sameUnits(t, assemble(newAssembler(newH264(tc.sets)), tc.pieces...), tc.want...)
		})
	}
}

func TestAssembler_BoundsAUnit(t *testing.T) {
	a := newAssembler(newH264(nil))
	pieces := []piece{{ts: 1, payload: []byte{0x7c, 0x85, 1}}}
	for range maxUnit/60000 + 2 {
		pieces = append(pieces, piece{ts: 1, payload: append([]byte{0x7c, 5}, make([]byte, 60000)...)})
	}
	pieces = append(pieces, piece{ts: 1, marker: true, payload: []byte{0x7c, 0x45, 1}}, piece{ts: 2, marker: true, payload: idr})
	sameUnits(t, assemble(a, pieces...), unit{data: annex(idr), key: true, ts: 2})
	if cap(a.buf) > 3*maxUnit {
		t.Errorf("%d bytes are held", cap(a.buf))
	}
}

func TestH265(t *testing.T) {
	vps, sps, pps := []byte{32 << 1, 1, 1}, []byte{33 << 1, 1, 2}, []byte{34 << 1, 1, 3}
	idr, delta := []byte{19 << 1, 1, 4, 5, 6}, []byte{1 << 1, 1, 7}
	ap := []byte{48 << 1, 1}
	for _, n := range [][]byte{vps, sps, pps} {
		ap = append(append(ap, 0, byte(len(n))), n...)
	}
	fu := func(flags byte, b ...byte) []byte { return append([]byte{49 << 1, 1, flags | 19}, b...) }
	for _, tc := range []struct {
		name   string
		sets   []byte
		pieces []piece
		want   []unit
	}{
		{"single units", nil, []piece{{1, false, false, vps}, {1, false, false, sps}, {1, false, false, pps}, {1, true, false, idr}, {2, true, false, delta}}, []unit{{data: annex(vps, sps, pps, idr), key: true, ts: 1}, {data: annex(delta), ts: 2}}},
		{"aggregated and in parts", nil, []piece{{1, false, false, ap}, {1, false, false, fu(0x80, 4)}, {1, false, false, fu(0, 5)}, {1, true, false, fu(0x40, 6)}}, []unit{{data: annex(vps, sps, pps, idr), key: true, ts: 1}}},
		{"parameter sets from the SDP", annex(vps, sps, pps), []piece{{1, true, false, delta}, {2, true, false, idr}}, []unit{{data: annex(vps, sps, pps, idr), key: true, ts: 2}}},
		{"lost", nil, []piece{{1, true, false, idr}, {2, true, true, delta}, {3, true, false, delta}, {4, true, false, idr}}, []unit{{data: annex(idr), key: true, ts: 1}, {data: annex(idr), key: true, ts: 4}}},
		{"a part without its beginning", nil, []piece{{1, true, false, fu(0x40, 6)}, {2, true, false, idr}}, []unit{{data: annex(idr), key: true, ts: 2}}},
		{"PACI packets", nil, []piece{{1, true, false, []byte{50 << 1, 1, 0, 0}}, {2, true, false, idr}}, []unit{{data: annex(idr), key: true, ts: 2}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sameUnits(t, assemble(newAssembler(newH265(tc.sets)), tc.pieces...), tc.want...)
		})
	}
}

// scan cuts a JPEG of Go's encoder, whose tables are those of RFC 2435's Q, into its quantization tables and its scan.
func scan(t testing.TB, quality int) (tables, data []byte) {
	t.Helper()
	img := image.NewYCbCr(image.Rect(0, 0, 64, 48), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = byte(i * 7)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	all := b.Bytes()
	i := bytes.Index(all, []byte{0xff, 0xdb})
	for _, at := range []int{i + 5, i + 70} {
		tables = append(tables, all[at:at+64]...)
	}
	i = bytes.Index(all, []byte{0xff, 0xda})
	return tables, all[i+2+12:]
}

func jpegPieces(ts uint32, q byte, tables, data []byte) (pieces []piece) {
	for at := 0; at < len(data); {
		part := data[at:min(at+300, len(data))]
		payload := []byte{0, byte(at >> 16), byte(at >> 8), byte(at), 1, q, 8, 6}
		if at == 0 && q >= 128 {
			payload = append(payload, 0, 0, byte(len(tables)>>8), byte(len(tables)))
			payload = append(payload, tables...)
		}
		at += len(part)
		pieces = append(pieces, piece{ts: ts, marker: at == len(data), payload: append(payload, part...)})
	}
	return pieces
}

// luma decodes a unit, with the Huffman tables that it leaves out.
func luma(t *testing.T, data []byte) *image.YCbCr {
	t.Helper()
	var whole bytes.Buffer
	if err := jpeg.Encode(&whole, image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio420), nil); err != nil {
		t.Fatal(err)
	}
	i, j := bytes.Index(whole.Bytes(), []byte{0xff, 0xc4}), bytes.Index(whole.Bytes(), []byte{0xff, 0xda})
	at := bytes.Index(data, []byte{0xff, 0xda})
	img, err := jpeg.Decode(bytes.NewReader(slices.Concat(data[:at], whole.Bytes()[i:j], data[at:])))
	if err != nil {
		t.Fatal(err)
	}
	return img.(*image.YCbCr)
}

func TestJPEG(t *testing.T) {
	for _, quality := range []int{30, 80} {
		t.Run(fmt.Sprint(quality), func(t *testing.T) {
			tables, data := scan(t, quality)
			d := newJPEG(0, 0)
			a := newAssembler(d)
			got := assemble(a, slices.Concat(
				jpegPieces(1, byte(quality), nil, data), // by Q
				jpegPieces(2, 200, tables, data),        // sent along
				jpegPieces(3, 200, nil, data),           // the same as before
				jpegPieces(4, 201, nil, data),           // never sent
				jpegPieces(5, 255, tables, data),
			)...)
			if len(got) != 4 {
				t.Fatalf("%d units", len(got))
			}
			first := luma(t, got[0].data)
			if first.Rect.Dx() != 64 || first.Rect.Dy() != 48 {
				t.Fatalf("%v", first.Rect)
			}
			for _, u := range got {
				if !u.key || !bytes.Equal(luma(t, u.data).Y, first.Y) {
					t.Errorf("unit %d differs", u.ts)
				}
			}
		})
	}
}

func TestJPEG_LostOrNonsense(t *testing.T) {
	tables, data := scan(t, 80)
	good := jpegPieces(9, 255, tables, data)
	change := func(at int, b byte) []piece {
		p := jpegPieces(1, 255, tables, data)
		for i := range p {
			p[i].payload[at] = b
		}
		return p
	}
	gap := jpegPieces(1, 255, tables, data)
	for name, pieces := range map[string][]piece{
		"a part is missing":         slices.Concat(gap[:1], gap[2:]),
		"the first part is":         gap[1:],
		"an unknown type":           change(4, 7),
		"a field":                   change(0, 1),
		"a reserved Q":              change(5, 110),
		"no size":                   change(6, 0),
		"tables that are not there": {{ts: 1, marker: true, payload: gap[0].payload[:40]}},
		"a header that is cut":      {{ts: 1, marker: true, payload: gap[0].payload[:5]}},
	} {
		got := assemble(newAssembler(newJPEG(0, 0)), slices.Concat(pieces, good)...)
		if len(got) != 1 || got[0].ts != 9 {
			t.Errorf("%s: %d units", name, len(got))
		}
	}
	large := change(6, 0)
	if got := assemble(newAssembler(newJPEG(64, 48)), large...); len(got) != 1 || luma(t, got[0].data).Rect.Dx() != 64 {
		t.Errorf("%d units with the size from the SDP", len(got))
	}
	// A restart interval goes into the header.
	restart := jpegPieces(1, 80, nil, data)
	for i, p := range restart {
		p.payload[4] = 65
		restart[i].payload = slices.Concat(p.payload[:8], []byte{0, 4, 0xff, 0xff}, p.payload[8:])
	}
	if got := assemble(newAssembler(newJPEG(0, 0)), restart...); len(got) != 1 || !bytes.Contains(got[0].data, []byte{0xff, 0xdd, 0, 4, 0, 4}) {
		t.Errorf("%v has no restart interval", got)
	}
}

func TestParseSDP(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	h264 := "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1; sprop-parameter-sets=" + b64(sps) + "," + b64(pps) + "\r\na=control:track1\r\na=framerate:12.5\r\n"
	tr, base, err := parseSDP([]byte("v=0\r\na=control:rtsp://cam/base\r\nm=audio 0 RTP/AVP 0\r\na=control:track9\r\n" + h264 + "m=video 0 RTP/AVP 26\r\n"))
	if err != nil || tr.Codec != H264 || tr.FrameRateMilli != 12_500 || tr.payload != 96 || tr.rate != 90000 || tr.control != "track1" || base != "rtsp://cam/base" || tr.feedback || !bytes.Equal(tr.sets, annex(sps, pps)) {
		t.Errorf("%+v, %q, %v", tr, base, err)
	}
	tr, _, err = parseSDP([]byte("m=video 0 RTP/AVPF 97\na=rtpmap:97 h265/90000\na=fmtp:97 sprop-vps=" + b64(sps) + ";sprop-pps=" + b64(pps) + ";sprop-sps=%%%\na=rtcp-fb:* nack pli\n"))
	if err != nil || tr.Codec != H265 || !tr.feedback || !bytes.Equal(tr.sets, annex(sps, pps)) {
		t.Errorf("%+v, %v", tr, err)
	}
	tr, _, err = parseSDP([]byte("m=video 0 RTP/AVP 26\na=x-dimensions:2560,1440\na=framerate:nan\n"))
	if err != nil || tr.Codec != JPEG || tr.width != 2560 || tr.height != 1440 || tr.rate != 90000 || tr.FrameRateMilli != 0 {
		t.Errorf("%+v, %v", tr, err)
	}
	for text, want := range map[string]string{
		"":                        "it offers none",
		"m=audio 0 RTP/AVP 0\r\n": "it offers none",
		"m=video 0 RTP/AVP 96\r\na=rtpmap:96 MP4V-ES/90000\r\nm=video 0 RTP/AVP 31\r\n":           "it offers MP4V-ES, payload type 31",
		"m=video 0 RTP/SAVP 96\r\na=rtpmap:96 H264/90000\r\n":                                     "it offers H264 over RTP/SAVP",
		"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=2\r\n":    "it offers H264 interleaved",
		"m=video 0 RTP/AVP 96\r\na=rtpmap:96 a\x1b[31m" + strings.Repeat("b", 100) + "/90000\r\n": "it offers a[31m" + strings.Repeat("b", 35),
		"m=video 0 RTP/AVP 200\r\na=rtpmap:200 H264/90000\r\n":                                    "it offers H264",
	} {
		if _, _, err := parseSDP([]byte(text)); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzSDP(f *testing.F) {
	f.Add([]byte("v=0\r\na=control:*\r\nm=video 0 RTP/AVPF 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 sprop-parameter-sets=Z0I=,aM4=\r\na=rtcp-fb:96 nack pli\r\n"))
	f.Add([]byte("m=video 0 RTP/AVP 26\na=x-dimensions:1,2\na=framerate:1e3\nm=video\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr, _, err := parseSDP(b)
		if err == nil && (tr.rate == 0 || tr.payload > 127 || len(tr.sets) > 3*len(b)) {
			t.Fatalf("%+v", tr)
		}
	})
}

// fuzzUnits throws packets at a depacketizer: each is a length, flags and a payload.
func fuzzUnits(f *testing.F, make func() depacketizer, payloads ...[]byte) {
	for _, p := range payloads {
		f.Add(append([]byte{byte(len(p)), 1}, p...))
		f.Add(slices.Concat([]byte{byte(len(p)), 0}, p, []byte{byte(len(p)), 5}, p))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a := newAssembler(make())
		ts, total := uint32(0), len(b)
		for len(b) >= 2 {
			n, flags := min(int(b[0]), len(b)-2), b[1]
			p := packet{ts: ts, marker: flags&1 != 0, payload: b[2 : 2+n]}
			b = b[2+n:]
			if flags&2 != 0 {
				ts++
			}
			a.put(p, int(flags>>2&1), func(u unit) {
				if len(u.data) == 0 || len(u.data) > 8*total+1000 {
					t.Fatalf("a unit of %d bytes from %d", len(u.data), total)
				}
			})
		}
	})
}

func FuzzH264(f *testing.F) {
	fuzzUnits(f, func() depacketizer { return newH264(nil) }, sps, idr, delta, []byte{0x7c, 0x85, 1, 2}, []byte{0x7c, 5, 1}, []byte{24, 0, 2, 0x67, 1, 0, 1, 0x68})
}

func FuzzH265(f *testing.F) {
	fuzzUnits(f, func() depacketizer { return newH265(nil) }, []byte{33 << 1, 1, 2}, []byte{19 << 1, 1, 4}, []byte{49 << 1, 1, 0x80 | 19, 4}, []byte{48 << 1, 1, 0, 2, 33 << 1, 1})
}

func FuzzJPEG(f *testing.F) {
	fuzzUnits(f, func() depacketizer { return newJPEG(0, 0) }, []byte{0, 0, 0, 0, 1, 80, 8, 6, 1, 2, 3}, []byte{0, 0, 0, 3, 1, 80, 8, 6, 1, 2, 3}, []byte{0, 0, 0, 0, 65, 255, 8, 6, 0, 4, 0, 0, 0, 0, 0, 0})
}
