package capture

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestRelay_MeasuresTheSourcesBitrate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay()
		const interval = 40 * time.Millisecond
		feed := func(over time.Duration, key, delta int) {
			for n := range int(over / interval) {
				u := passed{data: make([]byte, delta), at: time.Now()}
				if n%50 == 0 {
					u.key, u.data = true, make([]byte, key)
				}
				r.put(u)
				time.Sleep(interval)
			}
		}
		about := func(when string, want int) {
			t.Helper()
			if got := r.rate(); got < want*95/100 || got > want*105/100 {
				t.Errorf("%s: %d bit/s, want %d", when, got, want)
			}
		}
		about("nothing has come", 0)
		feed(time.Second/2, 1000, 1000)
		about("too early to tell", 0)
		feed(time.Second, 1000, 1000)
		about("within the first span", 200_000)
		// Each two seconds a keyframe of 51,000 bytes and 49 pictures of 1,000: 100,000 bytes.
		feed(20*time.Second, 51_000, 1000)
		about("with keyframes", 400_000)
		time.Sleep(meterSpan + time.Second)
		about("nothing comes any more", 0)
		r.clear()
		feed(3*time.Second, 5000, 5000)
		about("after a rest", 1_000_000)
	})
}

// A camera with a keyframe each ten seconds would otherwise have ten seconds of itself in memory.
func TestRelay_HoldsNoMoreThanAnybodyIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay()
		const interval = 100 * time.Millisecond
		var sent uint64
		for n := range 100 {
			r.put(passed{data: make([]byte, 1000), key: n == 0, at: time.Now()})
			u, number, _ := r.after(sent, sent == 0)
			if number != sent+1 || u.key != (n == 0) {
				t.Fatalf("unit %d is given as %d, key %t", n+1, number, u.key)
			}
			sent = number
			if most := int(relayAge/interval) + 1; len(r.units) > most || r.bytes != 1000*len(r.units) {
				t.Fatalf("%d units of %d bytes are held, want at most %d", len(r.units), r.bytes, most)
			}
			time.Sleep(interval)
		}
		if u, number, _ := r.after(0, true); number != 0 {
			t.Fatalf("who begins is given unit %d, key %t, ten seconds after the keyframe", number, u.key)
		}
		if first, _, _ := r.group(); first != 0 {
			t.Fatalf("a group from %d on can be repeated", first)
		}
		// Who fell behind what is held sees by the number that something is missing.
		if _, number, _ := r.after(3, false); number <= 4 {
			t.Fatalf("unit %d is still there", number)
		}
		r.put(passed{key: true, at: time.Now()})
		if u, number, _ := r.after(0, true); number != 101 || !u.key {
			t.Fatalf("unit %d, key %t, want the new keyframe", number, u.key)
		}
	})
}
