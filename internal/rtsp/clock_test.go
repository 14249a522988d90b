package rtsp

import (
	"testing"
	"time"
)

const (
	rate  = 90000
	ticks = rate / 25
	step  = 40 * time.Millisecond
)

// at is a picture's timestamp and when it came, in steps of 40 ms; want is the capture time expected, likewise.
type at struct {
	ts         uint32
	came, want time.Duration
}

func check(t *testing.T, c *timeline, origin time.Time, pictures ...at) {
	t.Helper()
	for i, p := range pictures {
		if got := c.capture(p.ts, origin.Add(p.came)).Sub(origin); got != p.want {
			t.Errorf("picture %d, %v: captured at %v, want %v", i, p.came, got, p.want)
		}
	}
}

func TestTimeline_TakesJitterOut(t *testing.T) {
	c := &timeline{rate: rate}
	// Late first, so that the fastest is not the first.
	check(
		t, c, time.Now(),
		at{0, 10 * time.Millisecond, 10 * time.Millisecond},
		at{ticks, step, step}, // faster: what went before could not be known
		at{2 * ticks, 2*step + 15*time.Millisecond, 2 * step},
		at{3 * ticks, 3*step + 300*time.Millisecond, 3 * step}, // a network that hung
		at{4 * ticks, 4*step + 260*time.Millisecond, 4 * step},
		at{5 * ticks, 5 * step, 5 * step},
	)
}

// Each picture that others are predicted from is sent before those that are shown before it.
func TestTimeline_TimestampsWrapAndGoBackForBPictures(t *testing.T) {
	c := &timeline{rate: rate}
	const first = 1<<32 - 40*ticks
	origin := time.Now()
	for i := range 80 {
		n := i + 1 // shown before its turn
		if i%2 == 0 {
			n = max(0, i-1)
		}
		came := time.Duration(i+1) * step
		got := c.capture(first+uint32(n)*ticks, origin.Add(came)).Sub(origin)
		if want := time.Duration(n) * step; i > 40 && got != want { // once it is known how early they come
			t.Errorf("picture %d: captured at %v, want %v", n, got, want)
		}
	}
}

func TestTimeline_BelievesAClockThatAgrees(t *testing.T) {
	origin := time.Now()
	c := &timeline{rate: rate}
	// The camera says that the first picture was captured 80 ms before it came.
	c.report(senderReport{ntp: ntp(origin.Add(-80*time.Millisecond - step)), rtp: 7000 - ticks}, origin.Add(-5*time.Millisecond))
	for i := range 5 {
		n := time.Duration(i)
		got := c.capture(7000+uint32(i)*ticks, origin.Add(n*step+n*time.Millisecond)).Sub(origin)
		if d := got - (n*step - 80*time.Millisecond); d.Abs() > time.Microsecond {
			t.Errorf("picture %d captured at %v, want 80 ms before %v", n, got, n*step)
		}
	}
}

func TestTimeline_PutsRightWithoutAStep(t *testing.T) {
	origin := time.Now()
	c := &timeline{rate: rate}
	last := c.capture(0, origin)
	c.report(senderReport{ntp: ntp(origin.Add(-300 * time.Millisecond)), rtp: 0}, origin)
	for i := range 100 {
		n := time.Duration(i + 1)
		got := c.capture(uint32(n)*ticks, origin.Add(n*step))
		if d := got.Sub(last); d < step/2 || d > 2*step {
			t.Fatalf("picture %d captured %v after the one before", n, d)
		}
		last = got
	}
	if late := origin.Add(100 * step).Sub(last); (late - 300*time.Millisecond).Abs() > time.Microsecond {
		t.Errorf("captured %v before it came, want 300 ms", late)
	}
}

func TestTimeline_DoesNotBelieveOneThatCannotBe(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": 10 * time.Millisecond, "far ahead": 10 * time.Hour, "behind": -1200 * time.Millisecond, "of 1970": -50 * 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			origin := time.Now()
			c := &timeline{rate: rate}
			check(t, c, origin, at{0, 0, 0})
			c.report(senderReport{ntp: ntp(origin.Add(off)), rtp: 0}, origin)
			check(t, c, origin, at{ticks, step + 7*time.Millisecond, step}, at{2 * ticks, 2*step + time.Millisecond, 2 * step})
		})
	}
	origin := time.Now()
	c := &timeline{rate: rate}
	check(t, c, origin, at{0, 0, 0})
	c.report(senderReport{rtp: 0}, origin) // no clock at all
	check(t, c, origin, at{ticks, step + 7*time.Millisecond, step})
}

func TestTimeline_BeginsAnewAfterNonsense(t *testing.T) {
	c := &timeline{rate: rate}
	check(
		t, c, time.Now(),
		at{1 << 30, 0, 0},
		at{0, step, step}, // back by hours
		at{ticks, 2 * step, 2 * step},
		at{1 << 30, 3 * step, 3 * step}, // ahead by hours
		at{1<<30 + ticks, 4*step + time.Millisecond, 4 * step},
	)
	c = &timeline{rate: rate}
	check(
		t, c, time.Now(),
		at{0, 0, 0},
		at{0, 4 * time.Second, 0}, // may have hung
		at{0, 6 * time.Second, 6 * time.Second},
	)
}

// A camera whose clock runs slow by a thousandth, more than any does, is late by no more than 20 s of that.
func TestTimeline_FollowsACameraThatDrifts(t *testing.T) {
	origin := time.Now()
	c := &timeline{rate: rate}
	for i := range 25 * 120 {
		came := time.Duration(i) * (step + step/1000)
		got := c.capture(uint32(i)*ticks, origin.Add(came)).Sub(origin)
		if late := came - got; late < 0 || late > 21*time.Millisecond {
			t.Fatalf("picture %d: captured %v before it came", i, late)
		}
	}
}

// ntp is t in the form of a sender report.
func ntp(t time.Time) uint64 {
	return uint64(t.Unix()-ntpEpoch)<<32 | uint64(t.Nanosecond())<<32/1e9
}

func TestSenderReport_Wall(t *testing.T) {
	for _, want := range []time.Time{
		time.Date(2026, 11, 22, 1, 2, 3, 500_000_000, time.UTC), time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC), time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got := (senderReport{ntp: ntp(want)}).wall(); got.Sub(want).Abs() > time.Microsecond {
			t.Errorf("%v, want %v", got.UTC(), want)
		}
	}
}

func FuzzTimeline(f *testing.F) {
	f.Add(uint32(1), uint32(3000), int64(1e6), uint64(0), uint32(90000))
	f.Add(uint32(1<<31), uint32(1), int64(1e15), uint64(1)<<63, uint32(1))
	f.Fuzz(func(t *testing.T, a, b uint32, gap int64, wall uint64, rate uint32) {
		if rate == 0 || gap < 0 || gap > int64(time.Hour) {
			return
		}
		c := &timeline{rate: int64(rate)}
		now := time.Now()
		for i, ts := range []uint32{a, b, a + b, a, b - a} {
			now = now.Add(time.Duration(gap))
			got := c.capture(ts, now)
			if late := now.Sub(got); late < 0 || late > unbelievable+believable {
				t.Fatalf("picture %d: captured %v before it came", i, late)
			}
			c.report(senderReport{ntp: wall, rtp: b}, now)
		}
	})
}
