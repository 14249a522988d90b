//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sightline/internal/load"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/watch"
	"sightline/test/site"
)

// stand is a server with publishers of its streams, each a process of its own. Make one with newStand, and end it.
type stand struct {
	dir     string
	server  *site.Server
	sources []*role
}

func newStand(ctx context.Context, streams int) (_ *stand, err error) {
	programs := os.Getenv("SIGHTLINE_BIN")
	if programs == "" {
		programs = "bin"
	}
	dir, err := os.MkdirTemp("", "sightline-fanout-")
	if err != nil {
		return nil, err
	}
	s := &stand{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.end())
		}
	}()
	var config strings.Builder
	config.WriteString("log: {level: warn}\nlimits: {viewers: 50000, viewers-per-stream: 50000}\nstreams:\n")
	for i := range streams {
		fmt.Fprintf(&config, "  %s: {publish: true}\n", stream(i))
	}
	if s.server, err = site.Start(ctx, site.Options{Programs: programs, Dir: dir, Config: config.String()}); err != nil {
		return nil, err
	}
	share(s.server.PID())
	data := filepath.Join(dir, "data")
	token, err := exec.CommandContext(ctx, filepath.Join(programs, "sightline"), "token", "--stream", "**", "--action", "publish", "--sub", "source", "--ttl", "1h", "--data-dir", data).Output()
	if err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	file := filepath.Join(dir, "publish-token")
	if err := os.WriteFile(file, token, 0o600); err != nil {
		return nil, err
	}
	for i := range streams {
		source, err := start(ctx, "-role", "publish", "-url", "wss://"+s.server.Host()+"/ws/publish/"+string(stream(i)), "-ca", filepath.Join(data, "ca.pem"), "-token-file", file)
		if err != nil {
			return nil, err
		}
		s.sources = append(s.sources, source)
	}
	return s, nil
}

// stream is the name of the i-th stream.
func stream(i int) media.StreamID { return media.StreamID(fmt.Sprintf("bench%d", i)) }

// crowd is nobody yet who watches the i-th stream.
func (s *stand) crowd(i int) *load.Crowd {
	return load.New(load.Options{
		Dial:  func(ctx context.Context) (transport.Conn, error) { return s.server.Dial(ctx, stream(i)) },
		Watch: watch.Options{Player: "fanout/1"},
	})
}

func (s *stand) end() error {
	var err error
	for _, source := range s.sources {
		err = errors.Join(err, source.end())
	}
	if s.server != nil {
		err = errors.Join(err, s.server.Stop())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
