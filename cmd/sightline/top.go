package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sightline/internal/top"
)

// defaultFigures is where a server gives its figures whose configuration says metrics: {listen: ":9464"}.
const defaultFigures = "http://127.0.0.1:9464/metrics"

// figuresTimeout is how long a server may take to give its figures.
const figuresTimeout = 10 * time.Second

func newTopCmd() *cobra.Command {
	var (
		interval time.Duration
		asJSON   bool
	)
	cmd := &cobra.Command{
		Use:   "top [URL]",
		Short: "Show live in the terminal what a server does",
		Long: `Show live in the terminal what a server does: its streams, those that are away first and then
the most watched, with what comes of them and how their viewers fare. It reads
the server's figures for Prometheus, which the configuration opens with
metrics: {listen: ":9464"}. The keys q and Ctrl-C end it.

When standard output is no terminal, it is printed once.`,
		Example: `  sightline top
  sightline top http://10.0.0.7:9464/metrics --interval 5s
  sightline top --json | jq .viewers`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if interval < 500*time.Millisecond || interval > time.Hour {
				return usagef("--interval %s: want 500ms to 1h", interval)
			}
			url := defaultFigures
			if len(args) == 1 {
				url = args[0]
			}
			if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
				return usagef("%.100q is no address of figures: want one such as %s", url, defaultFigures)
			}
			screen, _ := cmd.OutOrStdout().(*os.File)
			live := !asJSON && screen != nil && term.IsTerminal(int(screen.Fd()))
			return runTop(cmd, url, interval, asJSON, live)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&interval, "interval", 2*time.Second, "time between two readings, which rates are of")
	f.BoolVar(&asJSON, "json", false, "print one reading as JSON")
	return cmd
}

// What a terminal is told: another screen without a cursor and back, and to begin again at its upper left.
const (
	enterScreen, leaveScreen = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
	home, newLine, rest      = "\x1b[H", "\x1b[K\r\n", "\x1b[J" // the keyboard's mode leaves it to us to go back to the left
)

func runTop(cmd *cobra.Command, url string, interval time.Duration, asJSON, live bool) error {
	ctx := cmd.Context()
	before, err := readFigures(ctx, url)
	if errors.Is(err, errNobody) {
		return fmt.Errorf("no figures at %s: %w; open them with metrics: {listen: \":9464\"} in the server's configuration", url, err)
	}
	if err != nil {
		return fmt.Errorf("no figures at %s: %w", url, err)
	}
	if live {
		var quiet func()
		ctx, quiet = keys(ctx)
		defer quiet()
		if err := printf(cmd, "%s%sfirst figures in %s", enterScreen, home, interval); err != nil {
			return err
		}
		defer func() { _ = printf(cmd, leaveScreen) }()
	}
	last := time.Now()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			if live {
				return nil // that is how it ends
			}
			return context.Cause(ctx)
		case <-ticker.C:
		}
		now, err := readFigures(ctx, url)
		switch {
		case err != nil && (!live || ctx.Err() != nil):
			if live {
				return nil
			}
			return err
		case err != nil: // it may come back
			if err := printf(cmd, "%sno figures since %s: %s%s", home, last.Format(time.TimeOnly), err, rest); err != nil {
				return err
			}
			continue
		}
		view := top.Between(before, now)
		before, last = now, time.Now()
		switch {
		case asJSON:
			return json.NewEncoder(cmd.OutOrStdout()).Encode(view)
		case !live:
			return view.Write(cmd.OutOrStdout(), 0, 0)
		}
		if err := paint(cmd, view); err != nil {
			return err
		}
	}
}

// keys gives a context that ends when q or Ctrl-C is pressed, and what gives the keyboard back. Without a keyboard there is ctx alone. The
// goroutine that reads ends with the program: a read of a terminal cannot be called back.
func keys(ctx context.Context) (context.Context, func()) {
	board := int(os.Stdin.Fd())
	before, err := term.MakeRaw(board)
	if err != nil {
		return ctx, func() {}
	}
	ctx, stop := context.WithCancel(ctx)
	go func() {
		key := make([]byte, 1)
		for {
			if _, err := os.Stdin.Read(key); err != nil {
				return
			}
			const ctrlC = 3
			if key[0] == 'q' || key[0] == ctrlC {
				stop()
			}
		}
	}()
	return ctx, func() {
		stop()
		_ = term.Restore(board, before)
	}
}

// paint shows v in place of what was shown before.
func paint(cmd *cobra.Command, v top.View) error {
	width, height := 80, 24
	if screen, ok := cmd.OutOrStdout().(*os.File); ok {
		if w, h, err := term.GetSize(int(screen.Fd())); err == nil && w > 0 && h > 1 {
			width, height = w, h
		}
	}
	var text strings.Builder
	if err := v.Write(&text, width, height-1); err != nil {
		return err
	}
	return printf(cmd, "%s%s%s", home, strings.ReplaceAll(text.String(), "\n", newLine), rest)
}

// errNobody says that no server is at an address.
var errNobody = errors.New("nothing listens there")

func readFigures(ctx context.Context, url string) (top.Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, figuresTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return top.Reading{}, fmt.Errorf("figures: %w", err)
	}
	request.Header.Set("Accept", "text/plain")
	answer, err := http.DefaultClient.Do(request)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return top.Reading{}, errNobody
	}
	if err != nil {
		return top.Reading{}, errors.Unwrap(err) // of an url.Error, which begins with the address
	}
	r, err := top.Read(answer.Body, time.Now())
	if answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answers %s", answer.Status)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16)) // so that the connection is used again
	return r, errors.Join(err, answer.Body.Close())
}
