//go:build cgo

package capture_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"sightline/internal/capture"
	"sightline/internal/h264"
	"sightline/internal/media"
	"sightline/internal/rtsp/rtsptest"
)

// coded is the test pattern as access units of H.264, 720p30, each a list of NAL units.
func coded(t testing.TB, count int) (units [][][]byte) {
	t.Helper()
	engine := capture.NewLibav()
	feed, err := engine.Open(t.Context(), source(t, "test:?size=1280x720&fps=200"))
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	enc, err := engine.NewEncoder(capture.EncoderOptions{Codec: media.CodecH264, Width: 1280, Height: 720, FrameRateMilli: 30_000, BitrateBps: 4_000_000, Preset: "ultrafast"})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	for n := range count {
		p, err := feed.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		au, _, err := enc.Encode(p.Image, int64(n)*33_333, n == 0)
		if err != nil {
			t.Fatal(err)
		}
		var nals [][]byte
		for nal := range h264.Units(au) {
			nals = append(nals, slices.Clone(nal))
		}
		units = append(units, nals)
		p.Release()
	}
	return units
}

// sdp describes H.264 with the parameter sets of its first access unit.
func sdp(unit [][]byte) string {
	var sps, pps string
	for _, n := range unit {
		switch h264.NAL(n).Type() {
		case h264.TypeSPS:
			sps = base64.StdEncoding.EncodeToString(n)
		case h264.TypePPS:
			pps = base64.StdEncoding.EncodeToString(n)
		}
	}
	return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n" +
		fmt.Sprintf("a=fmtp:96 packetization-mode=1;sprop-parameter-sets=%s,%s\r\na=control:track1\r\n", sps, pps)
}

// BenchmarkRTSP_Delay is what passes from the writing of an access unit's last packet to the unit's being at hand, at 30 a second.
func BenchmarkRTSP_Delay(b *testing.B) {
	units := coded(b, 60)
	end := func(au []byte) string { return string(au[len(au)-16:]) } // tells one from the others
	var mu sync.Mutex
	sent := map[string]time.Time{}
	camera := rtsptest.Start(b, rtsptest.Options{SDP: sdp(units[0]), Play: func(ctx context.Context, c *rtsptest.Conn) {
		p := rtsptest.Packets{Payload: 96, SSRC: 7}
		tick := time.NewTicker(time.Second / 30)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			nals := units[n%len(units)]
			packets := p.H264(uint32(n*3000), nals...)
			last := len(packets) - 1
			for _, packet := range packets[:last] {
				c.RTP(packet)
			}
			mu.Lock()
			sent[end(nals[len(nals)-1])] = time.Now()
			mu.Unlock()
			c.RTP(packets[last])
		}
	}})
	feed, err := capture.NewLibav().Open(b.Context(), source(b, camera.URL(nil, "/s").String()))
	if err != nil {
		b.Fatal(err)
	}
	defer feed.Close()
	var delays []time.Duration
	next := func() {
		u, _, err := feed.(capture.Native).NextUnit(b.Context(), false)
		if err != nil {
			b.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		delays = append(delays, time.Since(sent[end(u.Data)]))
	}
	for range 20 { // past what is there at the beginning
		next()
	}
	delays = nil
	for b.Loop() {
		next()
	}
	slices.Sort(delays)
	b.ReportMetric(float64(delays[len(delays)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(delays[len(delays)*95/100].Microseconds())/1000, "p95-ms")
}
