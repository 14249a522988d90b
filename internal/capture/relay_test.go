package capture

import (
	"testing"
	"testing/synctest"
	"time"
)

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
