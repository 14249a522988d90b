package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"sightline/internal/app"
	"sightline/internal/config"
	"sightline/internal/datadir"
	"sightline/internal/demo"
	"sightline/internal/media"
)

func newServeCmd() *cobra.Command {
	var (
		file, listen, dataDir, logLevel string
		withDemo                        bool
	)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server until it is interrupted. It prints one link that logs its first user in; the link is
good for ten minutes and for one use. All else it has to say goes to standard error.

A configuration file that changes is read again, at once on SIGHUP and else within two seconds: its streams come and go
while the others go on, and who is let in is judged by it. One with a fault, with a change that needs a new start, or
whose policy tests fail changes nothing, and the log says why.

Without a configuration file and without cameras it shows a test pattern (stream test).
With --demo it also shows that test pattern (stream test), a street (stream street) and every camera of this machine (video0 ...).`,
		Example: `  sightline serve --demo
  sightline serve --config sightline.yaml
  sightline serve --demo --listen 127.0.0.1:0 --data-dir /tmp/sightline`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			load := func() (config.Config, error) {
				cfg, err := config.Load(config.Options{File: file, Getenv: os.Getenv, Listen: listen, DataDir: dataDir, LogLevel: logLevel})
				switch _, missing := app.FindCapture(); {
				case err != nil:
				case withDemo:
					err = addDemo(&cfg)
				case file == "" && len(cfg.Streams) == 0 && missing == nil:
					err = addStream(&cfg, "test", testPattern) // so that a first start has something to show
				}
				return cfg, err
			}
			stamp := stampOf(file) // before it is read: what changes meanwhile is seen
			cfg, err := load()
			if err != nil {
				return err
			}
			level := new(slog.LevelVar)
			level.Set(cfg.Log.Level)
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			warnOfReaders(file, cfg, log)
			a, err := app.New(cfg, load, log)
			if err != nil {
				return err
			}
			if err := greet(cmd, a, cfg); err != nil {
				return err
			}
			group, ctx := errgroup.WithContext(cmd.Context())
			group.Go(func() error { return a.Run(ctx) })
			if file != "" {
				group.Go(func() error { reload(ctx, a, file, stamp, load, level, log); return nil })
			}
			return group.Wait()
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "configuration file")
	f.StringVar(&listen, "listen", "", "address to listen on, as host:port; port 0 takes a free one (default :8443)")
	f.StringVar(&dataDir, "data-dir", "", "directory for keys, certificates and the audit record")
	f.StringVar(&logLevel, "log-level", "", "debug, info, warn or error (default info)")
	f.BoolVar(&withDemo, "demo", false, "add the test pattern, the street and this machine's cameras")
	return cmd
}

// warnOfReaders says so when other users may read the cameras' logins in the configuration file.
func warnOfReaders(file string, cfg config.Config, log *slog.Logger) {
	info, err := os.Stat(file)
	if file == "" || err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o044 == 0 { // Windows has no such bits
		return
	}
	for _, s := range cfg.Streams {
		if s.Source.Reveal() != s.Source.String() {
			log.Warn("the configuration file holds a camera's login, and other users may read it: run chmod 600 on it", "file", file, "stream", s.ID)
			return
		}
	}
}

// reloadEvery is how often the configuration file is looked at.
const reloadEvery = 2 * time.Second

// stampOf tells one state of a file from another; "" of one that cannot be seen.
func stampOf(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return ""
	}
	return info.ModTime().String() + " " + strconv.FormatInt(info.Size(), 10)
}

// reload has a take up the configuration file when it changes, or on SIGHUP, until ctx is done. stamp is of the file as a
// knows it.
func reload(ctx context.Context, a *app.App, file, stamp string, load func() (config.Config, error), level *slog.LevelVar, log *slog.Logger) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	defer signal.Stop(asked)
	ticker := time.NewTicker(reloadEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			stamp = stampOf(file)
		case <-ticker.C:
			now := stampOf(file)
			if now == stamp || now == "" {
				continue
			}
			stamp = now
		}
		cfg, err := load()
		if err == nil {
			err = a.Reload(ctx, cfg)
		}
		if err != nil {
			log.Error("configuration not taken up, the one before goes on", "file", file, "error", err)
			continue
		}
		level.Set(cfg.Log.Level)
		log.Info("configuration taken up", "file", file, "streams", len(cfg.Streams))
	}
}

// greet prints how to get in.
func greet(cmd *cobra.Command, a *app.App, cfg config.Config) error {
	link, err := a.Link()
	if err != nil {
		return err
	}
	if len(cfg.Streams) == 0 {
		if err := printf(cmd, "No streams are configured: name some in a configuration file (--config), publish one, or try --demo.\n"); err != nil {
			return err
		}
	}
	self := os.Args[0] // as this program was called, so that the commands below work as they stand
	if ca := a.Authority(); ca != nil {
		err := printf(cmd, "This server's own certificate authority has the SHA-256 fingerprint\n  %s\n"+
			"Your browser will warn of it once. To have this machine's browsers trust it: %s trust --data-dir %s\n", ca.Fingerprint(), self, cfg.DataDir)
		if err != nil {
			return err
		}
	}
	_, port, err := net.SplitHostPort(a.Addr().String())
	if err != nil {
		return fmt.Errorf("listening address: %w", err)
	}
	return printf(cmd, "Open this link (one use, ten minutes; another: %s link --data-dir %s --server https://localhost:%s):\n%s\n",
		self, cfg.DataDir, port, link)
}

// addDemo adds the demonstration's streams to those configured, where their names are free.
func addDemo(cfg *config.Config) error {
	if err := datadir.Make(cfg.DataDir); err != nil {
		return err
	}
	clip, err := demo.Clip(cfg.DataDir)
	if err != nil {
		return err
	}
	if err := addStream(cfg, "test", testPattern); err != nil {
		return err
	}
	if err := addStream(cfg, "street", "file:"+clip); err != nil {
		return err
	}
	for _, device := range demo.Devices() {
		if err := addStream(cfg, filepath.Base(device), "v4l2:"+device); err != nil {
			return err
		}
	}
	return nil
}

const testPattern = "test:?size=1280x720&fps=30000/1001"

// addStream adds a stream, unless there is one of its name.
func addStream(cfg *config.Config, name, source string) error {
	id, err := media.ParseStreamID(name)
	if err != nil || slices.ContainsFunc(cfg.Streams, func(s config.Stream) bool { return s.ID == id }) {
		return err
	}
	src, err := config.ParseSource(source)
	if err != nil {
		return fmt.Errorf("stream %s: %w", name, err)
	}
	cfg.Streams = append(cfg.Streams, config.Stream{ID: id, Source: src, Origin: config.OriginDemo})
	return nil
}
