//go:build linux

// Command media throws broken media at the real programs: it starts a server whose streams read cameras, files and stills that this program breaks in ever
// other ways, watches them all, and looks after the server and after one good stream beside them. It knows what is sent and not what is made of it.
// SIGHTLINE_BIN names the folder of the programs (default: bin); make fuzz-media runs it.
//
// It fails if the server ends, grows or logs an error of its own, if the good stream's viewer loses its connection or is sent what cannot be decoded, if a
// viewer of a bad stream loses its connection, or if a stream that shows nothing does not say why.
//
// The last line is JSON: inputs handed over, in all and by stream, exits and crashes of capture processes by how they ended (crashes are those by a signal that is not the server's),
// server_errors, the server's most memory, the good stream's longest pause between two pictures, and in which states the bad streams were found how often.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"sightline/internal/media"
	"sightline/internal/watch"
	"sightline/test/site"
)

const (
	goodName = media.StreamID("good")
	warm     = 5 * time.Second // before the server's memory and the good stream count
	// mayGrow is what the server's memory may grow by, in bytes: queues of all viewers at their fullest are less.
	mayGrow   = 64 << 20
	stillsAll = 3000
	stillRate = 20
)

type figures struct {
	Seconds      float64             `json:"seconds"`
	Inputs       int                 `json:"inputs"`
	InputsBy     map[string]int      `json:"inputs_by_stream"`
	Exits        map[string]int      `json:"exits"`
	Crashes      map[string]int      `json:"crashes"`
	ServerErrors int                 `json:"server_errors"`
	ServerMB     float64             `json:"server_rss_max_mb"`
	GoodFrames   int                 `json:"good_frames"`
	GoodGap      float64             `json:"good_max_gap_ms"`
	States       map[media.State]int `json:"states"`
}

func main() {
	duration := flag.Duration("duration", 45*time.Second, "for how long")
	write := flag.String("write", "", "write the input of this name to standard output instead, such as file-mp4/clip.mp4#12")
	verbose := flag.Bool("v", false, "show the server's log")
	flag.Parse()
	if *write != "" {
		if err := writeInput(os.Stdout, *write); err != nil {
			fmt.Fprintln(os.Stderr, "media:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, *duration, *verbose)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "media:", err)
		os.Exit(1)
	}
}

// writeInput makes an input anew from its name.
func writeInput(w io.Writer, name string) error {
	corpus, err := load()
	if err != nil {
		return err
	}
	seed, number, _ := strings.Cut(name, "#")
	_, base, _ := strings.Cut(seed, "/")
	n, err := strconv.Atoi(number)
	if err != nil || corpus[base] == nil {
		return fmt.Errorf("no input %q", name)
	}
	_, err = w.Write(mutant(corpus[base], seed, n))
	return err
}

// test is one run.
type test struct {
	dir, bin string
	corpus   map[string][]byte
	feeders  []*feeder
	server   *site.Server
	log      *slogged
}

// feeder adds one for a stream.
func (t *test) feeder(stream string, bases ...string) *feeder {
	f := &feeder{stream: stream, bases: bases}
	t.feeders = append(t.feeders, f)
	return f
}

func run(ctx context.Context, out io.Writer, duration time.Duration, verbose bool) (err error) {
	t := &test{bin: site.Programs(), log: &slogged{out: out, verbose: verbose, exits: map[string]int{}, crashes: map[string]int{}}}
	if t.corpus, err = load(); err != nil {
		return err
	}
	if t.dir, err = os.MkdirTemp("", "sightline-media-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(t.dir)) }()
	if err := os.Chmod(t.dir, 0o755); err != nil { // for the users that capture processes are
		return err
	}
	work, cancel := context.WithCancel(ctx)
	group, work := errgroup.WithContext(work)
	defer func() {
		cancel()
		err = errors.Join(err, group.Wait())
	}()
	config, opened, err := t.cameras(work, group)
	if err != nil {
		return err
	}
	t.log.lately = t.lately
	if t.server, err = site.Start(ctx, site.Options{Programs: site.Programs(), Dir: t.dir, Config: config, Log: t.log.line, Ended: t.log.ended}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.server.Stop()) }()
	group.Go(func() error { return t.pipe(work) })
	f, err := t.watch(work, duration)
	if err != nil {
		return err
	}
	f.InputsBy = map[string]int{}
	for _, feeder := range t.feeders {
		n := feeder.count()
		switch {
		case strings.HasPrefix(feeder.stream, "file-"):
			n = min(n, opened.of(t.file(feeder)))
		case strings.HasPrefix(feeder.stream, "stills"):
			n = opened.files(filepath.Join(t.dir, feeder.stream))
		}
		f.InputsBy[feeder.stream] = n
		f.Inputs += n
	}
	return errors.Join(t.log.tell(&f), json.NewEncoder(out).Encode(f))
}

func (t *test) file(f *feeder) string { return filepath.Join(t.dir, f.stream+".video") }

// cameras starts all that sends broken media, and gives the configuration that reads it.
func (t *test) cameras(ctx context.Context, group *errgroup.Group) (string, *opens, error) {
	var config strings.Builder
	fmt.Fprintf(&config, "streams:\n  %s: {source: \"test:?size=320x180&fps=15\"}\n  pipe: {publish: true}\n", goodName)
	own := false
	stream := func(name, source string) {
		// Every other stream may be passed on as it is; the others have all decoded.
		renditions := ", renditions: [{name: main, codec: h264, height: 90, fps: 15, bitrate: 200k}]"
		if own = !own; own {
			renditions = ""
		}
		fmt.Fprintf(&config, "  %s: {source: %q%s}\n", name, source, renditions)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	cameras := &web{corpus: t.corpus, feeders: map[string]*feeder{}}
	for _, kind := range []string{"clip.h264", "clip.ts", "clip.mkv", "clip.mp4", "clip.flv"} {
		name := "web-" + strings.TrimPrefix(kind, "clip.")
		cameras.feeders["/"+name] = t.feeder(name, kind)
		stream(name, "http://"+listener.Addr().String()+"/"+name)
	}
	for _, name := range []string{"jpeg-one", "jpeg-two"} {
		cameras.feeders["/"+name+".mjpg"] = t.feeder(name, "still.jpg")
		stream(name, "http://"+listener.Addr().String()+"/"+name+".mjpg")
	}
	group.Go(func() error { return cameras.serve(ctx, listener) })
	for _, name := range []string{"rtsp-one", "rtsp-two"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", nil, err
		}
		camera := &rtspCamera{clip: t.corpus["clip.h264"], f: t.feeder(name, "clip.h264")}
		group.Go(func() error { return camera.serve(ctx, l) })
		stream(name, "rtsp://"+l.Addr().String()+"/stream")
	}
	folder := filepath.Join(t.dir, "stills")
	if err := stills(folder, stillsAll, t.feeder("stills", "still.jpg", "still.png", "still.tiff", "still16.tiff"), t.corpus); err != nil {
		return "", nil, err
	}
	stream("stills", fmt.Sprintf("images:%s?mode=play&fps=%d", folder, stillRate))
	opened, err := watchOpens(t.dir, folder)
	if err != nil {
		return "", nil, err
	}
	group.Go(func() error { return opened.run(ctx) })
	for _, kind := range []string{"clip.mp4", "clip.h264", "clip.hevc", "clip.mkv"} {
		f := t.feeder("file-"+strings.TrimPrefix(kind, "clip."), kind)
		if err := os.WriteFile(t.file(f), t.corpus[kind], 0o644); err != nil {
			return "", nil, err
		}
		group.Go(func() error { return rewrite(ctx, t.file(f), f, t.corpus, opened) })
		stream(f.stream, "file:"+t.file(f))
	}
	return config.String(), opened, nil
}

// pipe publishes from another process what it reads on its standard input.
func (t *test) pipe(ctx context.Context) error {
	data := filepath.Join(t.dir, "data")
	token, err := exec.CommandContext(ctx, filepath.Join(t.bin, "sightline"), "token", "--stream", "pipe", "--action", "publish", "--sub", "pipe", "--ttl", "12h", "--data-dir", data).Output()
	if err != nil {
		return fmt.Errorf("make a token: %w", err)
	}
	args := []string{filepath.Join(t.bin, "sightline-capture"), "--publish", "wss://" + t.server.Host() + "/ws/publish/pipe", "--ca", filepath.Join(data, "ca.pem"), "--log-level", "error"}
	env := []string{"SIGHTLINE_TOKEN=" + strings.TrimSpace(string(token))}
	f := t.feeder("pipe-mjpeg", "clip.mjpeg", "still.jpg")
	return pipes(ctx, args, env, "pipe:?format=mjpeg", f, t.corpus, func(err error) {
		if err != nil {
			t.log.ended(site.End{Stream: "pipe", Reason: err.Error()})
		}
	})
}

func (t *test) lately(id media.StreamID) string {
	for _, f := range t.feeders {
		if f.stream == string(id) {
			return f.lately()
		}
	}
	return ""
}

// watch has a viewer for each stream, and looks at everything until the time is up or something is wrong.
func (t *test) watch(ctx context.Context, duration time.Duration) (figures, error) {
	f := figures{States: map[media.State]int{}}
	list, err := t.server.Streams(ctx)
	if err != nil {
		return f, err
	}
	ctx, cancel := context.WithCancel(ctx)
	viewers, ctx := errgroup.WithContext(ctx)
	defer func() {
		cancel()
		_ = viewers.Wait() // what ended them has been told
	}()
	var good *watch.Viewer
	for _, s := range list {
		conn, err := t.server.Dial(ctx, s.ID)
		if err != nil {
			return f, err
		}
		v := watch.New(conn, watch.Options{Player: "media"})
		if s.ID == goodName {
			good = v
		}
		viewers.Go(func() error {
			err := v.Run(ctx)
			if ctx.Err() == nil {
				return fmt.Errorf("the viewer of %s lost its connection: %w", s.ID, err)
			}
			return nil
		})
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	began, first := time.Now(), 0.0
	for now := range ticks(ctx, t.server.Gone(), tick) {
		mb, err := residentMB(t.server.PID())
		if err != nil {
			return f, err
		}
		if now.Sub(began) < warm {
			first = mb
			good.Stats() // counted from here on
			continue
		}
		if f.ServerMB = max(f.ServerMB, mb); mb > first+mayGrow>>20 {
			return f, fmt.Errorf("the server grew from %.0f to %.0f MB", first, mb)
		}
		if err := t.look(ctx, &f); err != nil {
			return f, err
		}
		s := good.Stats()
		f.GoodFrames, f.GoodGap = f.GoodFrames+s.Frames, max(f.GoodGap, s.MaxGap)
		if s.Undecodable > 0 {
			return f, fmt.Errorf("the good stream's viewer was sent %d pictures without their reference", s.Undecodable)
		}
		if f.Seconds = now.Sub(began).Seconds(); now.Sub(began) >= duration {
			if f.GoodFrames == 0 {
				return f, errors.New("the good stream showed nothing")
			}
			return f, nil
		}
	}
	select {
	case <-t.server.Gone():
		return f, errors.New("the server ended")
	default:
	}
	return f, errors.Join(context.Cause(ctx), viewers.Wait())
}

// ticks gives the time now and then until ctx is done or the server gone.
func ticks(ctx context.Context, gone <-chan struct{}, tick *time.Ticker) func(func(time.Time) bool) {
	return func(yield func(time.Time) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case <-gone:
				return
			case now := <-tick.C:
				if !yield(now) {
					return
				}
			}
		}
	}
}

// look counts the states of the bad streams, and finds one that shows nothing and does not say why.
func (t *test) look(ctx context.Context, f *figures) error {
	list, err := t.server.Streams(ctx)
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.ID == goodName {
			if s.State != media.StateLive {
				return fmt.Errorf("the good stream is %s: %s", s.State, s.Detail)
			}
			continue
		}
		f.States[s.State]++
		switch s.State {
		case media.StateLive, media.StateIdle, media.StateConnecting:
		default:
			if !strings.HasSuffix(s.Detail, ".") {
				return fmt.Errorf("stream %s is %s, and all that it says is %q", s.ID, s.State, s.Detail)
			}
		}
	}
	return nil
}

func residentMB(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("the server ended: %w", err)
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, errors.New("the server ended")
	}
	pages, err := strconv.Atoi(fields[1])
	return float64(pages*os.Getpagesize()) / (1 << 20), err
}

// slogged takes in the server's log.
type slogged struct {
	out     io.Writer
	verbose bool
	lately  func(media.StreamID) string

	mu      sync.Mutex
	errors  []string
	exits   map[string]int
	crashes map[string]int
}

func (l *slogged) line(line string) {
	if l.verbose {
		_, _ = fmt.Fprintln(l.out, line)
	}
	// What a capture process says is told as its own.
	own := strings.Contains(line, " level=ERROR ") && !strings.Contains(line, ` msg="capture: `)
	if own || strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.errors = append(l.errors, line)
	}
}

func (l *slogged) ended(e site.End) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.exits[e.Reason]++
	// The server itself terminates and kills processes that break the protocol; their own end is told otherwise.
	if !strings.HasPrefix(e.Reason, "signal: ") || e.Reason == "signal: terminated" || e.Reason == "signal: killed" {
		return
	}
	l.crashes[e.Reason]++
	_, _ = fmt.Fprintf(l.out, "%s: %s, lately given %s\n", e.Stream, e.Reason, l.lately(e.Stream))
}

// tell puts what was logged into f. The server's own errors are one.
func (l *slogged) tell(f *figures) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.Exits, f.Crashes, f.ServerErrors = maps.Clone(l.exits), maps.Clone(l.crashes), len(l.errors)
	if len(l.errors) > 0 {
		return fmt.Errorf("the server logged %d errors, the first: %s", len(l.errors), l.errors[0])
	}
	return nil
}
