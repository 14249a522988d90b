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
	seq      uint32
	capture  time.Duration
	left     float64 // bytes that the bottleneck has still to carry; padding has no capture
	bytes    int
	key, pad bool
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

// simulate has one viewer watch alone over l for d.
func simulate(l link, d time.Duration, seed uint64) score {
	var (
		r       = rand.New(rand.NewPCG(seed, 1))
		path    adapt.Path
		rate    adapt.Rate
		chooser adapt.Chooser
		offers  = ladder()[:3]
		wishes  = adapt.Wishes{Codecs: []string{"h264"}}
		best    = adapt.Best(wishes, offers)
		choice  = adapt.Choice{Rendition: 1}
		sc      = score{over: d}

		// The encoder.
		seq      uint32
		targets  = make([]float64, encoding)
		yield    adapt.Yield
		nextAt   time.Duration
		needKey  = true
		keyAsked = -keyEvery
		stillAt  time.Duration
		// The queue before the socket, and the bottleneck behind it.
		queue, wire []sent
		inWire      float64
		// The viewer.
		stalled, lastShown, ackTick time.Duration
		least                       = time.Hour
		received                    uint32
		pending                     *adapt.Ack
		answers                     []answer
		perSecond, oracle, secondAt float64
	)
	for i := range targets {
		targets[i] = most
	}
	for now := time.Duration(0); now < d; now += tick {
		capacity := l.rate(now, r)
		oracle += worth(min(makes*most, capacity*overhead)) * tick.Seconds()

		// The bottleneck carries what it can.
		budget := capacity / 8 * tick.Seconds()
		for len(wire) > 0 && budget > 0 {
			u := &wire[0]
			n := min(budget, u.left)
			u.left -= n
			budget -= n
			inWire -= n
			if u.left > 0.5 {
				break
			}
			arrives := now + l.rtt/2
			if packets := float64(u.bytes)/1400 + 1; r.Float64() < 1-math.Pow(1-l.loss, packets) {
				stalled = max(stalled, arrives+l.rtt+time.Duration(r.ExpFloat64()*float64(l.rtt/4)))
			}
			arrives = max(arrives, stalled)
			received += uint32(u.bytes + header)
			if !u.pad {
				way := arrives - u.capture
				least = min(least, way)
				sc.delays = append(sc.delays, float64(way)/1e6)
				if gap := arrives - lastShown; gap > 200*time.Millisecond {
					sc.frozen += gap - 200*time.Millisecond
				}
				lastShown = arrives
				perSecond += float64(u.bytes) * 8
				pending = &adapt.Ack{Rendition: choice.Rendition, Seq: u.seq, Arrival: at(arrives), Error: l.rtt / 2, Received: received}
				pending.Rendition = 1 // one numbering for all rungs
				if way-least > 15*time.Millisecond || u.key || u.seq < 10 {
					answers = append(answers, answer{arrives + l.rtt/2, *pending})
					pending = nil
				}
			}
			wire = wire[1:]
		}
		if now >= ackTick {
			ackTick += 100 * time.Millisecond
			if pending != nil {
				answers = append(answers, answer{max(now, time.Duration(pending.Arrival)*time.Microsecond) + l.rtt/2, *pending})
				pending = nil
			}
		}

		// The session takes acknowledgements.
		for len(answers) > 0 && answers[0].at <= now {
			path.Acked(answers[0].ack, at(now))
			answers = answers[1:]
			if choice.Stills {
				rate.Still(&path, best, at(now))
			} else {
				rate.Update(&path, best, at(now))
			}
			if next, _ := chooser.Choose(wishes, rate.Carries(), offers, at(now)); next != choice {
				if next.Rendition != choice.Rendition {
					sc.changes++
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
			u := sent{seq: seq, capture: now, left: size, bytes: int(size) + 1, key: key}
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
		for len(queue) > 0 && path.Room(rate.Carries(), at(now)) && inWire < float64(l.buffer) {
			u := queue[0]
			queue = queue[1:]
			u.left = float64(u.bytes) / overhead
			wire = append(wire, u)
			inWire += u.left
			path.Sent(u.bytes + header)
			path.SentUnit(1, u.seq, u.bytes, at(now), at(now))
		}
		if n := rate.Padding(&path, best, at(now)); n > 0 && !choice.Stills {
			wire = append(wire, sent{left: float64(n) / overhead, bytes: n, pad: true})
			inWire += float64(n) / overhead
			path.Sent(n + header)
		}
		if secondAt += tick.Seconds(); secondAt >= 1 {
			sc.quality += worth(perSecond)
			perSecond, secondAt = 0, 0
		}
	}
	if gap := d - lastShown; gap > 200*time.Millisecond {
		sc.frozen += gap - 200*time.Millisecond
	}
	sc.quality /= oracle
	return sc
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
	if *minutes != 1 {
		t.Log("\n" + table.String())
		return
	}
	file := filepath.Join("testdata", "scores.txt")
	if *update {
		if err := os.WriteFile(file, []byte(table.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	record, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, strings.Split(string(record), "\n"), strings.Split(table.String(), "\n"))
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
