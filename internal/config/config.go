// Package config makes one checked value of the configuration file, the environment and the command line. It
// knows the grammar of names and sources, and nothing of the rooms that use them but the nouns in media. It
// owns no goroutines.
package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"sightline/internal/media"
)

// Config is all there is to configure, checked and complete: paths are usable as they stand.
type Config struct {
	Listen  string         // host:port of the one listener
	DataDir string         // where keys and the audit file live
	Hosts   []string       // names and addresses under which the server is reached, besides this machine's own
	Proxies []netip.Prefix // reverse proxies whose word on who asks is believed
	TLS     TLS
	Auth    Auth
	Policy  []PolicyTest
	Streams []Stream // in the order of the file
	Limits  Limits
	Padding int // bytes on the wire that a picture is filled up to at least; 0: none is filled up
	Audit   Audit
	Alerts  Alerts
	Metrics Metrics
	Tracing Tracing
	Log     Log

	Places map[string]Place `json:"-"` // where what is said is said, by the name of the setting; says nothing of what holds
}

// TLS is where the certificate comes from: the operator's files, an ACME authority, or, where all is empty, the server's
// own authority.
type TLS struct {
	Cert, Key string
	ACME      ACME
}

// ACME is a certificate authority that is asked over the network (RFC 8555). Domains is empty where none is.
type ACME struct {
	Domains   []string
	Email     string // where the authority sends warnings; "" for nowhere
	Directory string // URL; "" for Let's Encrypt's
	CA        string // file of certificates by which the directory is known; "" for the system's
}

// Auth is the policy of logins.
type Auth struct {
	Origins    []string // of other sites whose pages may open connections: "https://portal.example.org"
	SessionTTL time.Duration
	// PublishTTL is the longest that a publish token may be good for.
	PublishTTL time.Duration
	Issuers    []Issuer // others whose tokens are accepted
	OIDC       OIDC
	// Certificates are what publishers show beside their tokens.
	Certificates Certificates
}

// Certificates is the policy for publishers' client certificates. CA is "" where they mean nothing.
type Certificates struct {
	CA       string              // file of the authority's certificates
	Required bool                // nobody publishes without one
	Streams  map[string][]string // patterns by the certificate's name; none: any of them will do for what the token allows
	// WithoutToken lets certificates publish what Streams names them with, without a token.
	WithoutToken bool
}

// Issuer is somebody else whose tokens are accepted, and what they are worth.
type Issuer struct {
	Name       string // what this server calls it: before subjects, with a colon
	Issuer     string // the tokens' iss
	JWKS       string // address of its keys; empty for that of people, which tells where they are
	Audience   string // one of the tokens' aud; empty for that of people, whose client-id it is
	Algorithms []string
	// GrantsClaim and RolesClaim are paths of claims. One is set at least.
	GrantsClaim, RolesClaim []string
	Roles                   []Role
	CA                      string // file of certificates by which it is known; "" for the system's
}

// Role is what a role of an issuer's is worth here.
type Role struct {
	Name    string
	Actions []string // view, publish, admin
	Streams []string // patterns
}

// PolicyTest says what a role must be able to do, or must not be.
type PolicyTest struct {
	Who    string // issuer/role
	Action string // view, publish or admin
	Stream string
	May    bool
}

// OIDC is the provider where people log in (OpenID Connect). Issuer.Name is empty where there is none.
type OIDC struct {
	Issuer
	ClientID     string
	SecretFile   string // path of the client's secret; "" for a public client
	RedirectHost string // under which the provider sends people back, with its port if it is not 443
	Scopes       []string
}

// Stream is one camera. Either Source is set, or Publish.
type Stream struct {
	ID         media.StreamID
	Source     Source      // what a capture process of this server reads
	Publish    bool        // a remote agent or browser publishes it
	Groups     []string    // in which the pages show it; none: the part of its name before the last slash is one
	Origin     Origin      // where it comes from
	Renditions []Rendition // none: those that suit the source, which only its capture process knows
}

// Origin says where a stream, or the value of a setting, comes from.
type Origin string

// The origins of streams and settings.
const (
	OriginFile        Origin = "file"        // the configuration file
	OriginPage        Origin = "page"        // the administrator's page: it stands in the cameras file
	OriginDemo        Origin = "demo"        // the demonstration, or a first start without cameras
	OriginDefault     Origin = "default"     // nobody said anything else
	OriginEnvironment Origin = "environment" // a variable
	OriginFlag        Origin = "flag"        // the command line
)

// Rendition is one encoding of a stream that has a Source.
type Rendition struct {
	Name string
	// Passthrough is the source's own coding, untouched. Nothing below has a meaning then.
	Passthrough bool
	Codec       media.Codec
	// Height, in pixels, and FrameRateMilli, in thousandths of a frame a second, are upper bounds: a source
	// that has less is never scaled or sped up.
	Height         int
	FrameRateMilli int
	BitrateBps     int    // 0 for JPEG
	Preset         string // x264's; "" for JPEG
	Encoder        string // by FFmpeg's name; "" for libx264, and for JPEG
}

// Limits bound what the server takes on.
type Limits struct {
	Viewers          int
	ViewersPerStream int
}

// Audit is how the audit record is kept.
type Audit struct {
	Path        string        // of the current file
	RotateBytes int           // size at which a new file is begun
	RotateAge   time.Duration // age at which a new file is begun; 0: none
	Keep        int           // full files that are kept
	OnFailure   string        // "refuse" or "continue": what happens while no record can be written
	Syslog      Syslog
}

// Syslog is where each line of the audit record goes besides. Network is empty where it goes nowhere.
type Syslog struct {
	Network string // "unix", "tcp" or "tls"
	Address string // path of a socket, or host:port
	CA      string // path of the certificates that vouch for a TLS receiver; "": the system's
}

// Alerts is what the rules over the audit record are told of the site, and who is told what they find.
type Alerts struct {
	Webhook   Webhook
	Sensitive []string // streams whose first view by somebody at an odd hour is told
	// OpenFrom and OpenUntil are the hours of the day, local time, that are not odd; both 0: none is.
	OpenFrom, OpenUntil int
	Walls               []string // subjects that watch many cameras by profession
}

// Webhook is an address that is told of alerts. URL is empty where none is.
type Webhook struct {
	URL        string
	SecretFile string // path of the secret that signs what is sent
	CA         string // path of the certificates by which the receiver is known; "": the system's
}

// Metrics is where Prometheus finds the server's figures. Listen, host:port, is empty where it does not.
type Metrics struct{ Listen string }

// Tracing is where traces are sent. Endpoint, a URL, is empty where none are.
type Tracing struct{ Endpoint string }

// Log is what is logged.
type Log struct{ Level slog.Level }

// The defaults of a rendition that names only its codec.
const (
	defaultH264Height     = 720
	defaultH264RateMilli  = 30_000
	defaultH264BitrateBps = 2_500_000
	defaultH264Preset     = "superfast"
	defaultJPEGHeight     = 544
	defaultJPEGRateMilli  = 10_000
)

func defaultRendition(name string, codec media.Codec) Rendition {
	if codec == media.CodecJPEG {
		return Rendition{Name: name, Codec: codec, Height: defaultJPEGHeight, FrameRateMilli: defaultJPEGRateMilli}
	}
	return Rendition{
		Name: name, Codec: codec, Height: defaultH264Height, FrameRateMilli: defaultH264RateMilli,
		BitrateBps: defaultH264BitrateBps, Preset: defaultH264Preset,
	}
}

// defaults is the configuration of an empty file.
func defaults() Config {
	return Config{
		Places: map[string]Place{},
		Listen: ":8443",
		Auth:   Auth{SessionTTL: maxSessionTTL, PublishTTL: 24 * time.Hour},
		Limits: Limits{Viewers: 2000, ViewersPerStream: 1000},
		Audit:  Audit{Path: "audit.jsonl", RotateBytes: 64 << 20, Keep: 32, OnFailure: "refuse"},
		Log:    Log{Level: slog.LevelInfo},
	}
}

// Options say where the configuration comes from. Later fields win over earlier ones.
type Options struct {
	File   string                   // path of sightline.yaml; "" for none
	Getenv func(name string) string // os.Getenv; SIGHTLINE_LISTEN, _DATA_DIR, _LOG_LEVEL, and XDG_STATE_HOME and HOME
	// From flags; "" where not given.
	Listen   string
	DataDir  string
	LogLevel string
}

// Load reads and checks everything. Its error joins one *Error for each thing that is wrong in the file, in
// the file's order, and one plain error for each that is wrong in the environment or the flags.
func Load(o Options) (Config, error) {
	c := defaults()
	var errs []error
	if o.File != "" {
		data, err := readFile(o.File)
		if err != nil {
			return Config{}, err
		}
		var fileErr error
		c, fileErr = parse(o.File, data)
		errs = append(errs, fileErr)
		for _, path := range []*string{&c.TLS.Cert, &c.TLS.Key, &c.TLS.ACME.CA, &c.Alerts.Webhook.SecretFile, &c.Alerts.Webhook.CA, &c.Auth.OIDC.CA, &c.Auth.OIDC.SecretFile, &c.Auth.Certificates.CA} {
			*path = resolve(filepath.Dir(o.File), *path)
		}
		for i := range c.Auth.Issuers {
			c.Auth.Issuers[i].CA = resolve(filepath.Dir(o.File), c.Auth.Issuers[i].CA)
		}
		c.DataDir = resolve(filepath.Dir(o.File), c.DataDir)
	}
	const environment, flag = OriginEnvironment, OriginFlag
	for _, over := range []struct {
		setting string
		Place
		value string
		set   func(string) error
	}{
		{"listen", Place{environment, "SIGHTLINE_LISTEN"}, o.Getenv("SIGHTLINE_LISTEN"), c.setListen},
		{"data-dir", Place{environment, "SIGHTLINE_DATA_DIR"}, o.Getenv("SIGHTLINE_DATA_DIR"), c.setDataDir},
		{"log.level", Place{environment, "SIGHTLINE_LOG_LEVEL"}, o.Getenv("SIGHTLINE_LOG_LEVEL"), c.setLogLevel},
		{"listen", Place{flag, "--listen"}, o.Listen, c.setListen},
		{"data-dir", Place{flag, "--data-dir"}, o.DataDir, c.setDataDir},
		{"log.level", Place{flag, "--log-level"}, o.LogLevel, c.setLogLevel},
	} {
		if over.value == "" {
			continue
		}
		c.Places[over.setting] = over.Place
		if err := over.set(over.value); err != nil {
			kind := "flag"
			if over.Origin == environment {
				kind = "environment variable"
			}
			errs = append(errs, fmt.Errorf("%s %s: %w", kind, over.Where, err))
		}
	}
	if c.DataDir == "" {
		dir, err := defaultDataDir(o.Getenv)
		c.DataDir = dir
		errs = append(errs, err)
	}
	c.Audit.Path = resolve(c.DataDir, c.Audit.Path)
	errs = append(errs, c.checkMetrics())
	errs = append(errs, c.addCameras())
	if err := errors.Join(errs...); err != nil {
		return Config{}, err
	}
	return c, nil
}

// maxFileBytes is far beyond any real file, and small enough for memory.
const maxFileBytes = 1 << 20

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w: name another with --config", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("configuration file %s is larger than %d bytes: is it the right one?", path, maxFileBytes)
	}
	return data, nil
}

// resolve makes path relative to base where it is not absolute; "" stays.
func resolve(base, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}

func defaultDataDir(getenv func(string) string) (string, error) {
	if runtime.GOOS != "windows" && os.Geteuid() == 0 {
		return "/var/lib/sightline", nil
	}
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) { // the XDG specification ignores relative paths
		return filepath.Join(dir, "sightline"), nil
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "sightline"), nil
	}
	if dir := getenv("LOCALAPPDATA"); dir != "" {
		return filepath.Join(dir, "sightline"), nil
	}
	return "", errors.New("no data directory: this user has no home; name one with --data-dir")
}

func (c *Config) setListen(s string) error {
	if err := checkListen(s); err != nil {
		return err
	}
	c.Listen = s
	return nil
}

func (c *Config) setDataDir(s string) error {
	c.DataDir = s
	return nil
}

func (c *Config) setLogLevel(s string) error {
	level, err := parseLevel(s)
	if err != nil {
		return err
	}
	c.Log.Level = level
	return nil
}

func (c *Config) setMetricsListen(s string) error {
	if err := checkListen(s); err != nil {
		return err
	}
	if strings.HasPrefix(s, ":") {
		s = "127.0.0.1" + s // figures are for everybody who can ask: nobody on the network can, unless somebody says so
	}
	c.Metrics.Listen = s
	return nil
}

// checkMetrics refuses figures on the port of the server itself, where the system would let both have it.
func (c *Config) checkMetrics() error {
	if c.Metrics.Listen == "" {
		return nil
	}
	_, port, _ := net.SplitHostPort(c.Metrics.Listen) // checked
	if _, own, err := net.SplitHostPort(c.Listen); err == nil && own == port && port != "0" {
		return fmt.Errorf("metrics.listen: port %s is that of the server itself: choose another, such as 9464", port)
	}
	return nil
}

func checkListen(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%.80q is no address to listen on: write host:port, or :port for all addresses", s)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("port %.20q is out of bounds: want 0 to 65535", port)
	}
	if host != "" && net.ParseIP(host) == nil && !isHostname(host) {
		return fmt.Errorf("%.80q is no host: write an address of this machine, or leave it out for all", host)
	}
	return nil
}

func parseLevel(s string) (slog.Level, error) {
	switch s {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("unknown log level %.40q: want debug, info, warn or error", s)
}

// isHostname accepts DNS names in lower case, as browsers send them.
func isHostname(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
				return false
			}
		}
	}
	return true
}
