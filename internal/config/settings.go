package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Place is where a value was said.
type Place struct {
	Origin Origin
	Where  string // file:line, or the name of a variable or flag
}

// Setting is one value of a configuration as people are shown it.
type Setting struct {
	Name   string // its key in a configuration file, with those above it: limits.viewers
	Value  string // as it is written there, without anything secret; "" for none
	Origin Origin
	Where  string // as in Place; "" for a default

	value any // all of it, to be compared
}

// Change is a setting that differs between two configurations. From and To are the same where they differ in what is not shown.
type Change struct{ Name, From, To string }

// placesOf tells where the keys of a file stand, each under its name and those above it.
func placesOf(file string, root *yaml.Node) map[string]Place {
	places := map[string]Place{}
	var walk func(prefix string, n *yaml.Node)
	walk = func(prefix string, n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			places[prefix+key.Value] = Place{OriginFile, fmt.Sprintf("%s:%d", filepath.Base(file), key.Line)}
			walk(prefix+key.Value+".", n.Content[i+1])
		}
	}
	walk("", root)
	return places
}

// Settings lists all there is to configure, with where each value comes from: what concerns the whole server, then the streams.
func (c *Config) Settings() []Setting {
	var list []Setting
	add := func(name, shown string, value any) {
		s := Setting{Name: name, Value: shown, Origin: OriginDefault, value: value}
		if p, said := c.Places[name]; said {
			s.Origin, s.Where = p.Origin, p.Where
		}
		list = append(list, s)
	}
	text := func(name, s string) { add(name, s, s) }
	number := func(name string, n int) { add(name, strconv.Itoa(n), n) }
	several := func(name string, l []string) { add(name, strings.Join(l, " "), l) }

	text("listen", c.Listen)
	text("data-dir", c.DataDir)
	several("hosts", c.Hosts)
	several("proxies", texts(c.Proxies, netip.Prefix.String))
	text("tls.cert", c.TLS.Cert)
	text("tls.key", c.TLS.Key)
	several("tls.acme.domains", c.TLS.ACME.Domains)
	text("tls.acme.email", c.TLS.ACME.Email)
	text("tls.acme.directory", c.TLS.ACME.Directory)
	text("tls.acme.ca", c.TLS.ACME.CA)
	add("tls.acme.accept-terms", shownIf(len(c.TLS.ACME.Domains) > 0, "true"), len(c.TLS.ACME.Domains) > 0)
	several("auth.origins", c.Auth.Origins)
	add("auth.session-ttl", shownTime(c.Auth.SessionTTL), c.Auth.SessionTTL)
	add("auth.publish-ttl", shownTime(c.Auth.PublishTTL), c.Auth.PublishTTL)
	add("auth.issuers", strings.Join(texts(c.Auth.Issuers, func(i Issuer) string { return i.Name + "=" + i.Issuer }), " "), c.Auth.Issuers)
	add("auth.oidc", shownIf(c.Auth.OIDC.Name != "", c.Auth.OIDC.Name+"="+c.Auth.OIDC.Issuer.Issuer), c.Auth.OIDC)
	text("auth.publisher-certificates.ca", c.Auth.Certificates.CA)
	add("auth.publisher-certificates.required", strconv.FormatBool(c.Auth.Certificates.Required), c.Auth.Certificates.Required)
	add("auth.publisher-certificates.without-token", strconv.FormatBool(c.Auth.Certificates.WithoutToken), c.Auth.Certificates.WithoutToken)
	add("auth.publisher-certificates.streams", counted(len(c.Auth.Certificates.Streams)), c.Auth.Certificates.Streams)
	add("policy-tests", counted(len(c.Policy)), c.Policy)
	number("limits.viewers", c.Limits.Viewers)
	number("limits.viewers-per-stream", c.Limits.ViewersPerStream)
	add("padding", shownSize(c.Padding), c.Padding)
	text("audit.path", c.Audit.Path)
	add("audit.rotate-size", shownSize(c.Audit.RotateBytes), c.Audit.RotateBytes)
	add("audit.rotate-age", shownTime(c.Audit.RotateAge), c.Audit.RotateAge)
	number("audit.keep", c.Audit.Keep)
	text("audit.on-failure", c.Audit.OnFailure)
	add("audit.syslog", shownIf(c.Audit.Syslog.Network != "", c.Audit.Syslog.Network+"://"+c.Audit.Syslog.Address), c.Audit.Syslog)
	text("audit.syslog-ca", c.Audit.Syslog.CA)
	add("alerts.webhook.url", shownURL(c.Alerts.Webhook.URL), c.Alerts.Webhook.URL)
	text("alerts.webhook.secret-file", c.Alerts.Webhook.SecretFile)
	text("alerts.webhook.ca", c.Alerts.Webhook.CA)
	several("alerts.sensitive", c.Alerts.Sensitive)
	hours := [2]int{c.Alerts.OpenFrom, c.Alerts.OpenUntil}
	add("alerts.open", shownIf(hours != [2]int{}, fmt.Sprintf("%d-%d", hours[0], hours[1])), hours)
	several("alerts.walls", c.Alerts.Walls)
	text("metrics.listen", c.Metrics.Listen)
	text("tracing.endpoint", c.Tracing.Endpoint)
	text("log.level", strings.ToLower(c.Log.Level.String()))
	for _, s := range c.Streams {
		shown := "publish"
		if !s.Publish {
			shown = strings.Join(append([]string{s.Source.String()}, texts(s.Renditions, func(r Rendition) string { return r.Name })...), " ")
		}
		add("streams."+string(s.ID), shown, s)
		list[len(list)-1].Origin = s.Origin
	}
	return list
}

// Changes lists what differs between two configurations, in the order of the settings. What is the default of one and said in the other is no change.
func Changes(from, to Config) []Change {
	was := map[string]Setting{}
	for _, s := range from.Settings() {
		was[s.Name] = s
	}
	var list []Change
	for _, s := range to.Settings() {
		old, known := was[s.Name]
		delete(was, s.Name)
		if !known || !reflect.DeepEqual(old.value, s.value) {
			list = append(list, Change{s.Name, old.Value, s.Value})
		}
	}
	for _, s := range from.Settings() {
		if _, gone := was[s.Name]; gone {
			list = append(list, Change{s.Name, s.Value, ""})
		}
	}
	return list
}

func texts[T any](list []T, text func(T) string) []string {
	var all []string
	for _, v := range list {
		all = append(all, text(v))
	}
	return all
}

func shownIf(is bool, s string) string {
	if is {
		return s
	}
	return ""
}

// counted is how much of something is shown that is too long to be.
func counted(n int) string { return shownIf(n > 0, strconv.Itoa(n)) }

// shownTime is a duration as it is written: 12h, not 12h0m0s.
func shownTime(d time.Duration) string {
	if d == 0 {
		return ""
	}
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// shownSize is a number of bytes as it is written: 64M.
func shownSize(n int) string {
	if n == 0 {
		return ""
	}
	units := []string{"", "k", "M", "G"}
	i := 0
	for ; n%1024 == 0 && i < len(units)-1; i++ {
		n /= 1024
	}
	return strconv.Itoa(n) + units[i]
}

// shownURL is an address without its path and what follows, which receivers of webhooks know their senders by.
func shownURL(s string) string {
	u, err := url.Parse(s)
	if s == "" || err != nil {
		return ""
	}
	if slices.Contains([]string{"", "/"}, u.RequestURI()) {
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + "://" + u.Host + "/***"
}
