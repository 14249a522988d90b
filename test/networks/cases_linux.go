package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"sightline/internal/watch"
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
	quick bool // short enough for QUICK
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
		{"good network", false, func(ctx context.Context, b *bench) ([]figure, int, error) {
			const end = 12 * time.Second
			r, err := b.one(ctx, end, nil)
			return []figure{
				most("p95_ms", r.between(warmUp, end).age(0.95), 60), least("fps", r.fps(warmUp, end), 29),
				report("kbps", r.kbps(warmUp, end)), most("freeze_ms", r.freeze(warmUp, end), 150),
			}, r.undecodable, err
		}},
		{"10 to 1 Mbit/s and back", true, func(ctx context.Context, b *bench) ([]figure, int, error) {
			const down, up, end = 6 * time.Second, 18 * time.Second, 30 * time.Second
			r, err := b.one(ctx, end, []step{b.at(0, 10*mega), b.at(down, mega), b.at(up, 10*mega)})
			usual := r.kbps(3*time.Second, down)
			return []figure{
				most("p95_after_3s_ms", r.between(down+3*time.Second, up).age(0.95), 250),
				most("recovered_ms", r.recovered(down, up, 250), 3000), most("worst_ms", r.between(down, end).age(1), 1200),
				most("freeze_ms", r.freeze(down, end-time.Second), 700), report("kbps_before", usual),
				report("kbps_down", r.kbps(down+3*time.Second, up)), most("full_again_ms", r.full(up, end-time.Second, 0.9*usual), 10_000),
			}, r.undecodable, err
		}},
		{"steady 1 Mbit/s", false, func(ctx context.Context, b *bench) ([]figure, int, error) {
			const last, end = 24 * time.Second, 25 * time.Second
			var from, to int
			count := func(into *int) func(context.Context) error {
				return func(ctx context.Context) (err error) { *into, err = b.net.carried(ctx); return err }
			}
			r, err := b.one(ctx, end, []step{b.at(0, mega), {warmUp, count(&from)}, {last, count(&to)}})
			used := 100 * float64(to-from) * 8 / mega / (last - warmUp).Seconds()
			return []figure{
				most("p95_ms", r.between(warmUp, end).age(0.95), 200), least("fps", r.fps(warmUp, end), 24),
				least("link_used_percent", used, 80), report("kbps", r.kbps(warmUp, end)), report("freeze_ms", r.freeze(warmUp, end)),
			}, r.undecodable, err
		}},
		{"steady 300 kbit/s", true, func(ctx context.Context, b *bench) ([]figure, int, error) {
			const end = 15 * time.Second
			r, err := b.one(ctx, end, []step{b.at(0, 300_000)})
			return []figure{
				most("p95_ms", r.between(warmUp, end).age(0.95), 350), least("fps", r.fps(warmUp, end), 10),
				report("kbps", r.kbps(warmUp, end)), report("freeze_ms", r.freeze(warmUp, end)),
			}, r.undecodable, err
		}},
		{"64 kbit/s", false, func(ctx context.Context, b *bench) ([]figure, int, error) {
			const from, end = 10 * time.Second, 40 * time.Second
			r, err := b.one(ctx, end, []step{b.at(0, 64_000)})
			return []figure{
				most("freeze_ms", r.freeze(from, end), 4000), report("p95_ms", r.between(from, end).age(0.95)),
				report("kbps", r.kbps(from, end)),
			}, r.undecodable, err
		}},
		{"1 % loss", false, lossy(0.01, 300, 500)},
		{"3 % loss", false, lossy(0.03, 600, 1200)},
		{"2 s blackout", false, func(ctx context.Context, b *bench) ([]figure, int, error) {
			const off, on, end = 6 * time.Second, 8 * time.Second, 12 * time.Second
			cut := func(cut bool) func(context.Context) error {
				return func(ctx context.Context) error { return b.net.cut(ctx, cut) }
			}
			r, err := b.one(ctx, end, []step{b.at(0, 10*mega), {off, cut(true)}, {on, cut(false)}})
			fresh := -1.0 // the first picture younger than half a second
			for i, at := range r.at {
				if at > on && r.pictures[i].Age < 500 {
					fresh = ms(at - on)
					break
				}
			}
			return []figure{most("new_picture_ms", fresh, 500), report("freeze_ms", r.freeze(off, end))}, r.undecodable, err
		}},
		{"1 slow viewer among 10", false, crowd},
	}
}

func lossy(share, age, freeze float64) func(context.Context, *bench) ([]figure, int, error) {
	return func(ctx context.Context, b *bench) ([]figure, int, error) {
		const end = 25 * time.Second
		drop := func(ctx context.Context) error { return b.net.drop(ctx, share) }
		r, err := b.one(ctx, end, []step{b.at(0, 10*mega), {0, drop}})
		return []figure{
			most("p95_ms", r.between(warmUp, end).age(0.95), age), most("freeze_ms", r.freeze(warmUp, end), freeze),
			report("fps", r.fps(warmUp, end)), report("kbps", r.kbps(warmUp, end)),
		}, r.undecodable, err
	}
}

// crowd compares what nine viewers on a good network get before and after a tenth joins them on a bad one.
func crowd(ctx context.Context, b *bench) ([]figure, int, error) {
	const joins, end = 12 * time.Second, 24 * time.Second
	if err := b.net.reset(ctx); err != nil {
		return nil, 0, err
	}
	if err := b.net.rate(ctx, mega, bottleneck); err != nil {
		return nil, 0, err
	}
	start := time.Now()
	group, groupCtx := errgroup.WithContext(ctx)
	runs := make([]run, 10)
	for i := range runs {
		group.Go(func() error {
			from, wait := fast, time.Duration(0)
			if i == 0 {
				from, wait = slow, joins
			}
			var s seen
			err := play(groupCtx, start, []step{{wait, func(ctx context.Context) (err error) {
				s, err = b.watch(ctx, from, fmt.Sprintf("viewer%d", i), end-wait)
				return err
			}}})
			runs[i] = newRun(start, s)
			return err
		})
	}
	err := group.Wait()
	undecodable := 0
	var before, after run
	for i, r := range runs {
		undecodable += r.undecodable
		if i > 0 {
			before.pictures = append(before.pictures, r.between(warmUp, joins).pictures...)
			after.pictures = append(after.pictures, r.between(joins+2*time.Second, end).pictures...)
		}
	}
	slowest := runs[0]
	if b.trace {
		slowest.print(b.out)
	}
	change := 100 * (after.age(0.95)/before.age(0.95) - 1)
	return []figure{
		report("others_p95_before_ms", before.age(0.95)), report("others_p95_after_ms", after.age(0.95)),
		{name: "others_p95_change_percent", value: max(change, 0), limit: 5},
		report("slow_p95_ms", slowest.between(joins+warmUp, end).age(0.95)), report("slow_fps", slowest.fps(joins+warmUp, end)),
	}, undecodable, err
}

// all runs the cases and prints the table, and the figures as JSON behind it.
func (b *bench) all(ctx context.Context, only string, quick bool) (pass bool, err error) {
	cases, undecodable := []map[string]any{}, 0
	pass = true
	for _, s := range scenarios() {
		if (quick && !s.quick) || !containsFold(s.name, only) {
			continue
		}
		figures, bad, err := s.run(ctx, b)
		if err != nil {
			return false, fmt.Errorf("%s: %w", s.name, err)
		}
		undecodable += bad
		row := map[string]any{"name": s.name}
		held := bad == 0
		line := fmt.Sprintf("%-26s", s.name)
		for _, f := range figures {
			row[f.name] = f.value
			held = held && f.pass()
			line += fmt.Sprintf("  %s %.0f%s", f.name, f.value, f.bound())
		}
		row["pass"] = held
		pass = pass && held
		cases = append(cases, row)
		verdict := "holds "
		if !held {
			verdict = "BROKEN"
		}
		if _, err := fmt.Fprintln(b.out, verdict, line); err != nil {
			return false, err
		}
	}
	return pass, json.NewEncoder(b.out).Encode(map[string]any{"cases": cases, "undecodable": undecodable})
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
