//go:build linux

// Command attack proves by attack that nobody gets in without leave: it starts the real server with real capture processes on 127.0.0.1, in a
// data directory of its own, and tries every door of it in every way listed here and in the files of data/, while honest viewers come and go.
// It attacks no other server, and ends by itself. SIGHTLINE_BIN names the folder of the programs (default: bin).
//
// Of every attempt three things must hold: it is refused, with the status or close code that is due and without a byte of any picture; it has exactly
// the records that are due, one for a refusal (or a place in an exactly counted roll-up); and no honest viewer is refused.
//
// First each case is tried once, from an address of its own (127.64.0.0/10), so that its records can be told from all others. Then, without -quick,
// cases are repeated from one address, and what is on record must add up exactly. The last line is JSON: cases, attempts, refused, recorded,
// honest_sessions, honest_refused, misses, the same by class, and what was said of the record, the secrets and the wire. The exit code is 1 on any miss.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"sightline/test/figures"
)

// plan is how much is done.
type plan struct {
	quick    bool
	attempts int // at least, in all
	honest   int // sessions, at least
	rounds   int // of racing for a ticket
	racers   int
	kills    int
	workers  int
	only     *regexp.Regexp // classes and names
	seed     uint64
}

func main() {
	quick := flag.Bool("quick", false, "every case once, in under a minute")
	only := flag.String("only", "", "try only the cases whose class/name matches this expression")
	attempts := flag.Int("attempts", -1, "repeat the cases until there were so many attempts (default 100,000, with -quick none)")
	seed := flag.Uint64("seed", 1, "decides the order")
	flag.Parse()
	p := plan{attempts: 100_000, honest: 10_000, rounds: 200, racers: 200, kills: 50, workers: 8, seed: *seed}
	if *quick {
		p.quick, p.attempts, p.honest, p.rounds, p.racers, p.kills = true, 0, 50, 3, 200, 3
	}
	if *attempts >= 0 {
		p.attempts = *attempts
	}
	var err error
	if p.only, err = regexp.Compile(*only); err != nil {
		fmt.Fprintln(os.Stderr, "attack: -only:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, os.Stdout, p)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

// run does everything and prints the report.
func run(ctx context.Context, out io.Writer, p plan) (err error) {
	began := time.Now()
	dir, err := os.MkdirTemp("", "sightline-attack-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	t, err := newTarget(ctx, dir)
	if err != nil {
		return err
	}
	defer t.kill() // does nothing to one that ended
	cases, err := allCases(ctx, t, p)
	if err != nil {
		return err
	}
	cases = slices.DeleteFunc(cases, func(c *testCase) bool { return !p.only.MatchString(c.class + "/" + c.name) })
	if err := distinct(cases); err != nil {
		return err
	}
	l := &ledger{target: t}
	wire, err := captureWire(ctx, l, dir)
	if err != nil {
		return err
	}
	guests := beginHonest(ctx, t, p.honest)
	say := func(what string) {
		fmt.Fprintf(os.Stderr, "attack: %4.0f s: %s\n", time.Since(began).Seconds(), what)
	}
	say(fmt.Sprintf("%d cases, each once", len(cases)))
	var beside sync.WaitGroup
	beside.Go(func() { l.browser(ctx, p) })
	if p.kills > 0 && p.only.MatchString("kill/server") {
		beside.Go(func() { l.kills(ctx, p.kills) })
	}
	l.firstPass(ctx, cases, p)
	beside.Wait()
	say("one ticket for many, and connections that say nothing")
	if err := wire.stop(); err != nil {
		return err
	}
	l.race(ctx, p)
	l.crowd(ctx)
	say("all again")
	l.repeat(ctx, cases, p)
	say("the last honest viewers")
	honest, honestRefused := guests.finish(ctx)
	for _, why := range honestRefused {
		l.miss("honest", "an honest viewer was refused: "+why)
	}
	say("the records")
	l.secretsIn(wire, t)
	l.clear(wire)
	if err := t.stop(); err != nil {
		l.miss("server", err.Error())
	}
	l.secretsIn(t, t)
	if err := l.settle(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f := l.figures(honest, len(honestRefused))
	printTable(out, f, time.Since(began))
	if err := json.NewEncoder(out).Encode(f); err != nil {
		return err
	}
	if f.Misses > 0 {
		return fmt.Errorf("%d misses", f.Misses)
	}
	return nil
}

// allCases is every case there is, by class.
func allCases(ctx context.Context, t *target, p plan) ([]*testCase, error) {
	var all []*testCase
	for _, class := range []func(context.Context, *target, plan) ([]*testCase, error){
		tokenCases, matrixCases, ticketCases, originCases, frameCases, limitCases, injectionCases, crossCases, sourceCases,
	} {
		cases, err := class(ctx, t, p)
		if err != nil {
			return nil, err
		}
		all = append(all, cases...)
	}
	return all, nil
}

func distinct(cases []*testCase) error {
	seen := map[string]bool{}
	for _, c := range cases {
		if name := c.class + "/" + c.name; seen[name] {
			return fmt.Errorf("two cases are called %s", name)
		} else {
			seen[name] = true
		}
	}
	return nil
}

// firstPass tries each case once, from its own address.
func (l *ledger) firstPass(ctx context.Context, cases []*testCase, p plan) {
	order := slices.Clone(cases)
	rand.New(rand.NewPCG(p.seed, 0)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	slices.SortStableFunc(order, func(a, b *testCase) int { return b.weight() - a.weight() }) // those that mostly wait begin first
	var waiting, working sync.WaitGroup
	queue := make(chan *testCase)
	for range p.workers {
		working.Go(func() {
			for c := range queue {
				l.try(ctx, c, newVisitor(l.target, l.target.address(), false))
			}
		})
	}
	for _, c := range order {
		if ctx.Err() != nil {
			break
		}
		if c.slow {
			waiting.Go(func() { l.try(ctx, c, newVisitor(l.target, l.target.address(), false)) })
			continue
		}
		queue <- c
	}
	close(queue)
	working.Wait()
	waiting.Wait()
}

// repeat tries cases again until there were enough attempts, class by class. All come from one address, and keep their connections where they can.
func (l *ledger) repeat(ctx context.Context, cases []*testCase, p plan) {
	groups := map[string][]*testCase{}
	var names []string
	total := 0
	for _, c := range cases {
		if c.once || c.slow {
			continue
		}
		name := c.class + "/" + c.group
		if groups[name] == nil {
			names = append(names, name)
		}
		groups[name] = append(groups[name], c)
		total++
	}
	missing := p.attempts - l.count()
	if missing <= 0 || total == 0 {
		return
	}
	times := missing/total + 1
	for _, name := range names {
		queue := make(chan *testCase)
		var working sync.WaitGroup
		for range p.workers {
			working.Go(func() {
				v := newVisitor(l.target, bulkAddress, true)
				defer v.leave()
				for c := range queue {
					l.try(ctx, c, v)
				}
			})
		}
		for range times {
			for _, c := range groups[name] {
				if ctx.Err() == nil {
					queue <- c
				}
			}
		}
		close(queue)
		working.Wait()
	}
}

// printTable writes the figures by class, and what went wrong.
func printTable(out io.Writer, f figures.Attack, took time.Duration) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "class\tcases\tattempts\trefused\trecorded\tmisses\t") //nolint:errcheck // to a person
	for _, c := range f.Classes {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t\n", c.Name, c.Cases, c.Attempts, c.Refused, c.Recorded, c.Misses) //nolint:errcheck // as above
	}
	_ = w.Flush()
	for _, line := range f.Said {
		fmt.Fprintln(out, line) //nolint:errcheck // as above
	}
	fmt.Fprintf(out, "took %s\n", took.Round(time.Second)) //nolint:errcheck // as above
}
