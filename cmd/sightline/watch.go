package main

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
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"sightline/internal/transport"
	"sightline/internal/transport/ws"
	"sightline/internal/trust"
	"sightline/internal/watch"
	"sightline/internal/wire"
)

// envToken is where watch looks for a view token.
const envToken = "SIGHTLINE_TOKEN"

// preferences are what --prefer takes.
var preferences = map[string]wire.Preference{ //nolint:gochecknoglobals // a table nobody writes to
	"auto": wire.PreferAuto, "high": wire.PreferHigh, "low": wire.PreferLow, "saver": wire.PreferSaver, "detail": wire.PreferDetail, "motion": wire.PreferMotion,
}

type watchFlags struct {
	tokenFile, ca, out, codec string
	pictures, prefer          string
	maxHeight                 int
	duration                  time.Duration
	asJSON                    bool
}

func newWatchCmd() *cobra.Command {
	var f watchFlags
	cmd := &cobra.Command{
		Use:   "watch URL",
		Short: "Watch a stream without a screen: statistics each second, or video to a file or pipe",
		Long: `Watch a stream as a browser would, but without showing it. Statistics are printed each second: the time from capture to the last
byte received, frames and bits a second, and pictures that arrived without the one they refer to (always 0).

With --out the video is written as it comes: H.264 (Annex B), or JPEG pictures one after another with --codec jpeg. With --out - it goes to standard
output, and the statistics to standard error.

The view token is read from --token-file or from $SIGHTLINE_TOKEN.`,
		Example: `  SIGHTLINE_TOKEN=$(sightline token --stream door --sub me) sightline watch https://cam.lan:8443/watch/door --ca ca.pem
  sightline watch https://cam.lan:8443/watch/door --token-file t --out - | ffplay -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("watch takes one URL, such as https://cam.lan:8443/watch/door")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.tokenFile, "token-file", "", "file with the view token; default: $"+envToken)
	fs.StringVar(&f.ca, "ca", "", "PEM file with the server's certificate authority; default: those the system trusts")
	fs.StringVar(&f.out, "out", "", "file to write the video to; - for standard output")
	fs.StringVar(&f.codec, "codec", "", "h264 or jpeg; default: h264 if there is one")
	fs.StringVar(&f.prefer, "prefer", "auto", "what to have where the network does not carry everything: auto, high, low, saver, detail or motion")
	fs.StringVar(&f.pictures, "pictures", "", "file to write one JSON line for each picture to: when it came, how old it was, its size")
	fs.IntVar(&f.maxHeight, "max-height", 0, "lines wanted at most; 0 for no limit")
	fs.DurationVar(&f.duration, "duration", 0, "stop after so long; 0 for never")
	fs.BoolVar(&f.asJSON, "json", false, "print statistics as one JSON object a line")
	return cmd
}

func (f *watchFlags) run(cmd *cobra.Command, address string) error {
	target, err := socketURL(address)
	if err != nil {
		return err
	}
	token, err := f.token()
	if err != nil {
		return err
	}
	tlsConfig, err := clientTLS(f.ca)
	if err != nil {
		return err
	}
	opts := watch.Options{Player: "sightline-watch/1", MaxHeight: f.maxHeight}
	switch f.codec {
	case "":
	case "h264", "jpeg":
		opts.Codecs = []string{f.codec}
	default:
		return usagef("--codec %q: want h264 or jpeg", f.codec)
	}
	var known bool
	if opts.Prefer, known = preferences[f.prefer]; !known {
		return usagef("--prefer %q: want auto, high, low, saver, detail or motion", f.prefer)
	}
	report := cmd.OutOrStdout()
	closeOut := func() error { return nil }
	if f.out != "" {
		w, closer, err := f.open(cmd.OutOrStdout())
		if err != nil {
			return err
		}
		closeOut = closer
		opts.Sink = func(_ wire.Config, _ wire.MediaHeader, au []byte) error {
			if _, err := w.Write(au); err != nil {
				return fmt.Errorf("write video: %w", err)
			}
			return w.Flush()
		}
		if f.out == "-" {
			report = cmd.ErrOrStderr()
		}
	}
	if f.pictures != "" {
		file, err := os.OpenFile(f.pictures, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return errors.Join(fmt.Errorf("--pictures: %w", err), closeOut())
		}
		lines := json.NewEncoder(file)
		// A line that cannot be written shows when the file is closed or read; the pictures go on.
		opts.Observe = func(p watch.Picture) { _ = lines.Encode(p) }
		closeVideo := closeOut
		closeOut = func() error { return errors.Join(closeVideo(), file.Close()) }
	}
	ctx := cmd.Context()
	if f.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.duration)
		defer cancel()
	}
	dial := func(ctx context.Context) (transport.Conn, error) {
		return ws.Dial(ctx, target, http.Header{"Authorization": {"Bearer " + token}}, []string{wire.Subprotocol}, tlsConfig, ws.Options{ReadLimit: wire.MaxMessageLen, IdleTimeout: 10 * time.Second})
	}
	opts.Dial = func(ctx context.Context, answered func()) (transport.Conn, error) {
		return dial(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			ConnectDone: func(_, _ string, err error) {
				if err == nil {
					answered()
				}
			},
		}))
	}
	conn, err := dial(ctx)
	if err != nil {
		return errors.Join(explainDial(err), closeOut())
	}
	err = watchUntilEnd(ctx, watch.New(conn, opts), func(s watch.Stats) error { return f.report(report, s) })
	return errors.Join(err, closeOut())
}

// watchUntilEnd runs v and reports its statistics each second, and once at the end.
func watchUntilEnd(ctx context.Context, v *watch.Viewer, report func(watch.Stats) error) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return v.Run(groupCtx) })
	group.Go(func() error {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-groupCtx.Done():
				return groupCtx.Err()
			case <-tick.C:
				if err := report(v.Stats()); err != nil {
					return err
				}
			}
		}
	})
	err := group.Wait()
	var closed *transport.CloseError
	switch {
	case ctx.Err() != nil:
		return nil // asked to stop
	case errors.As(err, &closed):
		return fmt.Errorf("the server ended the session: %s (%d)", closed.Reason, closed.Code)
	}
	return err
}

func (f *watchFlags) report(w io.Writer, s watch.Stats) error {
	if f.asJSON {
		return writeJSON(w, s)
	}
	_, err := fmt.Fprintf(w, "%-10s %4dx%-4d %-4s %5.1f fps  %7.0f kbit/s  latency p50 %5.1f p95 %5.1f ms (±%.1f)  gap %4.0f ms  dropped %d  undecodable %d\n",
		s.State, s.Width, s.Height, s.Codec, s.FPS, float64(s.BitrateBps)/1000, s.LatencyP50, s.LatencyP95, s.ClockError, s.MaxGap, s.Dropped, s.Undecodable)
	return err
}

func (f *watchFlags) open(stdout io.Writer) (*bufio.Writer, func() error, error) {
	if f.out == "-" {
		return bufio.NewWriterSize(stdout, 256<<10), func() error { return nil }, nil
	}
	file, err := os.OpenFile(f.out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("--out: %w", err)
	}
	return bufio.NewWriterSize(file, 256<<10), file.Close, nil
}

func (f *watchFlags) token() (string, error) {
	token := os.Getenv(envToken)
	if f.tokenFile != "" {
		b, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		token = string(b)
	}
	if token = strings.TrimSpace(token); token == "" {
		return "", usagef("no token: give --token-file or set %s (make one with \"sightline token --action view\")", envToken)
	}
	return token, nil
}

// socketURL turns the address of a watch page, or of its WebSocket, into that of the WebSocket.
func socketURL(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", usagef("that is no URL; want one such as https://cam.lan:8443/watch/door")
	}
	if u.RawQuery != "" || u.User != nil {
		return "", usagef("no query and no login in the URL: the token has a place of its own")
	}
	stream, ok := strings.CutPrefix(strings.TrimPrefix(u.Path, "/ws"), "/watch/")
	if !ok || stream == "" || (u.Scheme != "https" && u.Scheme != "wss") {
		return "", usagef("want a URL such as https://cam.lan:8443/watch/door, not one with scheme %q and path %q", u.Scheme, u.Path)
	}
	return "wss://" + u.Host + "/ws/watch/" + stream, nil
}

func clientTLS(caFile string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS13}
	if caFile == "" {
		return c, nil
	}
	roots, err := trust.Pool(caFile)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	c.RootCAs = roots
	return c, nil
}

func explainDial(err error) error {
	var refused *ws.RefusedError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &unknown):
		return errors.New("the server's certificate is not from an authority this system trusts: give --ca with the server's ca.pem, or run sightline trust")
	}
	return err
}
