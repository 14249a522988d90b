// Package bench starts the real server for the measurements in the folders beside it. It owns no goroutines that outlive a call.
// SIGHTLINE_BIN names the folder of the programs (default: bin).
package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sightline/internal/trust"
)

const startLimit = 15 * time.Second

// Program is the path of one of the programs.
func Program(name string) string {
	if dir := os.Getenv("SIGHTLINE_BIN"); dir != "" {
		return filepath.Join(dir, name)
	}
	return filepath.Join("bin", name)
}

// Server is a server that runs on a free port, with data of its own.
type Server struct {
	Host string // with its port
	Dir  string // its data
	cmd  *exec.Cmd
}

// Start runs the server with args besides those that say where, and waits until it says that it is ready. What it prints from
// then on is thrown away.
func Start(ctx context.Context, dir string, args ...string) (*Server, error) {
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--data-dir", dir, "--log-level", "error"}, args...)
	cmd := exec.CommandContext(ctx, Program("sightline"), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = startLimit
	var problems bytes.Buffer
	cmd.Stderr = &problems
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	late := time.AfterFunc(startLimit, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if host, ok := strings.CutPrefix(lines.Text(), "https://"); ok {
			host, _, _ = strings.Cut(host, "/")
			return &Server{Host: host, Dir: dir, cmd: cmd}, nil
		}
	}
	return nil, fmt.Errorf("the server ended before it was ready (%w): %s", cmd.Wait(), problems.String())
}

// Stop ends the server and waits for its end.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("the server ended: %w", err)
	}
	return nil
}

// CPU is the processor time that the server has used so far. Call it after Stop.
func (s *Server) CPU() time.Duration {
	return s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()
}

// Token makes a view token for a stream.
func (s *Server) Token(ctx context.Context, stream string) (string, error) {
	token, err := exec.CommandContext(ctx, Program("sightline"), "token", "--stream", stream, "--action", "view", "--sub", "bench", "--ttl", "1h", "--data-dir", s.Dir).Output()
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	return strings.TrimSpace(string(token)), nil
}

// TLS is a client's configuration that trusts the server's authority.
func (s *Server) TLS() (*tls.Config, error) {
	roots, err := trust.Pool(filepath.Join(s.Dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots}, nil
}
