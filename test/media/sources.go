//go:build linux

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

//go:embed testdata
var testdata embed.FS

// load gives the whole media that broken ones are made of, by file name.
func load() (map[string][]byte, error) {
	corpus := map[string][]byte{}
	entries, err := testdata.ReadDir("testdata")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if corpus[e.Name()], err = testdata.ReadFile(path.Join("testdata", e.Name())); err != nil {
			return nil, err
		}
	}
	return corpus, nil
}

// feeder hands broken media to one stream's source, and counts them. Each is named by what it was made from and its number.
type feeder struct {
	stream string
	bases  []string

	mu     sync.Mutex
	next   int
	recent []string // the newest last
}

// remembered is how many inputs are told when a process dies: it may have been the one before.
const remembered = 4

// take gives the next input.
func (f *feeder) take(corpus map[string][]byte) (name string, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	base := f.bases[f.next%len(f.bases)]
	seed := f.stream + "/" + base
	name = fmt.Sprintf("%s#%d", seed, f.next)
	b = mutant(corpus[base], seed, f.next)
	f.next++
	if f.recent = append(f.recent, name); len(f.recent) > remembered {
		f.recent = f.recent[1:]
	}
	return name, b
}

func (f *feeder) lately() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.recent, " ")
}

func (f *feeder) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next
}

// web is a camera's web server that sends what is broken: JPEGs in parts that may have wrong lengths, and video of other kinds, one mutant for each connection.
type web struct {
	corpus  map[string][]byte
	feeders map[string]*feeder // by path
}

// partsEach is how many JPEGs a connection has. Between them are whole ones, so that the source goes on.
const partsEach = 200

// ServeHTTP implements http.Handler.
func (s *web) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := s.feeders[r.URL.Path]
	if f == nil {
		http.NotFound(w, r)
		return
	}
	if !strings.HasSuffix(r.URL.Path, ".mjpg") {
		w.Header().Set("Content-Type", "video/mp2t") // whatever it is
		_, b := f.take(s.corpus)
		_, _ = w.Write(b) // to a reader that may have had enough
		return
	}
	w.Header().Set("Content-Type", "multipart/x-mixed-replace;boundary=frame")
	for i := range partsEach {
		part := s.corpus["still.jpg"]
		length := len(part)
		if i%4 != 0 {
			_, part = f.take(s.corpus)
			if length = len(part); i%16 == 3 {
				length = []int{0, 1, length - 1, length + 1, 1 << 31, -1}[i/16%6]
			}
		}
		_, err := fmt.Fprintf(w, "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", length, part)
		if err == nil {
			err = http.NewResponseController(w).Flush()
		}
		if err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *web) serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// rewrite puts another mutant into the file of a source again and again: the reader meets it when it opens the file anew, or in the middle of reading.
// Only those that it has opened are counted.
func rewrite(ctx context.Context, file string, f *feeder, corpus map[string][]byte, opened *opens) error {
	for {
		_, b := f.take(corpus)
		seen := opened.of(file)
		// In place: a new file of that name would be out of the reader's sandbox.
		if err := os.WriteFile(file, b, 0o644); err != nil {
			return err
		}
		for range 20 {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(100 * time.Millisecond):
			}
			if opened.of(file) > seen {
				break
			}
		}
	}
}

// stills fills a folder with broken stills, and some bombs among them, that the reader plays in order.
func stills(dir string, n int, f *feeder, corpus map[string][]byte) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	square, line := bomb(30_000, 30_000), bomb(1<<31-1, 1)
	for i := range n {
		name, b := f.take(corpus)
		switch i % 50 {
		case 10:
			b = square
		case 20:
			b = line
		case 30:
			b = corpus["still.jpg"]
		}
		base, _, _ := strings.Cut(path.Base(name), "#")
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d-%s", i, base)), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// opens counts how often the files of some folders are opened, by anyone.
type opens struct {
	fd   int
	dirs map[int]string // by watch

	mu    sync.Mutex
	times map[string]int
}

func watchOpens(dirs ...string) (*opens, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch files being opened: %w", err)
	}
	o := &opens{fd: fd, dirs: map[int]string{}, times: map[string]int{}}
	for _, dir := range dirs {
		w, err := unix.InotifyAddWatch(fd, dir, unix.IN_ACCESS|unix.IN_OPEN)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("watch %s: %w", dir, err), unix.Close(fd))
		}
		o.dirs[w] = dir
	}
	return o, nil
}

// run counts until ctx is done. A file counts when it is read after it was opened: writing opens too.
func (o *opens) run(ctx context.Context) error {
	file := os.NewFile(uintptr(o.fd), "inotify")
	stop := context.AfterFunc(ctx, func() { _ = file.Close() })
	defer stop()
	fresh := map[string]bool{}
	buf := make([]byte, 64<<10)
	for {
		n, err := file.Read(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("watch files being opened: %w", err)
		}
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			e := (*unix.InotifyEvent)(unsafe.Pointer(&b[0]))
			end := unix.SizeofInotifyEvent + int(e.Len)
			name := filepath.Join(o.dirs[int(e.Wd)], strings.TrimRight(string(b[unix.SizeofInotifyEvent:end]), "\x00"))
			b = b[end:]
			if e.Mask&unix.IN_OPEN != 0 {
				fresh[name] = true
			} else if fresh[name] {
				fresh[name] = false
				o.mu.Lock()
				o.times[name]++
				o.mu.Unlock()
			}
		}
	}
}

func (o *opens) of(name string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.times[name]
}

// files is how many different files have been read.
func (o *opens) files(dir string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(slices.DeleteFunc(slices.Collect(maps.Keys(o.times)), func(name string) bool { return filepath.Dir(name) != dir }))
}

// pipes runs the capture program with broken media on its standard input, over and over, publishing over the network. ended is told how each run ended.
func pipes(ctx context.Context, args []string, env []string, source string, f *feeder, corpus map[string][]byte, ended func(error)) error {
	for ctx.Err() == nil {
		cmd := exec.CommandContext(ctx, args[0], append(args[1:], "--source", source)...)
		cmd.Env = env
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		feed(ctx, in, source, f, corpus)
		err = errors.Join(in.Close(), cmd.Wait())
		if ctx.Err() == nil {
			ended(err)
		}
	}
	return nil
}

// feed writes until the program reads no more, at most partsEach inputs.
func feed(ctx context.Context, in io.Writer, source string, f *feeder, corpus map[string][]byte) {
	for i := range partsEach {
		part := corpus["still.jpg"]
		if i%4 != 0 || !strings.Contains(source, "mjpeg") {
			_, part = f.take(corpus)
		}
		if _, err := in.Write(part); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
