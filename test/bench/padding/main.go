//go:build unix

// Command padding measures what padding costs, and what somebody on the network still tells by sizes: it starts a server with the
// demonstration, watches its street, and works out for each least size what the pictures it saw would have come to. Then it watches a
// server that pads, from outside of the encryption, and compares. It waits for every goroutine it started.
//
// The last line is the figures as JSON. accuracy says how well the size on the wire tells pictures above the median size from those
// below it, by the best single limit: 1 is always, 0.5 is no better than a coin; accuracy_second is the same of whole seconds.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sightline/internal/ingest"
	"sightline/internal/transport/ws"
	"sightline/internal/watch"
	"sightline/internal/wire"
	"sightline/test/site"
)

// rule is what one least size comes to.
type rule struct {
	Least          int     `json:"least"` // bytes; 0: no padding
	Kbps           float64 `json:"kbit_s"`
	More           float64 `json:"more_percent"`
	Sizes          int     `json:"sizes"` // how many different ones there are on the wire
	Accuracy       float64 `json:"accuracy"`
	AccuracySecond float64 `json:"accuracy_second"`
}

type figures struct {
	Pictures int    `json:"pictures"`
	Rules    []rule `json:"rules"`
	// Of the server that pads: what was seen of it on the wire, and what the rule says of the pictures it sent.
	CheckedLeast int     `json:"checked_least"`
	WireKbps     float64 `json:"wire_kbit_s"`
	RuleKbps     float64 `json:"rule_kbit_s"`
}

const checked = 16 << 10

func main() {
	duration := flag.Duration("duration", 20*time.Second, "how long each server is watched")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, *duration)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "padding:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, duration time.Duration) error {
	plain, err := look(ctx, "", duration)
	if err != nil {
		return err
	}
	f := figures{Pictures: len(plain.sizes), CheckedLeast: checked}
	for _, least := range []int{0, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10} {
		f.Rules = append(f.Rules, plain.judge(least))
	}
	padded, err := look(ctx, fmt.Sprintf("padding: %d\n", checked), duration)
	if err != nil {
		return err
	}
	f.WireKbps, f.RuleKbps = float64(padded.wire)*8/1000/padded.took.Seconds(), padded.judge(checked).Kbps
	for _, r := range f.Rules {
		if _, err := fmt.Fprintf(out, "least %6d: %6.0f kbit/s (%+4.0f %%), %4d sizes, accuracy %.2f of a picture, %.2f of a second\n",
			r.Least, r.Kbps, r.More, r.Sizes, r.Accuracy, r.AccuracySecond); err != nil {
			return err
		}
	}
	return json.NewEncoder(out).Encode(f)
}

// seen is what a viewer got: its pictures' sizes with their headers, and what came through the wire for them.
type seen struct {
	sizes []int
	at    []time.Time
	wire  int64
	took  time.Duration
}

// judge works out what a least size comes to for these pictures.
func (s seen) judge(least int) rule {
	r := rule{Least: least}
	plain, padded := 0, 0
	var outside []int
	different := map[int]bool{}
	seconds := map[int64]*[2]int{}
	for i, n := range s.sizes {
		size := ingest.Padding(least).Size(n)
		outside = append(outside, size)
		different[size] = true
		plain, padded = plain+n, padded+size
		second := seconds[s.at[i].Unix()]
		if second == nil {
			second = new([2]int)
			seconds[s.at[i].Unix()] = second
		}
		second[0], second[1] = second[0]+n, second[1]+size
	}
	var inside, whole []int
	for _, second := range seconds {
		inside, whole = append(inside, second[0]), append(whole, second[1])
	}
	r.Kbps = float64(padded) * 8 / 1000 / s.took.Seconds()
	r.More = 100 * (float64(padded)/float64(plain) - 1)
	r.Sizes, r.Accuracy, r.AccuracySecond = len(different), accuracy(s.sizes, outside), accuracy(inside, whole)
	return r
}

// accuracy is how often the best limit of what is seen outside tells whether what is inside is above its median.
func accuracy(inside, outside []int) float64 {
	sorted := slices.Sorted(slices.Values(inside))
	median := sorted[len(sorted)/2]
	best := 0
	for _, limit := range append([]int{0}, outside...) {
		right := 0
		for i := range inside {
			if (inside[i] >= median) == (outside[i] >= limit) {
				right++
			}
		}
		best = max(best, right)
	}
	return float64(best) / float64(len(inside))
}

// look watches the street of a server with that configuration.
func look(ctx context.Context, config string, duration time.Duration) (s seen, err error) {
	server, err := site.Start(ctx, site.Options{Config: config, Args: []string{"--demo", "--log-level", "error"}})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	wire, err := tap(ctx, server.Host())
	if err != nil {
		return s, err
	}
	defer wire.close()
	return s, s.watch(ctx, server, wire, duration)
}

func (s *seen) watch(ctx context.Context, server *site.Server, through *wiretap, duration time.Duration) error {
	token, err := server.Token(ctx, "street", "view")
	if err != nil {
		return err
	}
	conn, err := ws.Dial(ctx, "wss://"+through.addr()+"/ws/watch/street", http.Header{"Authorization": {"Bearer " + token}},
		[]string{wire.Subprotocol}, server.TLS(), ws.Options{ReadLimit: wire.MaxMessageLen, IdleTimeout: 10 * time.Second})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	var mu sync.Mutex // a viewer may observe from several goroutines
	var began time.Time
	v := watch.New(conn, watch.Options{Player: "sightline-bench/1", Observe: func(p watch.Picture) {
		mu.Lock()
		defer mu.Unlock()
		now := through.count.Load()
		if began.IsZero() { // the first picture: what came before is not of pictures
			began = p.At
			through.began = now
			return
		}
		headers := wire.Chunks(p.Bytes) * (wire.MediaHeaderLen + 4)
		s.sizes, s.at = append(s.sizes, p.Bytes+headers), append(s.at, p.At)
		s.wire, s.took = now-through.began, p.At.Sub(began)
	}})
	if err := v.Run(ctx); ctx.Err() == nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	if len(s.sizes) < 100 {
		return fmt.Errorf("only %d pictures came", len(s.sizes))
	}
	return nil
}

// wiretap carries one connection to a server, and counts what the server says.
type wiretap struct {
	listener net.Listener
	carrying sync.WaitGroup
	count    atomic.Int64 // encrypted bytes towards the viewer
	began    int64
}

func tap(ctx context.Context, host string) (*wiretap, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wiretap{listener: l}
	w.carrying.Go(func() {
		viewer, err := l.Accept()
		if err != nil {
			return
		}
		server, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
		if err != nil {
			_ = viewer.Close()
			return
		}
		var asking sync.WaitGroup
		asking.Go(func() { _, _ = io.Copy(server, viewer); _ = server.Close() })
		_, _ = io.Copy(io.MultiWriter(viewer, counter{&w.count}), server)
		_ = viewer.Close()
		asking.Wait()
	})
	return w, nil
}

func (w *wiretap) addr() string { return w.listener.Addr().String() }

func (w *wiretap) close() {
	_ = w.listener.Close()
	w.carrying.Wait()
}

type counter struct{ n *atomic.Int64 }

// Write implements io.Writer.
func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}
