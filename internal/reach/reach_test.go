package reach

import (
	"errors"
	"net"
	"net/netip"
	"testing"
)

func TestAllowed(t *testing.T) {
	for text, want := range map[string]bool{
		"192.168.1.20": true, "10.0.0.5": true, "203.0.113.9": true, "fd00::5": true, "2001:db8::1": true, "64:ff9b::c0a8:101": true,
		"::ffff:192.168.1.20": true,
		"127.0.0.1":           false, "127.8.9.10": false, "::1": false, "::ffff:127.0.0.1": false, "64:ff9b::7f00:1": false, "::7f00:1": false,
		"0.0.0.0": false, "0.1.2.3": false, "::": false, "169.254.169.254": false, "::ffff:169.254.169.254": false,
		"64:ff9b::a9fe:a9fe": false, "fe80::1": false, "fe80::1%eth0": false, "224.0.0.1": false, "239.255.255.250": false,
		"ff02::1": false, "255.255.255.255": false,
	} {
		if got := Allowed(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if Allowed(netip.Addr{}) {
		t.Error("no address is allowed")
	}
}

func TestControl_NoConnectionIsMade(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	d := net.Dialer{Control: Control}
	// All ways of writing it end at the same address, and that is what is looked at.
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1", "0.0.0.0"} {
		conn, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", host, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}
