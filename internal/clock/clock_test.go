package clock_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"sightline/internal/clock"
	"sightline/internal/media"
	"sightline/internal/wire"
)

// answer is one exchange that began at sent, took there and back on the way and served at the server, in µs; skew is the
// server's clock less ours.
func answer(sent, there, served, back, skew int64) (r wire.TimeResp, t4 int64) {
	arrived := sent + there
	return wire.TimeResp{T1: sent, T2: media.Timestamp(arrived + skew), T3: media.Timestamp(arrived + served + skew)},
		arrived + served + back
}

func TestSync_NothingKnown(t *testing.T) {
	var c clock.Sync
	if _, _, ok := c.At(0, 0); ok {
		t.Error("a clock is known before anybody was asked")
	}
}

// TestSync_TruthLiesWithinTheBound draws networks of all kinds: the error is never over the bound that is told.
func TestSync_TruthLiesWithinTheBound(t *testing.T) {
	for _, tc := range []struct {
		name        string
		there, back int64 // µs at least
		jitter      int64 // µs more at most, each way
		bound       time.Duration
	}{
		{"even", 1000, 1000, 0, 1002 * time.Microsecond},
		{"a long way there", 80_000, 100, 0, 41 * time.Millisecond},
		{"a long way back", 100, 80_000, 0, 41 * time.Millisecond},
		{"jitter", 500, 500, 50_000, 51 * time.Millisecond},
		{"all of it", 20_000, 300, 200_000, 211 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for range 200 {
				skew := r.Int64N(2e15) - 1e15
				var c clock.Sync
				now := r.Int64N(1e12)
				for range 1 + r.IntN(40) {
					resp, t4 := answer(now, tc.there+r.Int64N(tc.jitter+1), r.Int64N(5000), tc.back+r.Int64N(tc.jitter+1), skew)
					c.Add(resp, t4)
					now = t4 + r.Int64N(2_000_000)
				}
				asked := now - r.Int64N(1e6)
				ts, bound, ok := c.At(asked, now)
				off := time.Duration(math.Abs(float64(int64(ts)-asked-skew))) * time.Microsecond
				if !ok || off > bound {
					t.Fatalf("off by %s with a bound of %s", off, bound)
				}
				// 2 s of age are worth 100 µs.
				if bound > tc.bound+200*time.Microsecond {
					t.Fatalf("a bound of %s, want at most %s", bound, tc.bound)
				}
			}
		})
	}
}

func TestSync_TakesTheSurestSample(t *testing.T) {
	var c clock.Sync
	const skew = 5_000_000
	add := func(sent, there, back int64) {
		r, t4 := answer(sent, there, 10, back, skew)
		c.Add(r, t4)
	}
	add(1000, 40_000, 100)
	add(100_000, 50, 50)
	add(200_000, 30_000, 100)
	if ts, bound, _ := c.At(7, 300_000); ts != skew+7 || bound > 100*time.Microsecond {
		t.Errorf("%d with bound %v, want %d by the fast exchange", ts, bound, skew+7)
	}
	// An hour later that sample is worth 180 ms: a fresh slow one is better.
	add(3_600_000_000, 2000, 2000)
	if _, bound, _ := c.At(0, 3_600_000_000); bound > 3*time.Millisecond {
		t.Errorf("bound %v, want the fresh sample's", bound)
	}
	if _, bound, _ := c.At(0, 7_200_000_000); bound < 180*time.Millisecond {
		t.Errorf("bound %v an hour later, want what 50 ppm make of it", bound)
	}
}

func TestSync_ImpossibleAnswersAreIgnored(t *testing.T) {
	var c clock.Sync
	r, t4 := answer(1000, 10, 10, 10, 77)
	c.Add(r, t4)
	before := c
	for _, tc := range []struct {
		name string
		r    wire.TimeResp
		t4   int64
	}{
		{"answered before it was asked", wire.TimeResp{T1: 10, T2: 5, T3: 4}, 20},
		{"from the future", wire.TimeResp{T1: 30, T2: 5, T3: 6}, 20},
		{"longer there than in all", wire.TimeResp{T1: 10, T2: 5, T3: 50}, 20},
		{"a time at the server that overflows", wire.TimeResp{T1: 10, T2: math.MinInt64, T3: math.MaxInt64}, 20},
		{"the other way", wire.TimeResp{T1: 10, T2: math.MaxInt64, T3: math.MinInt64}, 20},
		{"a time on the way that overflows", wire.TimeResp{T1: math.MinInt64, T2: 5, T3: 6}, math.MaxInt64},
	} {
		if c.Add(tc.r, tc.t4); c != before {
			t.Errorf("%s: believed", tc.name)
			c = before
		}
	}
}
