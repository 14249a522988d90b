package httpd

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestRemote_BelievesOnlyItsProxiesAndOnlyTheLastHopBeforeThem(t *testing.T) {
	s := &Server{}
	s.SetAccess(Access{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}})
	for _, c := range []struct {
		socket    string
		forwarded []string
		want      string
	}{
		{"192.0.2.1:5", nil, "192.0.2.1"},
		{"192.0.2.1:5", []string{"203.0.113.9"}, "192.0.2.1"}, // nobody's proxy
		{"10.0.0.1:5", nil, "10.0.0.1"},
		{"10.0.0.1:5", []string{"203.0.113.9"}, "203.0.113.9"},
		{"10.0.0.1:5", []string{"127.0.0.1, 203.0.113.9"}, "203.0.113.9"},          // the first is the asker's invention
		{"10.0.0.1:5", []string{"198.51.100.1", "203.0.113.9"}, "203.0.113.9"},     // on two lines
		{"10.0.0.1:5", []string{"203.0.113.9, 10.0.0.2, 10.9.9.9"}, "203.0.113.9"}, // a chain of proxies
		{"10.0.0.1:5", []string{"203.0.113.9, evil"}, "10.0.0.1"},                  // no address: the proxy's own
		{"10.0.0.1:5", []string{""}, "10.0.0.1"},
		{"10.0.0.1:5", []string{"10.0.0.7"}, "10.0.0.7"},
		{"[2001:db8::1]:5", []string{"2001:500::1"}, "2001:500::1"},
		{"[::ffff:10.0.0.1]:5", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"@", []string{"203.0.113.9"}, "@"},
	} {
		r := &http.Request{RemoteAddr: c.socket, Header: http.Header{"X-Forwarded-For": c.forwarded}}
		if got := s.remote(r); got != c.want {
			t.Errorf("socket %s, forwarded %q: got %q, want %q", c.socket, c.forwarded, got, c.want)
		}
	}
}
