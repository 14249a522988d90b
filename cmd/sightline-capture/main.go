//go:build cgo

// Command sightline-capture reads one camera and publishes it to a Sightline server: as a child of the server over a socket
// it inherits, or from another machine over a WebSocket.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sightline/internal/av"
	"sightline/internal/build"
	"sightline/internal/sandbox"
)

// Exit codes.
const (
	exitDone    = 0
	exitFailure = 1
	exitUsage   = 2
)

// usageError is a command line that cannot be followed.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, sandbox.Enter))
}

// enter confines this process, by executing it anew; see sandbox.Enter.
type enter func(sandbox.Options) (sandbox.Report, error)

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, confine enter) int {
	cmd := newRootCmd(confine)
	cmd.SetArgs(args)
	cmd.SetIn(stdin)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	_, _ = fmt.Fprintln(stderr, "sightline-capture:", err)
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailure
}

func newRootCmd(confine enter) *cobra.Command {
	f := flags{confine: confine}
	cmd := &cobra.Command{
		Use:   "sightline-capture --source URL --publish fd:N|wss://HOST/ws/publish/STREAM",
		Short: "Publish one camera to a Sightline server",
		Long: `Read one camera and publish it to a Sightline server, encoding only what somebody watches.

Sources:
  test:?size=1280x720&fps=30000/1001&tag=0        the test pattern
  file:PATH                                       a video file, over and over
  rtsp://user:password@host/path                  a network camera; with #transport=udp in datagrams
  rtsps://user:password@host/path                 the same encrypted; with #tls-fingerprint=… if nobody vouches for its certificate
  http://user:password@host/path                  Motion JPEG or single JPEGs; also https
  v4l2:/dev/video0?size=1280x720&fps=30&format=mjpeg&power_line_frequency=1
                                                  a camera of this machine; see --list-devices
  images:DIR?window=4000&level=2000               the newest still of a folder; with mode=play&fps=2 all of them in order
  screen::0.0?size=1280x720&fps=30                an X11 screen
  pipe:?format=mjpeg                              standard input; also format=bgr24&size=1280x720&fps=30

A source with a password does not belong on a command line, which everyone on the machine can read: give
--source - and put it on standard input, or leave --source out and set SIGHTLINE_SOURCE.

Before it opens the source the program gives up all rights but those the source and the server need, so that a
camera that takes it over gains nothing. Run --sandbox require to start only where that is possible in full.`,
		Example: `  sightline-capture --source v4l2:/dev/video0 --publish wss://sightline.lan:8443/ws/publish/door --token-file door.token
  sightline-capture --source test: --publish wss://127.0.0.1:8443/ws/publish/test --ca ca.pem \
      --rendition name=720p,codec=h264,height=720,fps=30,bitrate=2500000,preset=superfast`,
		Args:          usageArgs(cobra.NoArgs),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.listEncoders {
				return listEncoders(cmd.OutOrStdout())
			}
			if f.listDevices {
				return listDevices(cmd.OutOrStdout(), f.json)
			}
			return f.capture(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr())
		},
	}
	f.register(cmd)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.AddCommand(&cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program and of FFmpeg's libraries",
		Example: "  sightline-capture version",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "sightline-capture %s\n%s\n", version(), av.Version())
			return err
		},
	})
	return cmd
}

func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// version is that of the module, or of the commit it was built from.
func version() string {
	b := build.Read()
	switch {
	case b.Version != "unknown" && b.Version != "(devel)":
		return b.Version
	case b.Revision != "unknown":
		return b.Revision[:min(12, len(b.Revision))]
	}
	return strings.Trim(b.Version, "()")
}

func listEncoders(w io.Writer) error {
	for _, e := range []struct{ codec, name string }{{"h264", av.EncoderH264}, {"jpeg", av.EncoderMJPEG}} {
		state := "available"
		if !av.HasEncoder(e.name) {
			state = "missing from this FFmpeg"
		}
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\n", e.codec, e.name, state); err != nil {
			return err
		}
	}
	return nil
}
