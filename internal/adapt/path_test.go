package adapt_test

import (
	"testing"
	"time"

	"sightline/internal/adapt"
	"sightline/internal/media"
)

const (
	ms    = time.Millisecond
	frame = 33 * ms
)

// way is a path whose acknowledgements a test writes by hand: what is sent at now takes way to arrive and as long for the
// answer.
type way struct {
	path adapt.Path
	now  media.Timestamp
	seq  uint32
	sent uint32
}

// send sends an access unit of n bytes.
func (w *way) send(n int) {
	w.path.Sent(n)
	w.sent += uint32(n)
	w.path.SentUnit(1, w.seq, n, w.now, w.now)
	w.seq++
}

// ack acknowledges the n-th access unit, of received bytes in all, which arrived at t.
func (w *way) ack(n, received uint32, t media.Timestamp) {
	w.path.Acked(adapt.Ack{Rendition: 1, Seq: n, Arrival: t, Received: received}, w.now)
}

// steady sends n access units of so many bytes, one a frame, each of which takes 20 ms and is acknowledged at once.
func (w *way) steady(n, bytes int) {
	for range n {
		w.send(bytes)
		arrived := w.now.Add(20 * ms)
		w.now = w.now.Add(frame)
		w.ack(w.seq-1, w.sent, arrived)
	}
}

func TestPath_TwoMayAlwaysBeOnTheWay(t *testing.T) {
	var w way
	for i := range 2 {
		if !w.path.Room(1000, w.now) {
			t.Errorf("no room for access unit %d", i+1)
		}
		w.send(1 << 20)
	}
	w.send(1 << 10)
	w.send(1 << 20)
	if w.path.Room(1000, w.now) {
		t.Error("room for one more, though a megabyte is on the way and nothing was acknowledged")
	}
}

func TestPath_AForgetfulViewerDoesNotStopItself(t *testing.T) {
	var w way
	for range 4 {
		w.send(1 << 20)
	}
	w.now = w.now.Add(4 * time.Second)
	if w.path.Room(1000, w.now) {
		t.Error("room after 4 s")
	}
	w.now = w.now.Add(1100 * ms)
	if !w.path.Room(1000, w.now) {
		t.Fatal("no room after 5.1 s")
	}
	w.send(1 << 20)
	if w.path.Room(1000, w.now) {
		t.Error("room for two")
	}
}

func TestPath_TheWindowFollowsGoodput(t *testing.T) {
	var w way
	w.steady(60, 4000) // about 1 Mbit/s
	outstanding := 0
	for w.path.Room(1_000_000, w.now) && outstanding < 1000 {
		w.send(4000)
		outstanding++
	}
	// 1.5 times 1 Mbit/s over two round trips of 33 ms and 160 ms are 43 kB, and one access unit.
	if outstanding < 8 || outstanding > 16 {
		t.Errorf("%d access units of 4 kB on the way without an answer", outstanding)
	}
}

func TestPath_BusyGoodputIsWhatTheLinkCarries(t *testing.T) {
	var w way
	w.steady(60, 10_000) // 2.4 Mbit/s
	// The link falls to 1 Mbit/s: each takes 80 ms, one behind the other.
	arrives := w.now.Add(20 * ms)
	for range 8 {
		w.send(10_000)
		arrives = max(arrives, w.now.Add(20*ms)).Add(80 * ms)
		due := w.now.Add(frame)
		w.ack(w.seq-1, w.sent, arrives)
		w.now = due
	}
	if bps, busy := w.path.Goodput(); !busy || bps < 950_000 || bps > 1_050_000 {
		t.Errorf("goodput %d, busy %t; want 1 Mbit/s of a busy link", bps, busy)
	}
	if q := w.path.Standing(); q < 200*ms || q > 500*ms {
		t.Errorf("standing queue %s", q)
	}
}

func TestPath_ALossIsNoStandingQueue(t *testing.T) {
	var w way
	w.steady(60, 10_000)
	began := w.now
	for range 5 {
		w.send(10_000)
		w.now = w.now.Add(frame)
	}
	for n := w.seq - 5; n < w.seq; n++ {
		w.ack(n, w.sent, began.Add(5*frame)) // all at once, when the lost packet came again
	}
	w.steady(1, 10_000)
	if q := w.path.Standing(); q > 15*ms {
		t.Errorf("standing queue %s after a stall", q)
	}
	if _, busy := w.path.Goodput(); busy {
		t.Error("busy")
	}
}

func TestPath_TheClockTellsAQueueFromALongWay(t *testing.T) {
	for _, tc := range []struct {
		name  string
		error time.Duration
		want  time.Duration
	}{{"without a clock", 0, 0}, {"with one", 20 * ms, 450 * ms}} {
		t.Run(tc.name, func(t *testing.T) {
			var w way
			for range 3 { // a path that was full from the first byte on
				w.send(1000)
				arrived := w.now.Add(500 * ms)
				w.path.Acked(adapt.Ack{Rendition: 1, Seq: w.seq - 1, Arrival: arrived, Error: tc.error, Received: w.sent}, arrived)
				w.now = w.now.Add(frame)
			}
			if got := w.path.Standing(); got != tc.want {
				t.Errorf("standing queue %s, want %s", got, tc.want)
			}
		})
	}
}

func TestPath_NonsenseIsASignOfLifeAndNoMore(t *testing.T) {
	var w way
	w.steady(10, 1000)
	w.send(1000)
	inFlight, queue := w.path.InFlight(), w.path.Standing()
	w.path.Acked(adapt.Ack{Rendition: 1, Seq: 9999, Arrival: 1 << 60, Received: w.sent + 5000}, w.now)      // not sent yet
	w.path.Acked(adapt.Ack{Rendition: 7, Seq: w.seq - 1, Arrival: 1, Received: w.sent - 5000}, w.now)       // another rendition
	w.path.Acked(adapt.Ack{Rendition: 1, Seq: w.seq - 5, Arrival: 1 << 60, Received: w.sent - 4000}, w.now) // acknowledged before
	if w.path.InFlight() != inFlight || w.path.Standing() != queue {
		t.Errorf("on the way %d, queue %s; before %d, %s", w.path.InFlight(), w.path.Standing(), inFlight, queue)
	}
}

func FuzzPath(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 250, 251, 252, 253, 254, 255})
	f.Fuzz(func(t *testing.T, ops []byte) {
		var w way
		var r adapt.Rate
		for i, op := range ops {
			arg := uint32(i * int(op))
			w.now = w.now.Add(time.Duration(op) * ms)
			switch op & 3 {
			case 0:
				w.send(int(arg%50_000) + 1)
			case 1:
				w.ack(w.seq-arg%8, w.sent-arg%3000, w.now.Add(-time.Duration(arg)))
			case 2:
				w.ack(arg, arg<<16, media.Timestamp(int64(arg)<<32*int64(op)))
			case 3:
				w.path.Sent(r.Padding(&w.path, 3_000_000, w.now))
			}
			if op&4 == 0 {
				r.Update(&w.path, 3_000_000, w.now)
			} else {
				r.Still(&w.path, 3_000_000, w.now)
			}
			w.path.Room(r.Carries(), w.now)
			if c := r.Carries(); c < 0 || c > 4_500_000 || r.Send() < 0 || r.Send() > c {
				t.Fatalf("carries %d, send %d", c, r.Send())
			}
		}
	})
}

// line is a link that carries access units at bps, one behind the other, and takes way besides.
type line struct {
	way
	rate adapt.Rate
	bps  float64
	long time.Duration
	free media.Timestamp
}

const top = 2_500_000

// run sends 30 access units a second for d, as large as the rate allows, and padding.
func (l *line) run(d time.Duration) {
	carry := func(n int) media.Timestamp {
		l.free = max(l.free, l.now).Add(time.Duration(float64(n) * 8 / l.bps * 1e9))
		return l.free.Add(l.long)
	}
	for end := l.now.Add(d); l.now < end; {
		send := l.rate.Send()
		if send == 0 {
			send = top
		}
		if pad := l.rate.Padding(&l.path, top, l.now); pad > 0 {
			l.path.Sent(pad)
			l.sent += uint32(pad)
			carry(pad)
		}
		n := int(float64(min(send, top)) / 8 * frame.Seconds())
		l.send(n)
		arrives, next := carry(n), l.now.Add(frame)
		l.now = arrives.Add(l.long)
		l.ack(l.seq-1, l.sent, arrives)
		l.rate.Update(&l.path, top, l.now)
		l.now = next
	}
}

func TestRate_FollowsTheLink(t *testing.T) {
	l := line{bps: 10e6, long: 20 * ms}
	l.run(5 * time.Second)
	if l.rate.Carries() != 0 || l.rate.Send() != 0 {
		t.Errorf("a good network is limited to %d", l.rate.Carries())
	}
	l.bps = 1e6
	for range 10 {
		l.run(2 * time.Second)
		if c := l.rate.Carries(); c < 700_000 || c > 1_300_000 {
			t.Errorf("on 1 Mbit/s: %d bit/s", c)
		}
	}
	l.bps = 10e6
	l.run(12 * time.Second)
	if c := l.rate.Carries(); c < top || c > 3*top/2 {
		t.Errorf("12 s after the network came back: %d bit/s, want what can be used and little more", c)
	}
}

func TestRate_ALongerWayIsNoLimit(t *testing.T) {
	l := line{bps: 10e6, long: 20 * ms}
	l.run(10 * time.Second)
	l.long = 120 * ms
	l.run(6 * time.Second)
	if c := l.rate.Carries(); c != 0 {
		t.Errorf("6 s after the route changed: limited to %d", c)
	}
	l.run(6 * time.Second)
	if c := l.rate.Carries(); c != 0 {
		t.Errorf("12 s after the route changed: limited to %d", c)
	}
}

func TestPath_GoodputOfTheFirstKeyframe(t *testing.T) {
	const rtt = 40 * ms
	for _, tc := range []struct {
		name  string
		takes time.Duration // for the keyframe's 20 kB and for each of the 2 kB that follow, at the link
		clock time.Duration // half of the viewer's best round trip
		want  int
	}{
		{"a link of 64 kbit/s is known by its first pictures", 2500 * ms, rtt / 2, 64_000},
		{"a long way may be TCP's slow start", 1500 * ms, 300 * ms, 0},
		{"or a page that begins", 300 * ms, rtt / 2, 0},
		{"without the viewer's clock nobody knows what an empty way takes", 2500 * ms, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var p adapt.Path
			var sent uint32
			for n, bytes := range []int{20_000, 2_000} {
				p.Sent(bytes)
				sent += uint32(bytes)
				p.SentUnit(1, uint32(n), bytes, at(time.Duration(n)*frame), at(time.Duration(n)*frame))
				if n == 0 {
					continue
				}
				for i, received := range []uint32{20_000, sent} {
					arrival := at(rtt/2 + tc.takes + time.Duration(i)*tc.takes/10)
					p.Acked(adapt.Ack{Rendition: 1, Seq: uint32(i), Arrival: arrival, Error: tc.clock, Received: received}, arrival.Add(rtt/2))
				}
			}
			bps, busy := p.Goodput()
			if bps < tc.want*95/100 || bps > tc.want*105/100 || busy != (tc.want > 0) {
				t.Errorf("goodput %d, busy %t, want %d", bps, busy, tc.want)
			}
		})
	}
}
