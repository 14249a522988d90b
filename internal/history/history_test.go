package history

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/sessions"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string) (*Store, *bytes.Buffer) {
	t.Helper()
	var said bytes.Buffer
	s, err := Open(dir, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s, &said
}

func minute(at int64) Minute {
	return Minute{At: at, Server: Server{Viewers: int(at % 7), SentBps: 1e6}, Streams: map[string]Stream{
		"gate/door": {Viewers: 3, FrameRate: 29.97, Bps: 2.4e6, LatencyP50: 22.5, LatencyP95: 31, PSNR: 41.2, SSIM: .9812},
	}}
}

func fill(t testing.TB, s *Store, from, to int64) {
	t.Helper()
	for at := from; at < to; at++ {
		if err := s.Add(minute(at)); err != nil {
			t.Fatal(err)
		}
	}
}

func ats(list []Minute) (at []int64) {
	for _, m := range list {
		at = append(at, m.At)
	}
	return at
}

func TestStore_OutlivesItsServer(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	fill(t, s, 100, 110)
	if err := s.Add(minute(105)); err != nil { // the clock was set back
		t.Fatal(err)
	}
	fill(t, s, 120, 122) // the server was off
	again, said := open(t, dir)
	if got, want := again.Since(time.Unix(0, 0)), s.Since(time.Unix(0, 0)); !reflect.DeepEqual(got, want) || len(got) != 12 {
		t.Errorf("got %v, want %v", ats(got), ats(want))
	}
	if got := ats(again.Since(time.Unix(108*60, 0))); !reflect.DeepEqual(got, []int64{108, 109, 120, 121}) {
		t.Errorf("since minute 108: %v", got)
	}
	if said.Len() > 0 {
		t.Errorf("it says %s", said)
	}
}

// A server that is killed leaves what had reached its file: any part of the last line.
func TestStore_SurvivesBeingKilled(t *testing.T) {
	whole := t.TempDir()
	s, _ := open(t, whole)
	fill(t, s, 1, 4)
	data, err := os.ReadFile(filepath.Join(whole, newer))
	if err != nil {
		t.Fatal(err)
	}
	last := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
	for cut := last; cut < len(data); cut++ {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, newer), data[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s, said := open(t, dir)
		fill(t, s, 4, 6)
		again, _ := open(t, dir)
		if got := ats(again.Since(time.Unix(0, 0))); !reflect.DeepEqual(got, []int64{1, 2, 4, 5}) || said.Len() > 0 {
			t.Fatalf("cut at %d: %v, and it says %q", cut, got, said)
		}
	}
}

func TestStore_SetsABrokenFileAside(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	fill(t, s, 1, 6)
	path := filepath.Join(dir, newer)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := bytes.Replace(data, []byte(`"at":3`), []byte(`"at":9`), 1)
	if err := os.WriteFile(path, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	s, said := open(t, dir)
	if got := ats(s.Since(time.Unix(0, 0))); !reflect.DeepEqual(got, []int64{1, 2}) {
		t.Errorf("kept %v", got)
	}
	if !strings.Contains(said.String(), "history.log.broken") || strings.Count(said.String(), "\n") != 1 {
		t.Errorf("it says %q", said)
	}
	if aside, err := os.ReadFile(path + ".broken"); err != nil || !bytes.Equal(aside, broken) {
		t.Errorf("set aside: %v, %q", err, aside)
	}
	fill(t, s, 6, 8)
	again, said := open(t, dir)
	if got := ats(again.Since(time.Unix(0, 0))); !reflect.DeepEqual(got, []int64{1, 2, 6, 7}) || said.Len() > 0 {
		t.Errorf("the next start has %v, and says %q", got, said)
	}
}

func TestStore_IsBounded(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	const most = Kept + halfDay + 10
	fill(t, s, 0, most)
	if got := s.Since(time.Unix(0, 0)); len(got) < Kept || len(got) > Kept+halfDay || got[len(got)-1].At != most-1 {
		t.Errorf("%d minutes, the last %d", len(got), got[len(got)-1].At)
	}
	again, _ := open(t, dir)
	if got := again.Since(time.Unix(0, 0)); len(got) < halfDay || len(got) > Kept {
		t.Errorf("%d minutes after a start", len(got))
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if len(files) != 2 || info.Size() > maxFileBytes || info.Mode().Perm() != 0o600 {
			t.Errorf("%d files; %s has %d bytes and mode %v", len(files), f.Name(), info.Size(), info.Mode())
		}
	}
}

// totals of a stream whose one rendition has come to n pictures.
func totals(id media.StreamID, n uint64, viewers int) hub.StreamTotals {
	return hub.StreamTotals{ID: id, Viewers: viewers, Renditions: []hub.Totals{{
		Rendition: media.Rendition{ID: 1, Name: "720p"}, FramesIn: n, BytesIn: n * 10_000, FramesOut: n, BytesOut: n * 20_000, Viewers: viewers,
		Dropped: map[hub.DropReason]uint64{hub.DropQueue: n / 100}, Figures: hub.Figures{PSNR: 41.23, SSIM: .98765},
	}}}
}

func TestSampler_TakesAMinutesShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := open(t, t.TempDir())
		began := time.Now()
		count := func() uint64 { return 1000 + uint64(30*time.Since(began).Seconds()) }
		sampler := NewSampler(store, Sources{
			Now: time.Now,
			Streams: func() []hub.StreamTotals {
				list := []hub.StreamTotals{totals("door", count(), 2)}
				for i := range MaxStreams + 20 {
					list = append(list, hub.StreamTotals{ID: media.StreamID(fmt.Sprintf("empty%03d", i))})
				}
				return append(list, totals("yard", 0, 1))
			},
			Sessions: func() []sessions.Session {
				f := func(p50, p95 time.Duration) sessions.Session {
					return sessions.Session{Info: sessions.Info{Stream: "door"}, Figures: sessions.Figures{PaintP50: p50, PaintP95: p95}}
				}
				return []sessions.Session{f(20*time.Millisecond, 30*time.Millisecond), f(0, 0), f(24*time.Millisecond, 90*time.Millisecond)}
			},
			Refused: func() uint64 { return count() / 30 },
		}, slog.New(slog.DiscardHandler))
		done := make(chan struct{})
		go func() { sampler.Run(t.Context()); close(done) }()
		time.Sleep(2*time.Minute + time.Second) // of the bubble's clock
		got := store.Since(began)
		if len(got) != 2 {
			t.Fatalf("%d samples in two minutes", len(got))
		}
		m := got[1]
		want := Stream{
			Viewers: 2, FrameRate: 30, Bps: 30 * 10_000 * 8, LatencyP50: 24, LatencyP95: 90, Dropped: 18, PSNR: 41.2, SSIM: .9877,
		}
		if m.Streams["door"] != want {
			t.Errorf("door %+v, want %+v", m.Streams["door"], want)
		}
		if m.Server.Viewers != 3 || m.Server.SentBps != 30*20_000*8 || m.Server.Refused != 60 || m.Server.Memory <= 0 {
			t.Errorf("the server %+v", m.Server)
		}
		if _, watched := m.Streams["yard"]; len(m.Streams) != MaxStreams || !watched {
			t.Errorf("%d streams, that which is watched among them: %v", len(m.Streams), watched)
		}
	})
}

// A stream that was forgotten and is there again counts from nothing.
func TestBetween_NeverGoesDown(t *testing.T) {
	f, sent := between(totals("door", 5000, 1), totals("door", 60, 1), 60)
	if f.FrameRate != 1 || f.Bps != 80_000 || sent != 160_000 || f.Dropped != 0 {
		t.Errorf("got %+v, %v", f, sent)
	}
}

func FuzzParse(f *testing.F) {
	dir := f.TempDir()
	s, _ := open(f, dir)
	fill(f, s, 1, 4)
	data, err := os.ReadFile(filepath.Join(dir, newer))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)-3])
	f.Add([]byte("\n"))
	f.Add([]byte(strings.Repeat("x", maxLineBytes+1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		minutes, good, broken := parse(data)
		again, all, bad := parse(data[:good])
		if bad || all != good || !reflect.DeepEqual(minutes, again) {
			t.Errorf("what is good is not read again: %d of %d bytes, broken %v", all, good, bad)
		}
		if !broken && bytes.IndexByte(data[good:], '\n') >= 0 {
			t.Error("a whole line is neither read nor broken")
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	s, _ := open(b, b.TempDir())
	m := Minute{Streams: map[string]Stream{}}
	for i := range MaxStreams {
		m.Streams[fmt.Sprintf("camera%02d", i)] = Stream{Viewers: i, FrameRate: rand.Float64(), Bps: 2_400_000, LatencyP50: 22.5, LatencyP95: 31, PSNR: 41.2, SSIM: .9812}
	}
	for b.Loop() {
		m.At++
		if err := s.Add(m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(s.size)/float64(max(1, m.At-s.first+1)), "bytes/minute")
}
