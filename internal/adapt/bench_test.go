package adapt_test

import (
	"testing"
	"time"

	"sightline/internal/adapt"
)

// second is a second of pictures for one viewer on a good network: all of them looked at, sent and, six at a time, acknowledged.
func second(w *way, r *adapt.Rate) {
	for range 30 {
		if !w.path.Room(2_050_000, w.now) {
			panic("a good network has no room")
		}
		w.send(8500)
		w.now = w.now.Add(frame)
		if w.seq%6 == 0 {
			w.ack(w.seq-1, w.sent, w.now.Add(-20*time.Millisecond))
			r.Update(&w.path, 2_050_000, w.now)
		}
	}
}

func TestPath_AllocatesNothing(t *testing.T) {
	var w way
	var r adapt.Rate
	w.steady(10, 8500)
	for range 10 {
		second(&w, &r)
	}
	if n := testing.AllocsPerRun(10, func() { second(&w, &r) }); n != 0 {
		t.Errorf("%v allocations in a second of pictures, want none", n)
	}
}

func BenchmarkPath_Second(b *testing.B) {
	var w way
	var r adapt.Rate
	w.steady(10, 8500)
	b.ReportAllocs()
	for b.Loop() {
		second(&w, &r)
	}
}
