package adapt_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"sightline/internal/adapt"
	"sightline/internal/media"
)

// The simulator has the code of this package send over a modelled link and scores what the viewer gets. Encoder, queue
// and link are models, each a few lines; the decisions are the real ones. Everything is drawn from fixed seeds, so the
// scores change only when the code does.

//nolint:gochecknoglobals // a test's flags
var (
	update  = flag.Bool("update", false, "write the scores anew")
	minutes = flag.Int("minutes", 1, "simulated minutes of each case")
)

const (
	tick     = 5 * time.Millisecond
	interval = 33_333 * time.Microsecond
	most     = 2_500_000
	keyTimes = 3                      // how much larger a keyframe is than the mean
	encoding = 2                      // pictures until the encoder follows a new target
	makes    = 5.0 / 6                // of what it is asked for, as x264 does with a buffer of few pictures
	queueAge = 150 * time.Millisecond // the hub's budget
	keyEvery = 500 * time.Millisecond
	// stillEvery is the session's.
	stillEvery = 500 * time.Millisecond
	header     = 32
	overhead   = 0.94 // of what the link carries, what is left behind the headers of TLS and TCP
)

// link is the modelled way to the viewer.
type link struct {
	rate   func(time.Duration, *rand.Rand) float64 // bit/s
	rtt    time.Duration
	loss   float64 // of packets; each holds what follows up for a round trip or more
	buffer int     // bytes of the bottleneck
}

// walk multiplies a rate each 100 ms by up to a step either way, within bounds.
func walk(from, least, most, step float64) func(time.Duration, *rand.Rand) float64 {
	rate, next := from, time.Duration(0)
	return func(t time.Duration, r *rand.Rand) float64 {
		for ; next <= t; next += 100 * time.Millisecond {
			rate = min(max(rate*math.Exp(step*r.NormFloat64()), least), most)
		}
		return rate
	}
}

// steps goes round through rates, each for so long.
func steps(each time.Duration, rates ...float64) func(time.Duration, *rand.Rand) float64 {
	return func(t time.Duration, _ *rand.Rand) float64 { return rates[int(t/each)%len(rates)] }
}

// fades falls to a twentieth of rate now and then, for a second or less, as Wi-Fi does when somebody walks past.
func fades(rate float64) func(time.Duration, *rand.Rand) float64 {
	until, next := time.Duration(0), 3*time.Second
	return func(t time.Duration, r *rand.Rand) float64 {
		if t >= next {
			until = t + time.Duration(200+r.IntN(800))*time.Millisecond
			next = until + time.Duration(2000+r.IntN(6000))*time.Millisecond
		}
		if t < until {
			return rate / 20
		}
		return rate
	}
}

// outages has two seconds of each fifteen without anything. TCP tries again half a second later, and begins with a packet for each
// round trip of 40 ms.
func outages(rate float64) func(time.Duration, *rand.Rand) float64 {
	return func(t time.Duration, _ *rand.Rand) float64 {
		const off, lasts, first = 13 * time.Second, 2500 * time.Millisecond, 280e3
		since := (t + 15*time.Second - off) % (15 * time.Second) // an outage began
		if t < off || since > lasts+time.Second {
			return rate
		}
		if since < lasts {
			return 0
		}
		return min(rate, first*math.Exp2((since-lasts).Seconds()/0.04))
	}
}

// sent is an access unit on its way.
type sent struct {
	rendition media.RenditionID // all rungs have one numbering where a viewer is alone
	seq       uint32
	capture   time.Duration
	left      float64 // bytes that the bottleneck has still to carry; padding has no capture
	bytes     int
	key, pad  bool
}

// answer is an acknowledgement on its way back.
type answer struct {
	at  time.Duration
	ack adapt.Ack
}

// score is what a viewer got.
type score struct {
	delays  []float64 // ms, capture to the last byte
	frozen  time.Duration
	quality float64 // 0 to 1, mean over time: against an encoder that knew the trace
	changes int     // of rendition
	over    time.Duration
}

func (s *score) p95() float64 {
	if len(s.delays) == 0 {
		return math.Inf(1)
	}
	slices.Sort(s.delays)
	return s.delays[len(s.delays)*95/100]
}

// worth is how good a picture of so many bit/s is: a doubling is worth the same everywhere.
func worth(bps float64) float64 { return math.Log2(1 + bps/50_000) }

func at(d time.Duration) media.Timestamp { return media.Timestamp(0).Add(d) }

// lane is a link with what is on it, the viewer at its end, and what that one got.
type lane struct {
	link
	r       *rand.Rand
	wire    []sent // in the bottleneck
	inWire  float64
	stalled time.Duration
	answers []answer

	lastShown, ackTick, least time.Duration
	lastAcked, lastLate       time.Duration
	wasLate                   bool
	received                  uint32
	pending                   *adapt.Ack
	score                     score
	perSecond, oracle, second float64
}

// carry has the bottleneck carry what it can in a tick, and the viewer acknowledge it.
func (l *lane) carry(now time.Duration) {
	capacity := l.rate(now, l.r)
	l.oracle += worth(min(makes*most, capacity*overhead)) * tick.Seconds()
	budget := capacity / 8 * tick.Seconds()
	for len(l.wire) > 0 && budget > 0 {
		u := &l.wire[0]
		n := min(budget, u.left)
		u.left -= n
		budget -= n
		l.inWire -= n
		if u.left > 0.5 {
			break
		}
		arrives := now + l.rtt/2
		if packets := float64(u.bytes)/1400 + 1; l.r.Float64() < 1-math.Pow(1-l.loss, packets) {
			l.stalled = max(l.stalled, arrives+l.rtt+time.Duration(l.r.ExpFloat64()*float64(l.rtt/4)))
		}
		l.arrived(*u, max(arrives, l.stalled))
		l.wire = l.wire[1:]
	}
	if now >= l.ackTick {
		l.ackTick += 100 * time.Millisecond
		if l.pending != nil && now-l.lastAcked >= 250*time.Millisecond {
			l.lastAcked = now
			l.answers = append(l.answers, answer{max(now, time.Duration(l.pending.Arrival)*time.Microsecond) + l.rtt/2, *l.pending})
			l.pending = nil
		}
	}
}

func (l *lane) arrived(u sent, arrives time.Duration) {
	l.received += uint32(u.bytes + header)
	if u.pad {
		return
	}
	way := arrives - u.capture
	l.least = min(l.least, way)
	l.score.delays = append(l.score.delays, float64(way)/1e6)
	l.shown(arrives)
	l.perSecond += float64(u.bytes) * 8
	l.pending = &adapt.Ack{Rendition: u.rendition, Seq: u.seq, Arrival: at(arrives), Error: l.rtt / 2, Received: l.received}
	late, spacing := way-l.least > 15*time.Millisecond || u.seq < 10, 95*time.Millisecond
	if late && l.wasLate {
		l.lastLate = arrives
	}
	l.wasLate = late
	if arrives-l.lastLate > time.Second {
		spacing = 195 * time.Millisecond
	}
	if late || arrives-l.lastAcked >= spacing { // as package watch and the player do
		l.lastAcked = arrives
		l.answers = append(l.answers, answer{arrives + l.rtt/2, *l.pending})
		l.pending = nil
	}
}

// shown takes in that a picture was shown, or that it is over.
func (l *lane) shown(t time.Duration) {
	if gap := t - l.lastShown; gap > 200*time.Millisecond {
		l.score.frozen += gap - 200*time.Millisecond
	}
	l.lastShown = t
}

// answer takes the oldest acknowledgement that has come back.
func (l *lane) answer(now time.Duration) (ack adapt.Ack, ok bool) {
	if len(l.answers) == 0 || l.answers[0].at > now {
		return ack, false
	}
	ack = l.answers[0].ack
	l.answers = l.answers[1:]
	return ack, true
}

// room reports whether the bottleneck's buffer takes more.
func (l *lane) room() bool { return l.inWire < float64(l.buffer) }

// put has u go out to the bottleneck.
func (l *lane) put(u sent, path *adapt.Path, now time.Duration) {
	u.left = float64(u.bytes) / overhead
	l.wire = append(l.wire, u)
	l.inWire += u.left
	path.Sent(u.bytes + header)
	if !u.pad {
		path.SentUnit(u.rendition, u.seq, u.bytes, at(now), at(now))
	}
}

// passed takes in that a tick is over.
func (l *lane) passed() {
	if l.second += tick.Seconds(); l.second >= 1 {
		l.score.quality += worth(l.perSecond)
		l.perSecond, l.second = 0, 0
	}
}

// result is what the viewer got until d.
func (l *lane) result(d time.Duration) score {
	l.shown(d)
	l.score.over = d
	l.score.quality /= l.oracle
	return l.score
}

// simulate has one viewer watch alone over l for d.
func simulate(l link, d time.Duration, seed uint64) score {
	var (
		r       = rand.New(rand.NewPCG(seed, 1))
		way     = lane{link: l, r: r, least: time.Hour}
		path    adapt.Path
		rate    adapt.Rate
		chooser adapt.Chooser
		offers  = ladder()[:3]
		wishes  = adapt.Wishes{Codecs: []string{"h264"}}
		best    = adapt.Best(wishes, offers)
		choice  = adapt.Choice{Rendition: 1}

		// The encoder.
		seq      uint32
		targets  = make([]float64, encoding)
		yield    adapt.Yield
		nextAt   time.Duration
		needKey  = true
		keyAsked = -keyEvery
		stillAt  time.Duration
		// The queue before the socket.
		queue []sent
	)
	for i := range targets {
		targets[i] = most
	}
	for now := time.Duration(0); now < d; now += tick {
		way.carry(now)

		// The session takes acknowledgements.
		for ack, ok := way.answer(now); ok; ack, ok = way.answer(now) {
			path.Acked(ack, at(now))
			if choice.Stills {
				rate.Still(&path, best, at(now))
			} else {
				rate.Update(&path, best, at(now))
			}
			if next, _ := chooser.Choose(wishes, rate.Carries(), offers, at(now)); next != choice {
				if next.Rendition != choice.Rendition {
					way.score.changes++
				}
				choice, needKey = next, true
			}
		}
		if choice.Stills && path.Empty() && now-stillAt >= stillEvery {
			stillAt, needKey, queue = now, true, nil
		}

		// The encoder makes a picture, and the queue drops to the next keyframe when it is too old.
		if now >= nextAt {
			nextAt += interval
			o := offers[choice.Rendition-1]
			target := float64(o.MaxBitrateBps)
			if bps := rate.Send(); bps > 0 && float64(bps) < target {
				target = min(float64(yield.Ask(max(bps, o.MinBitrateBps))), target)
			} else {
				yield.Ask(0)
			}
			targets = append(targets[1:], target)
			key := needKey && now-keyAsked >= keyEvery
			size := makes * targets[0] / 8 * interval.Seconds() * math.Exp(0.15*r.NormFloat64())
			if key {
				size *= keyTimes
			}
			u := sent{rendition: 1, seq: seq, capture: now, left: size, bytes: int(size) + 1, key: key}
			seq++
			if len(queue) > 0 && now-queue[0].capture > queueAge {
				queue, needKey = nil, true
			}
			if key {
				needKey, keyAsked = false, now
				queue = nil
			}
			yield.Made(u.bytes, at(now))
			if key || !needKey && !choice.Stills {
				queue = append(queue, u)
			}
		}

		// The session sends: what the window lets through and the bottleneck's buffer takes.
		for len(queue) > 0 && path.Room(rate.Carries(), at(now)) && way.room() {
			way.put(queue[0], &path, now)
			queue = queue[1:]
		}
		if n := rate.Padding(&path, best, at(now)); n > 0 && !choice.Stills {
			way.put(sent{bytes: n, pad: true}, &path, now)
		}
		way.passed()
	}
	return way.result(d)
}

func traces() map[string]func() func(time.Duration, *rand.Rand) float64 {
	type trace = func(time.Duration, *rand.Rand) float64
	return map[string]func() trace{
		"a 10M": func() trace { return steps(time.Hour, 10e6) },
		"b 1M":  func() trace { return steps(time.Hour, 1e6) },
		"c 300k": func() trace {
			return steps(time.Hour, 300e3)
		},
		"d 64k":          func() trace { return steps(time.Hour, 64e3) },
		"e 10M-1M steps": func() trace { return steps(12*time.Second, 10e6, 1e6) },
		"f 4M-400k":      func() trace { return steps(5*time.Second, 4e6, 400e3) },
		"g LTE walk":     func() trace { return walk(4e6, 200e3, 20e6, 0.12) },
		"h Wi-Fi fades":  func() trace { return fades(8e6) },
		"i outages":      func() trace { return outages(8e6) },
	}
}

// TestSimulator scores the decisions of this package and compares with what is on record. Whoever makes a score worse
// says why, and writes the table anew with -update. With -minutes 10 or more it scores longer and compares nothing.
func TestSimulator(t *testing.T) {
	links := []link{
		{rtt: 10 * time.Millisecond, buffer: 128 << 10},
		{rtt: 40 * time.Millisecond, buffer: 16 << 10},
		{rtt: 40 * time.Millisecond, buffer: 1 << 20},
		{rtt: 40 * time.Millisecond, buffer: 128 << 10, loss: 0.01},
		{rtt: 40 * time.Millisecond, buffer: 128 << 10, loss: 0.05},
		{rtt: 200 * time.Millisecond, buffer: 128 << 10, loss: 0.01},
		{rtt: 600 * time.Millisecond, buffer: 1 << 20},
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-16s %6s %5s %7s | %7s %8s %8s %9s\n",
		"trace", "rtt ms", "loss", "buffer", "p95 ms", "frozen %", "quality", "changes/m")
	names := make([]string, 0)
	for name := range traces() {
		names = append(names, name)
	}
	slices.Sort(names)
	lines := make([]string, len(names)*len(links))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, name := range names {
		for j, l := range links {
			group.Go(func() error {
				l.rate = traces()[name]()
				s := simulate(l, time.Duration(*minutes)*time.Minute, uint64(100*i+j))
				lines[i*len(links)+j] = fmt.Sprintf("%-16s %6d %5.2f %7d | %7.0f %8.2f %8.3f %9.1f\n", name[2:],
					l.rtt.Milliseconds(), l.loss, l.buffer, s.p95(), 100*s.frozen.Seconds()/s.over.Seconds(), s.quality,
					float64(s.changes)/s.over.Minutes())
				return nil
			})
		}
	}
	_ = group.Wait() // none of them fails
	table.WriteString(strings.Join(lines, ""))
	record(t, "scores.txt", table.String())
}

// record compares a table of scores with the one on record, or writes it anew.
func record(t *testing.T, name, table string) {
	t.Helper()
	if *minutes != 1 {
		t.Log("\n" + table)
		return
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(table), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, strings.Split(string(before), "\n"), strings.Split(table, "\n"))
}

// compare reports scores that are worse than those on record: later, longer frozen, less of the picture, more changes.
// Better ones are to be put on record too, and are told.
func compare(t *testing.T, record, now []string) {
	t.Helper()
	if len(record) != len(now) {
		t.Fatalf("%d lines on record, %d now: write the table anew with -update", len(record), len(now))
	}
	for i := 1; i < len(now)-1; i++ {
		was, is := scores(t, record[i]), scores(t, now[i])
		// Machines round differently, and a different rounding is a different run: so much slack.
		if is[0] > was[0]*1.1+10 || is[1] > was[1]*1.2+0.5 || is[2] < was[2]-0.03 || is[3] > was[3]+2 {
			t.Errorf("worse than on record:\n%s\n%s", record[i], now[i])
		}
	}
}

// scores reads what stands behind the bar of a line.
func scores(t *testing.T, line string) (s [4]float64) {
	t.Helper()
	_, text, _ := strings.Cut(line, "|")
	if _, err := fmt.Sscan(text, &s[0], &s[1], &s[2], &s[3]); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	return s
}
