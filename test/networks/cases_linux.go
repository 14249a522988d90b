package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"sightline/internal/watch"
	"sightline/test/figures"
)

// run is what a viewer saw, with times since the case began.
type run struct {
	at          []time.Duration
	pictures    []watch.Picture
	undecodable int
}

func newRun(start time.Time, s seen) run {
	r := run{undecodable: s.undecodable}
	for _, p := range s.pictures {
		if p.Age < 0 {
			continue // before the clock is known
		}
		r.at = append(r.at, p.At.Sub(start))
		r.pictures = append(r.pictures, p)
	}
	return r
}

// between is the part of a run that arrived between two times.
func (r run) between(from, to time.Duration) run {
	i, _ := slices.BinarySearch(r.at, from)
	j, _ := slices.BinarySearch(r.at, to)
	return run{at: r.at[i:j], pictures: r.pictures[i:j]}
}

// age is the q-quantile of the pictures' ages, ms.
func (r run) age(q float64) float64 {
	if len(r.pictures) == 0 {
		return -1
	}
	ages := make([]float64, 0, len(r.pictures))
	for _, p := range r.pictures {
		ages = append(ages, p.Age)
	}
	slices.Sort(ages)
	return ages[min(len(ages)-1, int(q*float64(len(ages))))]
}

// freeze is the longest time without a new picture between from and to, ms; the ends count as pictures.
func (r run) freeze(from, to time.Duration) float64 {
	last, longest := from, time.Duration(0)
	for _, at := range r.between(from, to).at {
		longest = max(longest, at-last)
		last = at
	}
	return ms(max(longest, to-last))
}

func (r run) fps(from, to time.Duration) float64 {
	return float64(len(r.between(from, to).pictures)) / (to - from).Seconds()
}

// kbps is the bit rate of the pictures alone.
func (r run) kbps(from, to time.Duration) float64 {
	n := 0
	for _, p := range r.between(from, to).pictures {
		n += p.Bytes
	}
	return float64(n) * 8 / 1000 / (to - from).Seconds()
}

// recovered is when the ages' 95th percentile over the following second is at most limit for the first time after from,
// as ms since from; -1 for never.
func (r run) recovered(from, to time.Duration, limit float64) float64 {
	for t := from; t+time.Second <= to; t += 100 * time.Millisecond {
		if second := r.between(t, t+time.Second); len(second.at) > 0 && second.age(0.95) <= limit {
			return ms(t - from)
		}
	}
	return -1
}

// full is when the bit rate over a second reaches least kbit/s for the first time after from, as ms since from; -1 for
// never.
func (r run) full(from, to time.Duration, least float64) float64 {
	for t := from; t+time.Second <= to; t += 100 * time.Millisecond {
		if r.kbps(t, t+time.Second) >= least {
			return ms(t - from)
		}
	}
	return -1
}

func (r run) print(out io.Writer) {
	const every = 250 * time.Millisecond
	if len(r.at) == 0 {
		return
	}
	for t := time.Duration(0); t < r.at[len(r.at)-1]; t += every {
		part := r.between(t, t+every)
		keys, height := 0, 0
		for _, p := range part.pictures {
			if p.Key {
				keys++
			}
			height = p.Height
		}
		_, _ = fmt.Fprintf(out, "%7.2fs %3d pictures (%d keys) of %4d lines, %6.0f kbit/s, age %6.0f to %6.0f ms\n",
			t.Seconds(), len(part.at), keys, height, part.kbps(t, t+every), part.age(0), part.age(1))
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// figure is one number of a case, with what it must hold.
type figure struct {
	name  string
	value float64
	limit float64
	least bool // the limit is a least value; otherwise a most
	free  bool // no limit: reported alone
}

func (f figure) pass() bool {
	switch {
	case f.free:
		return true
	case f.least:
		return f.value >= f.limit
	}
	return f.value >= 0 && f.value <= f.limit
}

// into puts it into a row, with its limit, which the row keeps if it did so far.
func (f figure) into(row *figures.NetworkCase) {
	row.Figures[f.name] = f.value
	row.Pass = row.Pass && f.pass()
	switch {
	case f.free:
	case f.least:
		row.Least[f.name] = f.limit
	default:
		row.Most[f.name] = f.limit
	}
}

func most(name string, value, limit float64) figure {
	return figure{name: name, value: value, limit: limit}
}

func least(name string, value, limit float64) figure {
	return figure{name: name, value: value, limit: limit, least: true}
}

func report(name string, value float64) figure { return figure{name: name, value: value, free: true} }

// scenario is one row of the table.
type scenario struct {
	name  string
	quick bool   // short enough for QUICK
	tags  string // of the server's build: it goes without some of its rules
	run   func(context.Context, *bench) ([]figure, int, error)
}

func (b *bench) at(after time.Duration, bps int) step {
	return step{after, func(ctx context.Context) error { return b.net.rate(ctx, bps, bottleneck) }}
}

const (
	mega   = 1_000_000
	warmUp = 5 * time.Second
)

func scenarios() []scenario {
	return []scenario{
		{name: "good network", run: good},
		{name: "10 to 1 Mbit/s and back", quick: true, run: falling(true)},
		{name: "steady 1 Mbit/s", run: steady1M},
		{name: "steady 300 kbit/s", quick: true, run: steady300k},
		{name: "64 kbit/s", run: starved},
		{name: "1 Mbit/s, detail preferred", run: detail},
		{name: "1 % loss", run: lossy(0.01, 300, 500)},
		{name: "3 % loss", run: lossy(0.03, 600, 1200)},
		{name: "0.8 s blackout", run: shortBlackout},
		{name: "2 s blackout", run: blackout},
		{name: "1 slow viewer among 20", run: crowd},
		{name: "HAProxy: 10 to 1 Mbit/s and back", run: proxied},
		{name: "HAProxy: 64 kbit/s", run: proxiedStarved},
		{name: "Chromium: 10 to 1 Mbit/s", run: browserFalling},
		{name: "Chromium: 2 s blackout", run: browserBlackout},
		{name: "10 to 1, without window, budget, socket options", tags: "fifo,untuned", run: falling(false)},
		{name: "10 to 1, without adapting", tags: "fixed", run: falling(false)},
		{name: "10 to 1, without adapting, socket options", tags: "fixed,untuned", run: falling(false)},
		{name: "10 to 1, without adapting, window, budget", tags: "fixed,fifo", run: falling(false)},
		{name: "10 to 1, without any of them", tags: "fixed,fifo,untuned", run: falling(false)},
	}
}

func good(ctx context.Context, b *bench) ([]figure, int, error) {
	const end = 12 * time.Second
	r, err := b.one(ctx, b.straight(), end, nil)
	return []figure{
		most("p95_ms", r.between(warmUp, end).age(0.95), 60), least("fps", r.fps(warmUp, end), 29),
		report("kbps", r.kbps(warmUp, end)), most("freeze_ms", r.freeze(warmUp, end), 150),
	}, r.undecodable, err
}

// falling has the link fall to a tenth and come back. The figures of a server without its rules are reported beside the
// others and held to nothing.
func falling(held bool) func(context.Context, *bench) ([]figure, int, error) {
	return func(ctx context.Context, b *bench) ([]figure, int, error) {
		return fallAndRise(ctx, b, b.straight(), held)
	}
}

func fallAndRise(ctx context.Context, b *bench, at door, held bool) ([]figure, int, error) {
	const down, up, end = 6 * time.Second, 18 * time.Second, 30 * time.Second
	r, err := b.one(ctx, at, end, []step{b.at(0, 10*mega), b.at(down, mega), b.at(up, 10*mega)})
	usual := r.kbps(3*time.Second, down)
	figures := []figure{
		most("p95_after_3s_ms", r.between(down+3*time.Second, up).age(0.95), 250),
		most("recovered_ms", r.recovered(down, up, 250), 3000), most("worst_ms", r.between(down, end).age(1), 1200),
		most("freeze_ms", r.freeze(down, end-time.Second), 700), report("kbps_before", usual),
		report("kbps_down", r.kbps(down+3*time.Second, up)), most("full_again_ms", r.full(up, end-time.Second, 0.9*usual), 10_000),
	}
	for i := range figures {
		figures[i].free = figures[i].free || !held
	}
	return figures, r.undecodable, err
}

func proxied(ctx context.Context, b *bench) (figures []figure, undecodable int, err error) {
	at, stop, err := b.proxy(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return fallAndRise(ctx, b, at, true)
}

func steady1M(ctx context.Context, b *bench) ([]figure, int, error) {
	const last, end = 24 * time.Second, 25 * time.Second
	var from, to int
	count := func(into *int) func(context.Context) error {
		return func(ctx context.Context) (err error) { *into, err = b.net.carried(ctx); return err }
	}
	r, err := b.one(ctx, b.straight(), end, []step{b.at(0, mega), {warmUp, count(&from)}, {last, count(&to)}})
	used := 100 * float64(to-from) * 8 / mega / (last - warmUp).Seconds()
	return []figure{
		most("p95_ms", r.between(warmUp, end).age(0.95), 200), least("fps", r.fps(warmUp, end), 24),
		least("link_used_percent", used, 80), report("kbps", r.kbps(warmUp, end)), report("freeze_ms", r.freeze(warmUp, end)),
	}, r.undecodable, err
}

func steady300k(ctx context.Context, b *bench) ([]figure, int, error) {
	const end = 15 * time.Second
	r, err := b.one(ctx, b.straight(), end, []step{b.at(0, 300_000)})
	return []figure{
		most("p95_ms", r.between(warmUp, end).age(0.95), 350), least("fps", r.fps(warmUp, end), 10),
		report("kbps", r.kbps(warmUp, end)), report("freeze_ms", r.freeze(warmUp, end)),
	}, r.undecodable, err
}

// detail is for who prefers sharp pictures to many: all the lines, each picture with 60 % of the bits it has at best, and
// fewer of them, which come evenly.
func detail(ctx context.Context, b *bench) ([]figure, int, error) {
	const end, best = 20 * time.Second, 2_500_000 / 30 / 8 // bytes
	r, err := b.one(ctx, b.straight(), end, []step{b.at(0, mega)}, "--prefer", "detail")
	settled := r.between(warmUp, end)
	lines, bytes := math.MaxInt, 0
	for _, p := range settled.pictures {
		lines, bytes = min(lines, p.Height), bytes+p.Bytes
	}
	return []figure{
		most("p95_ms", settled.age(0.95), 250), least("lines", float64(lines), 720), least("fps", r.fps(warmUp, end), 9),
		least("percent_of_best", 100*float64(bytes)/float64(max(1, len(settled.pictures)))/best, 60),
		report("kbps", r.kbps(warmUp, end)), most("freeze_ms", r.freeze(warmUp, end), 350),
	}, r.undecodable, err
}

func starved(ctx context.Context, b *bench) ([]figure, int, error) {
	const from, end = 10 * time.Second, 40 * time.Second
	r, err := b.one(ctx, b.straight(), end, []step{b.at(0, 64_000)})
	return []figure{
		most("freeze_ms", r.freeze(from, end), 4000), report("p95_ms", r.between(from, end).age(0.95)),
		report("kbps", r.kbps(from, end)),
	}, r.undecodable, err
}

// proxiedStarved is the slowest link behind the proxy's buffers, which take whatever the server sends.
func proxiedStarved(ctx context.Context, b *bench) (figures []figure, undecodable int, err error) {
	const from, end = 10 * time.Second, 40 * time.Second
	at, stop, err := b.proxy(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	r, err := b.one(ctx, at, end, []step{b.at(0, 64_000)})
	return []figure{
		most("freeze_ms", r.freeze(from, end), 4000), report("p95_ms", r.between(from, end).age(0.95)),
		report("stills_after_ms", r.moving()), report("kbps", r.kbps(from, end)),
	}, r.undecodable, err
}

// moving is when the last picture came that was no keyframe, as ms since the beginning; 0 if none did.
func (r run) moving() float64 {
	for i, p := range slices.Backward(r.pictures) {
		if !p.Key {
			return ms(r.at[i])
		}
	}
	return 0
}

const off, on, blackoutEnd = 6 * time.Second, 8 * time.Second, 14 * time.Second

// cuts are the steps of a blackout; back is when it was over, which on a busy machine is later than planned.
func (b *bench) cuts(back *time.Time) []step {
	return []step{
		b.at(0, 10*mega),
		{off, func(ctx context.Context) error { return b.net.cut(ctx, true) }},
		{on, func(ctx context.Context) error { err := b.net.cut(ctx, false); *back = time.Now(); return err }},
	}
}

// since are the pictures that came after t.
func (r run) since(t time.Time) run {
	i, _ := slices.BinarySearchFunc(r.pictures, t, func(p watch.Picture, t time.Time) int { return p.At.Compare(t) })
	return run{at: r.at[i:], pictures: r.pictures[i:]}
}

// stale is the age from which a picture after a blackout is one from before it, ms.
const stale = 500

// fresh is when the first new picture came after t, ms; -1 for never.
func (r run) fresh(t time.Time) float64 {
	for _, p := range r.since(t).pictures {
		if p.Age < stale {
			return ms(p.At.Sub(t))
		}
	}
	return -1
}

// shortBlackout is over before a second connection is begun.
func shortBlackout(ctx context.Context, b *bench) ([]figure, int, error) {
	const end = 20 * time.Second
	var back time.Time
	steps := b.cuts(&back)
	steps[2].after = off + 800*time.Millisecond
	r, err := b.one(ctx, b.straight(), end, steps)
	return []figure{
		report("new_picture_ms", r.fresh(back)), report("freeze_ms", r.freeze(off, end-time.Second)),
		report("full_again_ms", r.full(steps[2].after, end, 0.9*r.kbps(3*time.Second, off))),
	}, r.undecodable, err
}

func blackout(ctx context.Context, b *bench) ([]figure, int, error) {
	var back time.Time
	r, err := b.one(ctx, b.straight(), blackoutEnd, b.cuts(&back))
	return []figure{
		most("new_picture_ms", r.fresh(back), 500), report("freeze_ms", r.freeze(off, blackoutEnd-time.Second)),
	}, r.undecodable, err
}

func browserBlackout(ctx context.Context, b *bench) ([]figure, int, error) {
	var back time.Time
	r, err := b.chromium(ctx, blackoutEnd, b.cuts(&back))
	old := 0
	for _, p := range r.since(back).pictures {
		if p.Age >= stale {
			old++
		}
	}
	return []figure{
		most("new_picture_ms", r.fresh(back), 500), most("old_pictures", float64(old), 0),
		report("freeze_ms", r.freeze(off, blackoutEnd-time.Second)),
	}, 0, err
}

func browserFalling(ctx context.Context, b *bench) ([]figure, int, error) {
	const down, up, end = 6 * time.Second, 18 * time.Second, 26 * time.Second
	r, err := b.chromium(ctx, end, []step{b.at(0, 10*mega), b.at(down, mega), b.at(up, 10*mega)})
	return []figure{
		report("p50_before_ms", r.between(0, down).age(0.5)), report("p95_before_ms", r.between(0, down).age(0.95)),
		most("p95_after_3s_ms", r.between(down+3*time.Second, up).age(0.95), 250),
		most("recovered_ms", r.recovered(down, up, 250), 3000), most("worst_ms", r.between(down, end).age(1), 1200),
		most("freeze_ms", r.freeze(down, end-time.Second), 700), report("fps_down", r.fps(down+3*time.Second, up)),
	}, 0, err
}

func lossy(share, age, freeze float64) func(context.Context, *bench) ([]figure, int, error) {
	return func(ctx context.Context, b *bench) ([]figure, int, error) {
		const end = 25 * time.Second
		drop := func(ctx context.Context) error { return b.net.drop(ctx, share) }
		r, err := b.one(ctx, b.straight(), end, []step{b.at(0, 10*mega), {0, drop}})
		return []figure{
			most("p95_ms", r.between(warmUp, end).age(0.95), age), most("freeze_ms", r.freeze(warmUp, end), freeze),
			report("fps", r.fps(warmUp, end)), report("kbps", r.kbps(warmUp, end)),
		}, r.undecodable, err
	}
}

// crowd compares what nineteen viewers on a good network get while a twentieth, whose network carries a third of that,
// is there and while it is not, by turns, since a machine is not the same from one moment to the next.
func crowd(ctx context.Context, b *bench) ([]figure, int, error) {
	const phase, settle, phases, others = 6 * time.Second, 2 * time.Second, 10, 19
	const end = warmUp + phases*phase
	if err := b.net.reset(ctx); err != nil {
		return nil, 0, err
	}
	if err := b.net.rate(ctx, 300_000, bottleneck); err != nil {
		return nil, 0, err
	}
	start := time.Now()
	group, groupCtx := errgroup.WithContext(ctx)
	runs := make([]run, others)
	for i := range runs {
		group.Go(func() error {
			s, err := b.watch(groupCtx, b.straight(), "small", fast, fmt.Sprintf("viewer%d", i), end)
			runs[i] = newRun(start, s)
			return err
		})
	}
	var slowest seen
	visits := make([]step, 0, phases/2)
	for n := 1; n < phases; n += 2 {
		visits = append(visits, step{warmUp + time.Duration(n)*phase, func(ctx context.Context) error {
			s, err := b.watch(ctx, b.straight(), "small", slow, "slow", phase)
			slowest.pictures = append(slowest.pictures, s.pictures...)
			slowest.undecodable += s.undecodable
			return err
		}})
	}
	group.Go(func() error { return play(groupCtx, start, visits) })
	err := group.Wait()
	undecodable := slowest.undecodable
	for _, r := range runs {
		undecodable += r.undecodable
	}
	var without, with phaseAges
	for n := range phases {
		from := warmUp + time.Duration(n)*phase
		var all run
		for _, r := range runs {
			all.pictures = append(all.pictures, r.between(from+settle, from+phase).pictures...)
		}
		if n%2 == 0 {
			without.add(all)
		} else {
			with.add(all)
		}
	}
	them := newRun(start, slowest)
	if b.trace {
		them.print(b.out)
	}
	return []figure{
		report("others_p50_without_ms", middle(without.p50)), report("others_p50_with_ms", middle(with.p50)),
		report("others_p95_without_ms", middle(without.p95)), report("others_p95_with_ms", middle(with.p95)),
		most("others_p95_change_percent", max(0, 100*(middle(with.p95)/middle(without.p95)-1)), 5),
		report("slow_p95_ms", them.age(0.95)),
	}, undecodable, err
}

// phaseAges are quantiles of several phases. What else the machine does may spoil one of them: the middle one counts.
type phaseAges struct{ p50, p95 []float64 }

func (a *phaseAges) add(r run) {
	a.p50, a.p95 = append(a.p50, r.age(0.5)), append(a.p95, r.age(0.95))
}

func middle(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }

// all runs the cases and prints the table, and the figures as JSON behind it.
func (b *bench) all(ctx context.Context, only string, quick bool) (undecodable int, err error) {
	var cases []figures.NetworkCase
	tags, stop := "", func() error { return nil }
	defer func() { err = errors.Join(err, stop()) }()
	for i, s := range chosen(only, quick) {
		if i == 0 || s.tags != tags {
			if err := stop(); err != nil {
				return undecodable, err
			}
			stop = func() error { return nil } // once
			binary := program("sightline")
			if tags = s.tags; tags != "" {
				if binary, err = b.variant(ctx, tags); err != nil {
					return undecodable, err
				}
			}
			server, err := b.serve(ctx, binary)
			if err != nil {
				return undecodable, err
			}
			stop = server.stop
		}
		b.name, b.told = s.name, nil
		got, bad, err := s.run(ctx, b)
		if err != nil {
			return undecodable, fmt.Errorf("%s: %w", s.name, err)
		}
		undecodable += bad
		got = append(got, report("load", load()))
		row := figures.NetworkCase{Name: s.name, Pass: bad == 0, Figures: map[string]float64{}, Most: map[string]float64{}, Least: map[string]float64{}}
		line := fmt.Sprintf("%-48s", s.name)
		for _, f := range got {
			f.into(&row)
			line += fmt.Sprintf("  %s %.0f%s", f.name, f.value, f.bound())
		}
		if b.series {
			row.Series = b.told
		}
		cases = append(cases, row)
		verdict := "holds "
		if !row.Pass {
			verdict = "BROKEN"
		}
		if _, err := fmt.Fprintln(b.out, verdict, line); err != nil {
			return undecodable, err
		}
	}
	return undecodable, json.NewEncoder(b.out).Encode(figures.Networks{Cases: cases, Undecodable: undecodable})
}

// load is how many programs wanted a processor over the last minute: beside more than there are processors, ages tell of the
// machine as well; -1 if not known.
func load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	var over1 float64
	if _, err := fmt.Sscan(string(text), &over1); err != nil {
		return -1
	}
	return over1
}

// chosen lists the cases whose names contain one of those in only, which has commas between; the shortest alone if quick.
func chosen(only string, quick bool) []scenario {
	return slices.DeleteFunc(scenarios(), func(s scenario) bool {
		named := func(part string) bool { return containsFold(s.name, part) }
		return quick && !s.quick || !slices.ContainsFunc(strings.Split(only, ","), named)
	})
}

// bound is a figure's limit in short.
func (f figure) bound() string {
	switch {
	case f.free:
		return ""
	case f.least:
		return fmt.Sprintf(" (≥ %g)", f.limit)
	}
	return fmt.Sprintf(" (≤ %g)", f.limit)
}

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}
