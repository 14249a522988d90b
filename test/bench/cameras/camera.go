//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The kinds: what the camera does, or what has become of the process that reads it.
const (
	kindGood     = "good"
	kindStalled  = "stalled"  // keeps the connection, and sends nothing
	kindGarbage  = "garbage"  // sends noise for pictures, as fast as it is taken
	kindFlapping = "flapping" // breaks the connection off ten times a minute, and is away for half the time
	kindFlood    = "flood"    // sends large pictures as fast as they are taken
	kindKilled   = "killed"   // the process ends ten times a minute
	kindCrashing = "crashing" // the process ends as soon as it has started
	kindCPU      = "cpu"      // the process computes on all processors with many threads
	kindMemory   = "memory"   // the process fills memory until its limit ends it
)

func allKinds() []string {
	return []string{kindStalled, kindGarbage, kindFlapping, kindFlood, kindKilled, kindCrashing, kindCPU, kindMemory}
}

// ofProcess tells whether another program stands in for the capture process.
func ofProcess(kind string) bool {
	return kind == kindCrashing || kind == kindCPU || kind == kindMemory
}

// camera is an MJPEG camera that can turn bad. It is a process of its own, with a session of its own: what it takes of the machine is not the viewers'.
type camera struct {
	small, large []byte // pictures

	mu      sync.Mutex
	mode    string
	changed chan struct{} // closed and replaced with mode
}

// playCamera is that process: it writes its address, and reads what it is to be.
func playCamera(in io.Reader, out io.Writer) error {
	c := &camera{mode: kindGood, changed: make(chan struct{})}
	var err error
	if c.small, err = picture(320, 180); err != nil {
		return err
	}
	if c.large, err = picture(3840, 2160); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/mode", func(w http.ResponseWriter, _ *http.Request) {
		mode, _ := c.now()
		_, _ = io.WriteString(w, mode) // to a process that may have ended
	})
	mux.HandleFunc("/video.mjpg", c.video)
	if _, err := fmt.Fprintln(out, "http://"+listener.Addr().String()+"/video.mjpg"); err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // until the process ends
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		c.turn(lines.Text())
	}
	return lines.Err()
}

// player is the camera's process as the measuring one has it.
type player struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	address string
}

func startCamera(ctx context.Context) (*player, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &player{cmd: exec.CommandContext(ctx, self)}
	p.cmd.Args, p.cmd.Stderr = []string{cameraName}, os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the camera: %w", err), p.stop())
	}
	p.address = strings.TrimSpace(line)
	return p, nil
}

// turn has the camera be of another kind from now on.
func (p *player) turn(kind string) error {
	_, err := fmt.Fprintln(p.in, kind)
	return err
}

func (p *player) stop() error { return errors.Join(p.in.Close(), p.cmd.Wait()) }

// turn changes what the camera does. Connections that it breaks off are made anew.
func (c *camera) turn(mode string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mode = mode
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *camera) now() (mode string, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mode, c.changed
}

func picture(w, h int) ([]byte, error) {
	img := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	random := rand.New(rand.NewPCG(1, uint64(w)))
	for i := range img.Y {
		img.Y[i] = uint8(i/w + random.IntN(32))
	}
	var b bytes.Buffer
	err := jpeg.Encode(&b, img, nil)
	return b.Bytes(), err
}

// video answers one connection, for as long as the camera stays as it is, or is good enough to keep it.
func (c *camera) video(w http.ResponseWriter, r *http.Request) {
	const half = time.Minute / perMinute / 2
	if mode, _ := c.now(); mode == kindFlapping && time.Now().UnixNano()/int64(half)%2 == 0 {
		panic(http.ErrAbortHandler) // away
	}
	w.Header().Set("Content-Type", "multipart/x-mixed-replace;boundary=frame")
	noise := make([]byte, 64<<10)
	random := rand.New(rand.NewPCG(2, 2))
	next := time.NewTicker(time.Second / 15)
	defer next.Stop()
	began := time.Now()
	for {
		mode, changed := c.now()
		part, wait := c.small, next.C
		switch mode {
		case kindStalled:
			part, wait = nil, nil
		case kindFlapping:
			if time.Since(began) > half {
				panic(http.ErrAbortHandler)
			}
		case kindGarbage:
			for i := range noise {
				noise[i] = byte(random.Uint32())
			}
			part, wait = noise, atOnce()
		case kindFlood:
			part, wait = c.large, atOnce()
		}
		if part != nil {
			if _, err := fmt.Fprintf(w, "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", len(part), part); err != nil {
				return
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		case <-wait:
		}
	}
}

func atOnce() <-chan time.Time {
	now := make(chan time.Time)
	close(now)
	return now
}
