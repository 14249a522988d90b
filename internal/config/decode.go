package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"sightline/internal/media"
)

var issuerGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// Error is one thing that is wrong in a configuration file.
type Error struct {
	File         string
	Line, Column int // from 1
	Text         string
}

// Error gives file:line:column and the text, as editors understand it.
func (e *Error) Error() string { return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text) }

// The bounds of numbers.
const (
	minTTL        = time.Minute
	maxSessionTTL = 12 * time.Hour
	maxPublishTTL = 30 * 24 * time.Hour
	maxViewers    = 1_000_000
	maxStreams    = 10_000
	maxGroupRunes = 64
	maxRenditions = 16
	minHeight     = 16
	maxHeight     = 4320
	minRateMilli  = 100 // a frame in ten seconds
	maxRateMilli  = 240_000
	minBitrateBps = 50_000
	maxBitrateBps = 100_000_000
	maxListItems  = 1000

	minPadding = 1 << 10
	maxPadding = 1 << 20

	minRotateBytes = 64 << 10
	maxRotateBytes = 1 << 30
	minRotateAge   = time.Minute
	maxRotateAge   = 366 * 24 * time.Hour
	maxAuditFiles  = 10_000
)

var (
	renditionName  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	bitrateGrammar = regexp.MustCompile(`^([0-9]{1,9}(?:\.[0-9]{1,3})?)([kM]?)$`)
	rateGrammar    = regexp.MustCompile(`^([0-9]{1,6}(?:\.[0-9]{1,3})?)(?:/([0-9]{1,6}))?$`)
	sizeGrammar    = regexp.MustCompile(`^([0-9]{1,10})([kMG]?)$`)
	lineInMessage  = regexp.MustCompile(`\bline (\d+)(?:, column (\d+))?`)
)

// presets are x264's; placebo is not among them, since it cannot keep up with any camera.
func presets() []string {
	return []string{"ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"}
}

// passthrough is the codec of a rendition that is the source's own coding.
const passthrough = "source"

func codecs() []string {
	return []string{media.CodecH264.String(), media.CodecJPEG.String(), passthrough}
}

func encoders() []string {
	return []string{"auto", "libx264", "h264_nvenc", "h264_qsv", "h264_vaapi", "h264_v4l2m2m"}
}

// Parse reads and checks the text of a configuration file, called name in errors. Paths stay as written and
// the data directory may be empty: Load completes them. The error joins one *Error for each fault.
func Parse(name string, data []byte) (Config, error) {
	c, err := parse(name, data)
	if err != nil {
		return Config{}, err
	}
	return c, nil
}

// parse returns what it could read beside the errors, so that Load can go on to find more.
func parse(name string, data []byte) (Config, error) {
	c := defaults()
	root, err := parseYAML(name, data)
	if err != nil || root == nil {
		return c, err
	}
	d := &decoder{file: name}
	d.root(root, &c)
	c.Places = placesOf(name, root)
	slices.SortStableFunc(d.errs, func(a, b *Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	var errs []error
	for _, e := range d.errs {
		errs = append(errs, e)
	}
	return c, errors.Join(errs...)
}

// parseYAML returns the one document's root, or nil for an empty file.
func parseYAML(name string, data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntaxError(name, err)
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		return nil, &Error{name, more.Line, max(more.Column, 1), "a second document begins here: a configuration is one document"}
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(name, err)
	}
	if len(doc.Content) != 1 {
		return nil, nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	return root, nil
}

// syntaxError gives YAML's own complaints the form of ours.
func syntaxError(name string, err error) error {
	var load *yaml.LoadError
	if errors.As(err, &load) {
		return &Error{name, max(load.Mark.Line, 1), max(load.Mark.Column, 1), "not YAML: " + load.Message}
	}
	e := &Error{name, 1, 1, "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := lineInMessage.FindStringSubmatch(err.Error()); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			e.Line = max(n, 1)
		}
	}
	return e
}

// decoder walks a YAML tree and gathers what is wrong with it.
type decoder struct {
	file string
	errs []*Error
}

func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	d.errs = append(d.errs, &Error{d.file, max(n.Line, 1), max(n.Column, 1), fmt.Sprintf(format, args...)})
}

// key is one member of a mapping that may be set.
type key struct {
	name string
	read func(n *yaml.Node)
}

// mapping reads the members of n by keys. what names the mapping in errors.
func (d *decoder) mapping(n *yaml.Node, what string, keys ...key) {
	d.members(n, what, func(k, v *yaml.Node) {
		i := slices.IndexFunc(keys, func(c key) bool { return c.name == k.Value })
		if i < 0 {
			var names []string
			for _, c := range keys {
				names = append(names, c.name)
			}
			d.fail(k, "unknown key %.40q in %s%s: want %s", k.Value, what, didYouMean(k.Value, names), orList(names))
			return
		}
		keys[i].read(v)
	})
}

// members calls each for every member of the mapping n, and refuses keys that stand twice.
func (d *decoder) members(n *yaml.Node, what string, each func(k, v *yaml.Node)) {
	if !d.plain(n, what) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, "%s is %s: want a mapping, lines of key: value", what, describe(n))
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" {
			d.fail(k, "a key in %s is %s: want a name", what, describe(k))
			continue
		}
		if first, twice := lines[k.Value]; twice {
			d.fail(k, "key %.40q stands twice in %s, first in line %d: remove one", k.Value, what, first)
			continue
		}
		lines[k.Value] = k.Line
		each(k, v)
	}
}

// list calls each for every item of the sequence n.
func (d *decoder) list(n *yaml.Node, what string, most int, each func(*yaml.Node)) {
	if !d.plain(n, what) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.fail(n, "%s is %s: want a list, [a, b] or lines that begin with -", what, describe(n))
		return
	}
	if len(n.Content) > most {
		d.fail(n, "%s has %d items: at most %d are allowed", what, len(n.Content), most)
		return
	}
	for _, item := range n.Content {
		each(item)
	}
}

// plain refuses what makes YAML hard to read and to bound: anchors, aliases, and tags of its own.
func (d *decoder) plain(n *yaml.Node, what string) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.fail(n, "%s uses a YAML anchor or alias: write the value out", what)
		return false
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		d.fail(n, "%s has the YAML tag %.40q: remove it", what, n.Tag)
		return false
	}
	return true
}

// scalar reads a value of one of the given YAML types.
func (d *decoder) scalar(n *yaml.Node, what, want string, tags ...string) (string, bool) {
	if !d.plain(n, what) {
		return "", false
	}
	if n.Kind != yaml.ScalarNode || !slices.Contains(tags, n.Tag) {
		hint := ""
		if n.Kind == yaml.ScalarNode && slices.Contains(tags, "!!str") && n.Tag != "!!null" {
			hint = ", in quotes"
		}
		d.fail(n, "%s is %s: want %s%s", what, describe(n), want, hint)
		return "", false
	}
	return n.Value, true
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.Tag {
	case "!!null":
		return "empty"
	case "!!bool":
		return "a yes or no"
	case "!!int", "!!float":
		return "a number"
	case "!!str":
		return "a text"
	}
	return "of another type"
}

// text reads a string and keeps it when check, which may be nil, finds nothing wrong.
func (d *decoder) text(to *string, what, want string, check func(string) error) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s, ok := d.scalar(n, what, want, "!!str")
		if !ok {
			return
		}
		if check != nil {
			if err := check(s); err != nil {
				d.fail(n, "%s: %v", what, err)
				return
			}
		}
		*to = s
	}
}

func (d *decoder) integer(to *int, what string, low, high int) func(*yaml.Node) {
	want := fmt.Sprintf("a whole number from %d to %d", low, high)
	return func(n *yaml.Node) {
		s, ok := d.scalar(n, what, want, "!!int")
		if !ok {
			return
		}
		i, err := strconv.Atoi(s)
		if err != nil || i < low || i > high {
			d.fail(n, "%s is %.20s: want %s", what, s, want)
			return
		}
		*to = i
	}
}

func (d *decoder) root(n *yaml.Node, c *Config) {
	d.mapping(
		n, "the configuration",
		key{"listen", d.text(&c.Listen, "listen", "an address such as :8443", checkListen)},
		key{"data-dir", d.text(&c.DataDir, "data-dir", "a path", notEmpty)},
		key{"hosts", func(n *yaml.Node) {
			d.list(n, "hosts", maxListItems, func(n *yaml.Node) {
				var host string
				d.text(&host, "host", "a name or address", checkHost)(n)
				c.Hosts = append(c.Hosts, host)
			})
		}},
		key{"proxies", func(n *yaml.Node) {
			d.list(n, "proxies", maxListItems, func(n *yaml.Node) {
				var network netip.Prefix
				d.text(new(string), "proxy", "a network such as 10.0.0.0/8", func(s string) (err error) {
					network, err = parseNetwork(s)
					return err
				})(n)
				c.Proxies = append(c.Proxies, network)
			})
		}},
		key{"tls", func(n *yaml.Node) { d.tls(n, &c.TLS) }},
		key{"auth", func(n *yaml.Node) { d.auth(n, &c.Auth) }},
		key{"policy-tests", func(n *yaml.Node) {
			d.list(n, "policy-tests", maxPolicyTests, func(n *yaml.Node) { c.Policy = append(c.Policy, d.policyTest(n)) })
		}},
		key{"streams", func(n *yaml.Node) { d.streams(n, &c.Streams) }},
		key{"limits", func(n *yaml.Node) {
			d.mapping(
				n, "limits",
				key{"viewers", d.integer(&c.Limits.Viewers, "viewers", 1, maxViewers)},
				key{"viewers-per-stream", d.integer(&c.Limits.ViewersPerStream, "viewers-per-stream", 1, maxViewers)},
			)
		}},
		key{"padding", func(n *yaml.Node) {
			d.number(&c.Padding, n, "padding", func(s string) (int, error) { return parseSize(s, minPadding, maxPadding) })
		}},
		key{"audit", func(n *yaml.Node) { d.audit(n, &c.Audit) }},
		key{"alerts", func(n *yaml.Node) { d.alerts(n, &c.Alerts) }},
		key{"metrics", func(n *yaml.Node) {
			d.mapping(n, "metrics", key{"listen", d.text(new(string), "listen", "an address such as 127.0.0.1:9464", c.setMetricsListen)})
		}},
		key{"tracing", func(n *yaml.Node) {
			d.mapping(n, "tracing", key{"endpoint", d.text(&c.Tracing.Endpoint, "endpoint", "a URL such as http://127.0.0.1:4318", checkCollector)})
		}},
		key{"log", func(n *yaml.Node) {
			d.mapping(n, "log", key{"level", d.text(new(string), "level", "debug, info, warn or error", c.setLogLevel)})
		}},
	)
}

func (d *decoder) tls(n *yaml.Node, t *TLS) {
	d.mapping(
		n, "tls",
		key{"cert", d.text(&t.Cert, "cert", "a path", notEmpty)},
		key{"key", d.text(&t.Key, "key", "a path", notEmpty)},
		key{"acme", func(n *yaml.Node) { d.acme(n, &t.ACME) }},
	)
	if n.Kind == yaml.MappingNode && (t.Cert == "") != (t.Key == "") {
		d.fail(n, "tls names only one of cert and key: name both, or leave tls out to use the server's own authority")
	}
	if t.Cert != "" && len(t.ACME.Domains) > 0 {
		d.fail(n, "tls names both files and acme: keep one")
	}
}

func (d *decoder) acme(n *yaml.Node, a *ACME) {
	before, accepted := len(d.errs), false
	d.mapping(
		n, "acme",
		key{"domains", func(n *yaml.Node) {
			d.list(n, "domains", maxListItems, func(n *yaml.Node) {
				var domain string
				d.text(&domain, "domain", "a name such as cameras.example.org", checkDomain)(n)
				a.Domains = append(a.Domains, domain)
			})
		}},
		key{"email", d.text(&a.Email, "email", "an address such as ops@example.org", checkEmail)},
		key{"directory", d.text(&a.Directory, "directory", "a URL such as https://ca.example.org/directory", checkHTTPS)},
		key{"ca", d.text(&a.CA, "ca", "a path", notEmpty)},
		key{"accept-terms", d.boolean(&accepted, "accept-terms")},
	)
	switch {
	case len(d.errs) > before:
	case len(a.Domains) == 0:
		d.fail(n, "acme names no domains: name those under which this server is reached on port 443")
	case !accepted:
		d.fail(n, "acme lacks accept-terms: true, which says that you have read the authority's terms and agree to them")
	}
}

func checkCollector(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%.80q is no address of a collector: write http://HOST:PORT or https://HOST:PORT", s)
	}
	return nil
}

func checkDomain(s string) error {
	if net.ParseIP(s) != nil || !isHostname(s) || !strings.Contains(s, ".") {
		return fmt.Errorf("%.80q is no domain: write a whole name in lower case, such as cameras.example.org", s)
	}
	return nil
}

func checkEmail(s string) error {
	if _, err := mail.ParseAddress(s); err != nil {
		return fmt.Errorf("%.80q is no address: write one such as ops@example.org", s)
	}
	return nil
}

func checkHTTPS(s string) error {
	if u, err := url.Parse(s); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Errorf("%.80q is no such address: write https://host/path", s)
	}
	return nil
}

// parseNetwork reads a network, or one address as the network of itself.
func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Prefix(addr.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%.80q is no network: write an address, or one with the length of its prefix, such as 10.0.0.0/8", s)
	}
	return p.Masked(), nil
}

func (d *decoder) auth(n *yaml.Node, a *Auth) {
	d.mapping(
		n, "auth",
		key{"origins", func(n *yaml.Node) {
			d.list(n, "origins", maxListItems, func(n *yaml.Node) {
				var origin string
				d.text(&origin, "origin", "an origin such as https://portal.example.org", checkOrigin)(n)
				a.Origins = append(a.Origins, origin)
			})
		}},
		key{"session-ttl", d.lifetime(&a.SessionTTL, "session-ttl", maxSessionTTL)},
		key{"publish-ttl", d.lifetime(&a.PublishTTL, "publish-ttl", maxPublishTTL)},
		key{"issuers", func(n *yaml.Node) {
			d.list(n, "issuers", maxListItems, func(n *yaml.Node) {
				i := Issuer{}
				before := len(d.errs)
				d.mapping(n, "an issuer", append(
					d.issuer(&i),
					key{"jwks", d.text(&i.JWKS, "jwks", "the address of its keys", checkHTTPS)},
					key{"audience", d.text(&i.Audience, "audience", "what its tokens are for", notEmpty)},
				)...)
				if len(d.errs) == before {
					d.whole(n, "an issuer", i, map[string]string{"jwks": i.JWKS, "audience": i.Audience})
				}
				a.Issuers = append(a.Issuers, i)
			})
		}},
		key{"oidc", func(n *yaml.Node) {
			o := &a.OIDC
			before := len(d.errs)
			d.mapping(n, "oidc", append(
				d.issuer(&o.Issuer),
				key{"client-id", d.text(&o.ClientID, "client-id", "this server's name at the provider", notEmpty)},
				key{"client-secret-file", d.text(&o.SecretFile, "client-secret-file", "a path", notEmpty)},
				key{"host", d.text(&o.RedirectHost, "host", "a host, with its port if that is not 443", checkHostPort)},
				key{"scopes", d.texts(&o.Scopes, "scope", "a scope such as profile", notEmpty)},
			)...)
			if len(d.errs) == before {
				d.whole(n, "oidc", o.Issuer, map[string]string{"client-id": o.ClientID, "host": o.RedirectHost})
			}
		}},
		key{"publisher-certificates", func(n *yaml.Node) { d.certificates(n, &a.Certificates) }},
	)
}

func (d *decoder) certificates(n *yaml.Node, c *Certificates) {
	before := len(d.errs)
	d.mapping(
		n, "publisher-certificates",
		key{"ca", d.text(&c.CA, "ca", "a path", notEmpty)},
		key{"required", d.boolean(&c.Required, "required")},
		key{"without-token", d.boolean(&c.WithoutToken, "without-token")},
		key{"streams", func(n *yaml.Node) {
			c.Streams = map[string][]string{}
			d.members(n, "streams", func(k, v *yaml.Node) {
				var patterns []string
				d.texts(&patterns, "stream", "a pattern of streams such as site/**", notEmpty)(v)
				if k.Value == "" || len(patterns) == 0 {
					d.fail(v, "%.40q names no streams: write the certificate's name and a list of streams", k.Value)
				}
				c.Streams[k.Value] = patterns
			})
			if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
				d.fail(n, "streams is empty: name those of each certificate, or leave it out for all that tokens allow")
			}
		}},
	)
	if len(d.errs) == before && c.CA == "" {
		d.fail(n, "publisher-certificates lacks its ca: name the file of the authority that issues them")
	}
	if len(d.errs) == before && c.WithoutToken && len(c.Streams) == 0 {
		d.fail(n, "publisher-certificates without-token needs streams: name what each certificate may publish")
	}
}

// lifetime reads how long a credential may be good for at most.
func (d *decoder) lifetime(to *time.Duration, what string, longest time.Duration) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s, ok := d.scalar(n, what, "a duration such as 12h or 30m", "!!str")
		if !ok {
			return
		}
		ttl, err := time.ParseDuration(s)
		if err != nil || ttl < minTTL || ttl > longest {
			d.fail(n, "%s is %.20q: want a duration from %s to %s", what, s, minTTL, longest)
			return
		}
		*to = ttl
	}
}

// boolean reads true or false.
func (d *decoder) boolean(to *bool, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		v, ok := d.scalar(n, what, "true or false", "!!bool")
		if !ok {
			return
		}
		*to = v == "true"
		if v != "true" && v != "false" {
			d.fail(n, "%s is %.20q: want true or false", what, v)
		}
	}
}

// maxPolicyTests is how many tests a policy may have.
const maxPolicyTests = 1000

// policyTest reads {who: portal/guards, may: view, stream: site/door}, or may-not in the place of may.
func (d *decoder) policyTest(n *yaml.Node) (t PolicyTest) {
	before := len(d.errs)
	var may, mayNot string
	actions := oneOf([]string{"view", "publish", "admin"})
	d.mapping(
		n, "a policy test",
		key{"who", d.text(&t.Who, "who", "issuer/role", notEmpty)},
		key{"may", d.text(&may, "may", "view, publish or admin", actions)},
		key{"may-not", d.text(&mayNot, "may-not", "view, publish or admin", actions)},
		key{"stream", d.text(&t.Stream, "stream", "a stream's name", func(s string) error { _, err := media.ParseStreamID(s); return err })},
	)
	t.Action, t.May = may+mayNot, may != ""
	if len(d.errs) == before && (t.Who == "" || t.Stream == "" || (may == "") == (mayNot == "")) {
		d.fail(n, "a policy test needs who, stream, and either may or may-not")
	}
	return t
}

// issuer gives the keys that every issuer has.
func (d *decoder) issuer(i *Issuer) []key {
	return []key{
		{"name", d.text(&i.Name, "name", "a short name such as portal", func(s string) error {
			if s == "certificate" {
				return fmt.Errorf("%q is what publishers with certificates are called: take another name", s)
			}
			if !issuerGrammar.MatchString(s) {
				return fmt.Errorf("%.80q is no short name: want at most 32 of a-z, 0-9 and -", s)
			}
			return nil
		})},
		{"issuer", d.text(&i.Issuer, "issuer", "the address that its tokens name", checkHTTPS)},
		{"algorithms", d.texts(&i.Algorithms, "algorithm", "EdDSA, ES256, RS256 or PS256", oneOf([]string{"EdDSA", "ES256", "RS256", "PS256"}))},
		{"grants-claim", d.path(&i.GrantsClaim, "grants-claim")},
		{"roles-claim", d.path(&i.RolesClaim, "roles-claim")},
		{"roles", func(n *yaml.Node) {
			d.members(n, "roles", func(k, v *yaml.Node) {
				r := Role{Name: k.Value}
				before := len(d.errs)
				d.mapping(
					v, fmt.Sprintf("role %.40s", k.Value),
					key{"actions", d.texts(&r.Actions, "action", "view, publish or admin", oneOf([]string{"view", "publish", "admin"}))},
					key{"streams", d.texts(&r.Streams, "stream", "a pattern of streams such as site/**", notEmpty)},
				)
				if len(d.errs) == before && (len(r.Actions) == 0 || len(r.Streams) == 0) {
					d.fail(v, "role %.40s lacks its actions or its streams: name both", k.Value)
				}
				i.Roles = append(i.Roles, r)
			})
		}},
		{"ca", d.text(&i.CA, "ca", "a path", notEmpty)},
	}
}

// whole complains of what an issuer lacks.
func (d *decoder) whole(n *yaml.Node, what string, i Issuer, more map[string]string) {
	more["name"], more["issuer"] = i.Name, i.Issuer
	for _, name := range slices.Sorted(maps.Keys(more)) {
		if more[name] == "" {
			d.fail(n, "%s lacks its %s", what, name)
		}
	}
	switch {
	case len(i.Algorithms) == 0:
		d.fail(n, "%s lacks its algorithms: name those that it signs with, such as [ES256]", what)
	case i.GrantsClaim == nil && i.RolesClaim == nil:
		d.fail(n, "%s lacks grants-claim and roles-claim: name the claim that says what somebody may do", what)
	case i.RolesClaim != nil && len(i.Roles) == 0:
		d.fail(n, "%s names a roles-claim and no roles: say what each role may do", what)
	}
}

// path reads the path of a claim: realm_access.roles.
func (d *decoder) path(to *[]string, what string) func(*yaml.Node) {
	return d.text(new(string), what, "the path of a claim such as realm_access.roles", func(s string) error {
		*to = strings.Split(s, ".")
		if slices.Contains(*to, "") {
			return fmt.Errorf("%.80q is no path of a claim: write names with a full stop between them", s)
		}
		return nil
	})
}

// texts reads a list of texts.
func (d *decoder) texts(to *[]string, what, want string, check func(string) error) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d.list(n, what+"s", maxListItems, func(n *yaml.Node) {
			var s string
			d.text(&s, what, want, check)(n)
			*to = append(*to, s)
		})
	}
}

func checkHostPort(s string) error {
	host := s
	if h, port, err := net.SplitHostPort(s); err == nil {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("port %.20q is out of bounds: want 1 to 65535", port)
		}
		host = h
	}
	return checkHost(host)
}

func (d *decoder) audit(n *yaml.Node, a *Audit) {
	d.mapping(
		n, "audit",
		key{"path", d.text(&a.Path, "path", "a path", notEmpty)},
		key{"rotate-size", func(n *yaml.Node) {
			d.number(&a.RotateBytes, n, "rotate-size", func(s string) (int, error) { return parseSize(s, minRotateBytes, maxRotateBytes) })
		}},
		key{"rotate-age", func(n *yaml.Node) {
			s, ok := d.scalar(n, "rotate-age", "a duration such as 24h", "!!str")
			if !ok {
				return
			}
			age, err := time.ParseDuration(s)
			if err != nil || age < minRotateAge || age > maxRotateAge {
				d.fail(n, "rotate-age is %.20q: want a duration from %s to %s", s, minRotateAge, maxRotateAge)
				return
			}
			a.RotateAge = age
		}},
		key{"keep", d.integer(&a.Keep, "keep", 1, maxAuditFiles)},
		key{"on-failure", d.text(&a.OnFailure, "on-failure", "refuse or continue", oneOf([]string{"refuse", "continue"}))},
		key{"syslog", d.text(new(string), "syslog", "an address such as tls://log.example.org:6514", func(s string) (err error) {
			a.Syslog.Network, a.Syslog.Address, err = parseSyslog(s)
			return err
		})},
		key{"syslog-ca", d.text(&a.Syslog.CA, "syslog-ca", "a path", notEmpty)},
	)
	if a.Syslog.CA != "" && a.Syslog.Network != "tls" {
		d.fail(n, "syslog-ca has a meaning for a syslog that begins with tls:// only: remove it")
	}
}

func (d *decoder) alerts(n *yaml.Node, a *Alerts) {
	d.mapping(
		n, "alerts",
		key{"webhook", func(n *yaml.Node) {
			w := &a.Webhook
			before := len(d.errs)
			d.mapping(
				n, "webhook",
				key{"url", d.text(&w.URL, "url", "a URL such as https://desk.example.org/hook", checkHTTPS)},
				key{"secret-file", d.text(&w.SecretFile, "secret-file", "a path", notEmpty)},
				key{"ca", d.text(&w.CA, "ca", "a path", notEmpty)},
			)
			if len(d.errs) == before && (w.URL == "" || w.SecretFile == "") {
				d.fail(n, "webhook lacks its url or its secret-file: name both, so that the receiver can tell our messages from others")
			}
		}},
		key{"sensitive", func(n *yaml.Node) {
			d.list(n, "sensitive", maxListItems, func(n *yaml.Node) {
				var stream string
				d.text(&stream, "stream", "a stream's name", func(s string) error { _, err := media.ParseStreamID(s); return err })(n)
				a.Sensitive = append(a.Sensitive, stream)
			})
		}},
		key{"open", d.text(new(string), "open", "hours of the day such as 8-18", func(s string) (err error) {
			a.OpenFrom, a.OpenUntil, err = parseHours(s)
			return err
		})},
		key{"walls", func(n *yaml.Node) {
			d.list(n, "walls", maxListItems, func(n *yaml.Node) {
				var subject string
				d.text(&subject, "wall", "a subject", func(s string) error {
					if s == "" {
						return errors.New("it is empty: name somebody or leave it out")
					}
					return nil
				})(n)
				a.Walls = append(a.Walls, subject)
			})
		}},
	)
}

// parseHours reads two hours of a day: 8-18.
func parseHours(s string) (from, until int, err error) {
	a, b, _ := strings.Cut(s, "-")
	from, errFrom := strconv.Atoi(a)
	until, errUntil := strconv.Atoi(b)
	if errFrom != nil || errUntil != nil || from < 0 || until > 24 || from >= until {
		return 0, 0, fmt.Errorf("%.20q is no span of hours: write the first and the last, such as 8-18", s)
	}
	return from, until, nil
}

// parseSize reads bytes from low to high: 64M, 512k or 67108864; k, M and G are powers of 1,024.
func parseSize(s string, low, high int) (int, error) {
	m := sizeGrammar.FindStringSubmatch(s)
	if m == nil {
		return 0, errors.New("want bytes such as 64M, 512k or 67108864")
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0, err
	}
	shift := map[string]int{"": 0, "k": 10, "M": 20, "G": 30}[m[2]]
	if n > high>>shift || n<<shift < low {
		return 0, fmt.Errorf("want from %dk to %dM", low>>10, high>>20)
	}
	return n << shift, nil
}

// parseSyslog reads unix:///dev/log, tcp://host:port and tls://host:port.
func parseSyslog(s string) (network, address string, err error) {
	want := errors.New("want unix:///dev/log, tcp://host:port or tls://host:port")
	network, address, ok := strings.Cut(s, "://")
	switch {
	case !ok:
		return "", "", want
	case network == "unix" && strings.HasPrefix(address, "/"):
		return network, address, nil
	case network == "tcp" || network == "tls":
		host, port, err := net.SplitHostPort(address)
		if n, portErr := strconv.Atoi(port); err != nil || portErr != nil || n < 1 || n > 65535 || checkHost(host) != nil {
			return "", "", want
		}
		return network, address, nil
	}
	return "", "", want
}

func (d *decoder) streams(n *yaml.Node, streams *[]Stream) {
	if n.Kind == yaml.MappingNode && len(n.Content) > 2*maxStreams {
		d.fail(n, "streams has %d members: at most %d are allowed", len(n.Content)/2, maxStreams)
		return
	}
	d.members(n, "streams", func(k, v *yaml.Node) {
		id, err := media.ParseStreamID(k.Value)
		if err != nil {
			d.fail(k, "%v", err)
		}
		*streams = append(*streams, d.stream(v, id))
	})
}

func (d *decoder) stream(n *yaml.Node, id media.StreamID) Stream {
	s := Stream{ID: id, Origin: OriginFile}
	what := fmt.Sprintf("stream %.80s", id)
	var source, renditions *yaml.Node
	before := len(d.errs)
	d.mapping(
		n, what,
		key{"source", func(n *yaml.Node) {
			source = n
			d.text(new(string), "source", "a URL such as rtsp://10.0.0.5/stream1", func(text string) (err error) {
				s.Source, err = ParseSource(text)
				return err
			})(n)
		}},
		key{"publish", d.boolean(&s.Publish, "publish")},
		key{"groups", d.texts(&s.Groups, "group", "a name such as outside", checkGroup)},
		key{"renditions", func(n *yaml.Node) {
			renditions = n
			s.Renditions = d.renditions(n)
		}},
	)
	switch {
	case n.Kind != yaml.MappingNode || len(d.errs) > before && source == nil && !s.Publish:
		// what is wrong has been said
	case source != nil && s.Publish:
		d.fail(n, "%s has both a source and publish: keep one", what)
	case source == nil && !s.Publish:
		d.fail(n, "%s has no pictures: give it a source, or publish: true", what)
	case s.Publish && renditions != nil:
		d.fail(renditions, "%s is published from elsewhere: its publisher chooses the renditions; remove them here", what)
	}
	if s.Source.IsZero() {
		s.Renditions = nil
	}
	return s
}

// checkGroup accepts what people call a group of streams: up to 64 visible characters.
func checkGroup(s string) error {
	if s != strings.TrimSpace(s) || s == "" || utf8.RuneCountInString(s) > maxGroupRunes || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%.80q is no group: want up to %d visible characters", s, maxGroupRunes)
	}
	return nil
}

func (d *decoder) renditions(n *yaml.Node) (out []Rendition) {
	names := map[string]int{}
	d.list(n, "renditions", maxRenditions, func(n *yaml.Node) {
		r, ok := d.rendition(n)
		if !ok {
			return
		}
		if first, twice := names[r.Name]; twice {
			d.fail(n, "rendition %q stands twice, first in line %d: give each its own name", r.Name, first)
		}
		names[r.Name] = n.Line
		out = append(out, r)
	})
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		d.fail(n, "renditions is an empty list: name at least one, or leave it out for the defaults")
	}
	return out
}

func (d *decoder) rendition(n *yaml.Node) (Rendition, bool) {
	before := len(d.errs)
	var name, codec string
	// Which defaults hold depends on the codec, which may stand last: read the others after it.
	var later []func(*Rendition)
	of := func(what string, read func(*Rendition, *yaml.Node)) func(*yaml.Node) {
		return func(n *yaml.Node) {
			later = append(later, func(r *Rendition) {
				if r.Passthrough {
					d.fail(n, "%s has no meaning for the source's own coding: remove it", what)
					return
				}
				read(r, n)
			})
		}
	}
	h264Only := func(what string, read func(*Rendition, *yaml.Node)) func(*yaml.Node) {
		return of(what, func(r *Rendition, n *yaml.Node) {
			if r.Codec != media.CodecH264 {
				d.fail(n, "%s has no meaning for %s: remove it", what, r.Codec)
				return
			}
			read(r, n)
		})
	}
	d.mapping(
		n, "rendition",
		key{"name", d.text(&name, "name", "a short name such as 720p", func(s string) error {
			if !renditionName.MatchString(s) {
				return fmt.Errorf("%.40q is no rendition name: want up to 32 of a-z 0-9 -, beginning with a-z or 0-9", s)
			}
			return nil
		})},
		key{"codec", d.text(&codec, "codec", "h264, jpeg or source", oneOf(codecs()))},
		key{"height", of("height", func(r *Rendition, n *yaml.Node) {
			d.integer(&r.Height, "height", minHeight, maxHeight)(n)
			if r.Height%2 != 0 {
				d.fail(n, "height is %d: want an even number, best a multiple of 16", r.Height)
			}
		})},
		key{"fps", of("fps", func(r *Rendition, n *yaml.Node) { d.number(&r.FrameRateMilli, n, "fps", parseRate) })},
		key{"bitrate", h264Only("bitrate", func(r *Rendition, n *yaml.Node) { d.number(&r.BitrateBps, n, "bitrate", parseBitrate) })},
		key{"preset", h264Only("preset", func(r *Rendition, n *yaml.Node) {
			d.text(&r.Preset, "preset", "the name of an x264 preset", oneOf(presets()))(n)
		})},
		key{"encoder", h264Only("encoder", func(r *Rendition, n *yaml.Node) {
			d.text(&r.Encoder, "encoder", "the name of an encoder", oneOf(encoders()))(n)
		})},
	)
	if len(d.errs) == before {
		for _, missing := range []struct{ key, value string }{{"name", name}, {"codec", codec}} {
			if missing.value == "" {
				d.fail(n, "rendition has no %s: add it", missing.key)
			}
		}
	}
	if len(d.errs) > before {
		return Rendition{}, false
	}
	var r Rendition
	switch codec {
	case passthrough:
		r = Rendition{Name: name, Passthrough: true}
	case media.CodecJPEG.String():
		r = defaultRendition(name, media.CodecJPEG)
	default:
		r = defaultRendition(name, media.CodecH264)
	}
	for _, read := range later {
		read(&r)
	}
	return r, true
}

// number reads a quantity that may be written as a number or, with a unit, as text.
func (d *decoder) number(to *int, n *yaml.Node, what string, parse func(string) (int, error)) {
	s, ok := d.scalar(n, what, "a number", "!!int", "!!float", "!!str")
	if !ok {
		return
	}
	v, err := parse(s)
	if err != nil {
		d.fail(n, "%s is %.20q: %v", what, s, err)
		return
	}
	*to = v
}

// parseBitrate reads bits a second: 2500k, 2.5M or 2500000.
func parseBitrate(s string) (int, error) {
	m := bitrateGrammar.FindStringSubmatch(s)
	if m == nil {
		return 0, errors.New("want bits a second such as 2500k, 2.5M or 2500000")
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, err
	}
	switch m[2] {
	case "k":
		f *= 1e3
	case "M":
		f *= 1e6
	}
	if f < minBitrateBps || f > maxBitrateBps {
		return 0, fmt.Errorf("want from %dk to %dM", minBitrateBps/1000, maxBitrateBps/1_000_000)
	}
	return int(math.Round(f)), nil
}

// parseRate reads frames a second, in thousandths: 30, 29.97 or 30000/1001.
func parseRate(s string) (int, error) {
	m := rateGrammar.FindStringSubmatch(s)
	if m == nil {
		return 0, errors.New("want frames a second such as 30, 29.97 or 30000/1001")
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, err
	}
	if m[2] != "" {
		by, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return 0, err
		}
		f /= by // by zero: infinite, or no number, and out of bounds below
	}
	milli := math.Round(f * 1000)
	if !(milli >= minRateMilli && milli <= maxRateMilli) {
		return 0, fmt.Errorf("want from %g to %g frames a second", minRateMilli/1000.0, maxRateMilli/1000.0)
	}
	return int(milli), nil
}

func notEmpty(s string) error {
	if strings.TrimSpace(s) == "" {
		return errors.New("it is empty: name a path or leave the key out")
	}
	return nil
}

func oneOf(names []string) func(string) error {
	return func(s string) error {
		if slices.Contains(names, s) {
			return nil
		}
		return fmt.Errorf("%.40q is unknown%s: want %s", s, didYouMean(s, names), orList(names))
	}
}

func checkHost(s string) error {
	if net.ParseIP(s) == nil && !isHostname(s) {
		return fmt.Errorf("%.80q is no host: write a name in lower case or an IP address, without port and scheme", s)
	}
	return nil
}

// checkOrigin accepts an origin exactly as browsers send it (RFC 6454, section 6.2), so that it can be
// compared byte for byte. Without TLS only this machine's own pages show video: browsers count them as secure.
func checkOrigin(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || s != u.Scheme+"://"+u.Host {
		return fmt.Errorf("%.80q is no origin: write https://host or https://host:port, with nothing behind it", s)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%.80q is not secure, so browsers show no video there: write https://, or http://localhost for this machine's own pages", s)
	}
	if net.ParseIP(u.Hostname()) == nil && !isHostname(u.Hostname()) {
		return fmt.Errorf("%.80q is no origin: write the host in lower case, without wildcards", s)
	}
	switch port := u.Port(); {
	case port == "443" && u.Scheme == "https", port == "80" && u.Scheme == "http":
		return fmt.Errorf("%.80q: leave out :%s, as browsers do", s, port)
	case strings.HasSuffix(u.Host, ":"):
		return fmt.Errorf("%.80q ends with a colon: remove it", s)
	case port != "":
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port {
			return fmt.Errorf("%.80q: want a port from 1 to 65535", s)
		}
	}
	return nil
}

func orList(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
