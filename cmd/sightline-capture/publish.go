//go:build cgo

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sightline/internal/capture"
	"sightline/internal/sandbox"
	"sightline/internal/transport"
	"sightline/internal/transport/pipe"
	"sightline/internal/transport/ws"
	"sightline/internal/trust"
	"sightline/internal/wire"
)

// Environment variables that carry what a command line must not.
const (
	envSource = "SIGHTLINE_SOURCE"
	envToken  = "SIGHTLINE_TOKEN"
)

const (
	idleTimeout  = 15 * time.Second // the server answers TIME_REQ every 2 s
	writeTimeout = 10 * time.Second
	maxSecret    = 64 << 10 // bytes of a token, or of a source on standard input
)

type flags struct {
	confine enter

	source, publish   string
	tokenFile, ca     string
	certificate, key  string
	renditions        []string
	logLevel, format  string
	sandbox           string
	listEncoders      bool
	listDevices, json bool
	guard             bool
}

func (f *flags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.source, "source", "", "where pictures come from; - reads it from standard input; default: $"+envSource)
	fs.BoolVar(&f.guard, "guard", false, "refuse network sources that lead to this machine or to its own link")
	fs.StringVar(&f.publish, "publish", "", "where they go: wss://HOST/ws/publish/STREAM, or fd:N for an inherited socket")
	fs.StringVar(&f.tokenFile, "token-file", "", "file with the publish token; default: $"+envToken+". Not needed where the server takes --certificate alone")
	fs.StringVar(&f.ca, "ca", "", "PEM file with the certificate authority of the server; default: those the system trusts")
	fs.StringVar(&f.certificate, "certificate", "", "PEM file with the client certificate to show to the server, where it asks for one; needs --key")
	fs.StringVar(&f.key, "key", "", "PEM file with that certificate's key; both are read anew for each connection. To replace them by renaming, keep them in a directory of their own")
	fs.StringArrayVar(&f.renditions, "rendition", nil, "one encoding to offer, as name=720p,codec=h264,height=720,fps=30,bitrate=2500000,min_bitrate=150000,preset=superfast, or name=source,codec=source for the source's own coding; may be given again; default: a ladder made for the source")
	fs.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	fs.StringVar(&f.format, "log-format", "text", "text or json")
	fs.StringVar(&f.sandbox, "sandbox", sandboxAuto, "auto: as far as this system can; require: in full, or end; off")
	fs.BoolVar(&f.listEncoders, "list-encoders", false, "say which encoders this FFmpeg has, and end")
	fs.BoolVar(&f.listDevices, "list-devices", false, "list this machine's cameras with their formats, sizes, rates and controls, and end")
	fs.BoolVar(&f.json, "json", false, "with --list-devices: as JSON")
}

func (f *flags) capture(ctx context.Context, stdin io.Reader, stderr io.Writer) error {
	log, err := f.logger(stderr)
	if err != nil {
		return err
	}
	keepSmall(log)
	address, err := f.sourceAddress(stdin)
	if err != nil {
		return err
	}
	src, err := capture.ParseSource(address)
	if err != nil {
		return usageError{err}
	}
	if f.guard {
		src = src.Guarded()
	}
	if src.Scheme() == "pipe" && f.source == "-" {
		return usagef("standard input cannot hold both the source and its pictures; give --source pipe:… itself")
	}
	renditions, err := f.renditionList()
	if err != nil {
		return err
	}
	d, err := f.door()
	if err != nil {
		return err
	}
	var token string
	if (f.certificate == "") != (f.key == "") || f.certificate != "" && d.url == nil {
		return usagef("--certificate and --key go together, with --publish wss://…")
	}
	if d.url != nil {
		if token, err = f.token(); err != nil {
			return err
		}
	}
	encoders := make([]string, len(renditions))
	for i, r := range renditions {
		encoders[i] = r.Encoder
	}
	confined, err := f.enterSandbox(src.Scheme(), address, token, encoders, d, log)
	if err != nil {
		return err
	}
	// From here on, since what comes before executes the program anew: a signal in between must not be lost.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	link, err := f.link(d, token, log)
	if err != nil {
		return err
	}
	engine := capture.NewLibav()
	engine.Log = log
	c, err := capture.New(capture.Options{
		Source: src, Renditions: renditions, Agent: "sightline-capture/" + version(), Sandbox: confined, EncoderName: engine.EncoderName,
	}, engine, log)
	if err != nil {
		return usageError{err}
	}
	log.Info("capturing", "source", src)
	return c.Run(ctx, link)
}

func (f *flags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return nil, usagef("--log-level %q: want debug, info, warn or error", f.logLevel)
	}
	o := &slog.HandlerOptions{Level: level}
	switch f.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, usagef("--log-format %q: want text or json", f.format)
}

// sourceAddress takes the source from where it was given, and out of the environment, which children would inherit.
func (f *flags) sourceAddress(stdin io.Reader) (string, error) {
	fromEnv := os.Getenv(envSource)
	if err := os.Unsetenv(envSource); err != nil {
		return "", fmt.Errorf("unset %s: %w", envSource, err)
	}
	switch {
	case sandbox.Inside():
		return fromEnv, nil
	case f.source == "-":
		b, err := io.ReadAll(io.LimitReader(stdin, maxSecret))
		if err != nil {
			return "", fmt.Errorf("read the source from standard input: %w", err)
		}
		return strings.TrimSpace(string(b)), nil
	case f.source != "":
		return f.source, nil
	case fromEnv != "":
		return fromEnv, nil
	}
	return "", usagef("no source; give --source, such as --source test: or --source v4l2:/dev/video0, or set %s", envSource)
}

func (f *flags) renditionList() ([]capture.Rendition, error) {
	var list []capture.Rendition
	for _, s := range f.renditions {
		r, err := capture.ParseRendition(s)
		if err != nil {
			return nil, usageError{err}
		}
		list = append(list, r)
	}
	return list, nil
}

// door is where pictures go: an inherited socket or, if url is set, a server.
type door struct {
	fd  uintptr
	url *url.URL
}

func (f *flags) door() (door, error) {
	if n, ok := strings.CutPrefix(f.publish, "fd:"); ok {
		fd, err := strconv.ParseUint(n, 10, 16)
		if err != nil || fd < 3 {
			return door{}, usagef("--publish %q: want fd:3 or higher, a connected stream socket", f.publish)
		}
		return door{fd: uintptr(fd)}, nil
	}
	u, err := url.Parse(f.publish)
	if err != nil || u.Scheme != "wss" || u.Host == "" {
		return door{}, usagef("--publish %q: want wss://HOST/ws/publish/STREAM, or fd:N for an inherited socket", f.publish)
	}
	if u.User != nil || u.RawQuery != "" {
		return door{}, usagef("--publish: no credentials in the address; give --token-file or set %s", envToken)
	}
	return door{url: u}, nil
}

func (f *flags) link(d door, token string, log *slog.Logger) (capture.Link, error) {
	if d.url == nil {
		return inherited(d.fd)
	}
	return f.remote(d.url, token, log)
}

// inherited takes over the socket that the parent left at fd.
func inherited(fd uintptr) (capture.Link, error) {
	file := os.NewFile(fd, "publish")
	if file == nil {
		return capture.Link{}, usagef("--publish fd:%d: no such descriptor", fd)
	}
	conn, err := net.FileConn(file) // a copy
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return capture.Link{}, usagef("--publish fd:%d is not a connected stream socket: %w", fd, err)
	}
	return capture.Link{
		Dial: func(context.Context) (transport.Conn, error) { return pipe.New(conn, wire.MaxMessageLen), nil },
		Once: true,
	}, nil
}

func (f *flags) remote(u *url.URL, token string, log *slog.Logger) (capture.Link, error) {
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS13}
	if f.ca != "" {
		roots, err := trust.Pool(f.ca)
		if err != nil {
			return capture.Link{}, fmt.Errorf("--ca: %w", err)
		}
		tlsConfig.RootCAs = roots
	}
	if f.certificate != "" {
		if _, err := f.clientCertificate(nil); err != nil { // said now, and not at each try
			return capture.Link{}, err
		}
		tlsConfig.GetClientCertificate = f.clientCertificate
		tlsConfig.NextProtos = []string{"http/1.1", wire.CertificateProtocol}
	}
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	options := ws.Options{ReadLimit: wire.MaxMessageLen, IdleTimeout: idleTimeout, WriteTimeout: writeTimeout}
	return capture.Link{Dial: func(ctx context.Context) (transport.Conn, error) {
		conn, err := ws.Dial(ctx, u.String(), header, []string{wire.Subprotocol}, tlsConfig, options)
		if err != nil {
			return nil, advise(err)
		}
		log.Info("connected", "server", u.Host)
		return conn, nil
	}}, nil
}

// clientCertificate reads what this agent shows to the server.
func (f *flags) clientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(f.certificate, f.key)
	if err != nil {
		return nil, fmt.Errorf("--certificate %s and --key %s: %w", f.certificate, f.key, err)
	}
	return &pair, nil
}

// advise adds to an error of dialling what to do about it.
func advise(err error) error {
	var refused *ws.RefusedError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &refused) && strings.Contains(refused.Body, "-certificate\""):
		return fmt.Errorf("the server does not let this publisher in without the right client certificate; see --certificate and --key: %w", err)
	case errors.As(err, &refused) && (refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden):
		return fmt.Errorf("the server does not accept the token for this stream; make a new one with \"sightline token --action publish\": %w", err)
	case errors.As(err, &refused) && refused.Status == http.StatusNotFound:
		return fmt.Errorf("the server knows no such stream; check the address in --publish: %w", err)
	case errors.As(err, &unknown):
		return fmt.Errorf("the server's certificate is signed by an authority unknown here; give its ca.pem with --ca: %w", err)
	}
	return err
}

func (f *flags) token() (string, error) {
	token := os.Getenv(envToken)
	if err := os.Unsetenv(envToken); err != nil {
		return "", fmt.Errorf("unset %s: %w", envToken, err)
	}
	if f.tokenFile != "" && !sandbox.Inside() {
		file, err := os.Open(f.tokenFile)
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		b, err := io.ReadAll(io.LimitReader(file, maxSecret))
		_ = file.Close() // read only
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		token = string(bytes.TrimSpace(b))
	}
	if token == "" && f.tokenFile == "" && f.certificate != "" {
		return "", nil // the server's policy may take the certificate alone
	}
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", usagef("no usable publish token; give --token-file or set %s (make one with \"sightline token --action publish\")", envToken)
	}
	return token, nil
}
