//go:build unix

// Package site runs the real server with capture processes of its own for the programs under test/: it starts it on a free port, watches its streams, reads its list
// of them, and tells what became of its capture processes as its log has it. It judges nothing. A Server owns the goroutines that read what it prints.
package site

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

const (
	startLimit  = 15 * time.Second
	idleTimeout = 20 * time.Second
)

// Options say what to run. The zero value is a server without streams.
type Options struct {
	// Programs is the folder with sightline and sightline-capture. Default: Programs().
	Programs string
	// Dir is an empty folder for the configuration and all that the server keeps. Default: a temporary one, which Stop takes away.
	Dir string
	// Config is the configuration's text.
	Config string
	// Args are the server's besides those that say where: --demo, --log-level error. Without its log at info, nothing is known
	// of its capture processes.
	Args []string
	// Log, if not nil, takes each line of the server's log, from one goroutine.
	Log func(line string)
	// Ended, if not nil, is told of each capture process that ended by itself, from the same goroutine.
	Ended func(End)
}

// End is how a capture process ended.
type End struct {
	Stream media.StreamID
	Reason string // as exec.ExitError says it: "signal: segmentation fault"
}

// Programs is the folder with the programs: $SIGHTLINE_BIN, or else bin.
func Programs() string {
	if dir := os.Getenv("SIGHTLINE_BIN"); dir != "" {
		return dir
	}
	return "bin"
}

// Server is a running server. Make one with Start. Its methods are safe for concurrent use.
type Server struct {
	cmd    *exec.Cmd
	opts   Options
	own    bool // the folder is, and goes with it
	host   string
	token  string
	tls    *tls.Config
	client *http.Client
	logged sync.WaitGroup
	gone   chan struct{} // closed when the log ends
	last   string        // line of the log; owned by readLog until gone

	mu   sync.Mutex
	pids map[media.StreamID]int
}

// Start runs a server until Stop, or until ctx is done, and waits until it says where it is.
func Start(ctx context.Context, o Options) (s *Server, err error) {
	if o.Programs == "" {
		o.Programs = Programs()
	}
	own := o.Dir == ""
	if own {
		if o.Dir, err = os.MkdirTemp("", "sightline-site-"); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, os.RemoveAll(o.Dir))
			}
		}()
	}
	config := filepath.Join(o.Dir, "sightline.yaml")
	if err := os.WriteFile(config, []byte(o.Config), 0o600); err != nil {
		return nil, err
	}
	s = &Server{opts: o, own: own, pids: map[media.StreamID]int{}, gone: make(chan struct{})}
	args := append([]string{"serve", "--config", config, "--listen", "127.0.0.1:0", "--data-dir", s.DataDir()}, o.Args...)
	cmd := exec.CommandContext(ctx, filepath.Join(o.Programs, "sightline"), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = startLimit
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // as a service has one: processors are shared out by session
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	s.cmd = cmd
	s.logged.Go(func() { s.readLog(stderr) })
	late := time.AfterFunc(startLimit, func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(stdout)
	for s.host == "" && lines.Scan() {
		if host, ok := strings.CutPrefix(lines.Text(), "https://"); ok {
			s.host, _, _ = strings.Cut(host, "/")
		}
	}
	if !late.Stop() || s.host == "" {
		return nil, errors.Join(errors.New("the server did not start"), s.Stop(), s.lastWords())
	}
	s.logged.Go(func() { _, _ = io.Copy(io.Discard, stdout) })
	if err := s.getIn(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// getIn makes a token to watch everything, and takes the server's authority for good.
func (s *Server) getIn(ctx context.Context) (err error) {
	if s.token, err = s.Token(ctx, "**", "view"); err != nil {
		return err
	}
	pem, err := os.ReadFile(filepath.Join(s.DataDir(), "ca.pem"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	s.tls = &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots}
	s.client = &http.Client{Timeout: startLimit, Transport: &http.Transport{TLSClientConfig: s.tls}}
	return nil
}

// Token makes a token of twelve hours for the streams of a pattern.
func (s *Server) Token(ctx context.Context, pattern, action string) (string, error) {
	token, err := exec.CommandContext(ctx, filepath.Join(s.opts.Programs, "sightline"), "token", "--stream", pattern, "--action", action, "--sub", "site", "--ttl", "12h", "--data-dir", s.DataDir()).Output()
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	return strings.TrimSpace(string(token)), nil
}

var (
	logStream = regexp.MustCompile(` stream=(\S+)`)
	logPID    = regexp.MustCompile(` pid=(\d+)`)
	logReason = regexp.MustCompile(`capture process: ((?:signal|exit status)[^("]*)`)
)

func (s *Server) readLog(r io.Reader) {
	defer close(s.gone)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		s.last = line
		if s.opts.Log != nil {
			s.opts.Log(line)
		}
		stream := logStream.FindStringSubmatch(line)
		if stream == nil {
			continue
		}
		id := media.StreamID(stream[1])
		switch pid := logPID.FindStringSubmatch(line); {
		case strings.Contains(line, `msg="capture process started"`) && pid != nil:
			n, _ := strconv.Atoi(pid[1]) // digits
			s.mu.Lock()
			s.pids[id] = n
			s.mu.Unlock()
		case strings.Contains(line, `msg="capture process ended, starting it again"`):
			s.mu.Lock()
			delete(s.pids, id)
			s.mu.Unlock()
			reason := "ended without an error"
			if m := logReason.FindStringSubmatch(line); m != nil {
				reason = strings.TrimSpace(m[1])
			}
			if s.opts.Ended != nil {
				s.opts.Ended(End{id, reason})
			}
		}
	}
	_, _ = io.Copy(io.Discard, r) // a line too long must not stop the server
}

// lastWords are what a server that has ended said last.
func (s *Server) lastWords() error {
	<-s.gone
	if s.last == "" {
		return nil
	}
	return fmt.Errorf("it said: %s", s.last)
}

// Host is the server's address and port.
func (s *Server) Host() string { return s.host }

// DataDir is the folder with all that the server keeps.
func (s *Server) DataDir() string { return filepath.Join(s.opts.Dir, "data") }

// TLS is a client's configuration that trusts the server's authority. It is the caller's own.
func (s *Server) TLS() *tls.Config { return s.tls.Clone() }

// CPU is the processor time that the server has used. Call it after Stop.
func (s *Server) CPU() time.Duration {
	return s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()
}

// PID is the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// CapturePID is the capture process of a stream, 0 while there is none.
func (s *Server) CapturePID(id media.StreamID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pids[id]
}

// Dial opens a connection to watch a stream.
func (s *Server) Dial(ctx context.Context, id media.StreamID) (transport.Conn, error) {
	return ws.Dial(ctx, "wss://"+s.host+"/ws/watch/"+string(id), http.Header{"Authorization": {"Bearer " + s.token}}, []string{wire.Subprotocol}, s.tls,
		ws.Options{ReadLimit: wire.MaxMessageLen, IdleTimeout: idleTimeout})
}

// Stream is one of the server's list.
type Stream struct {
	ID      media.StreamID `json:"id"`
	State   media.State    `json:"state"`
	Detail  string         `json:"detail"`
	Sandbox string         `json:"sandbox"`
}

// Streams asks for the list of streams.
func (s *Server) Streams(ctx context.Context) ([]Stream, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.host+"/api/v1/streams", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read only
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the list of streams: status %d", resp.StatusCode)
	}
	var list struct {
		Streams []Stream `json:"streams"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return nil, fmt.Errorf("the list of streams: %w", err)
	}
	return list.Streams, nil
}

// Gone is closed when the server has ended, however it did.
func (s *Server) Gone() <-chan struct{} { return s.gone }

// Stop ends the server and waits for it. The error tells how it ended, if that was not in order.
func (s *Server) Stop() (err error) {
	if s.own {
		defer func() { err = errors.Join(err, os.RemoveAll(s.opts.Dir)) }()
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	s.logged.Wait() // its outputs are read before Wait closes them
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("the server ended: %w", err)
	}
	return nil
}
