//go:build cgo

package main

import (
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"

	"sightline/internal/sandbox"
)

// Values of --sandbox.
const (
	sandboxAuto    = "auto"
	sandboxRequire = "require"
	sandboxOff     = "off"
)

// portDNS is where names are looked up when the answer is too long for a datagram.
const portDNS = 53

// enterSandbox confines the process to its source and the server, and says in a sentence how far. Outside it returns only errors: the program
// starts again inside, with the same arguments, and finds there in the environment what was read from elsewhere.
func (f *flags) enterSandbox(scheme, address, token string, d door, log *slog.Logger) (string, error) {
	switch f.sandbox {
	case sandboxAuto, sandboxRequire:
	case sandboxOff:
		log.Warn("not confined: a camera that takes this process over has all its rights", "sandbox", f.sandbox)
		return "Not confined: switched off.", nil
	default:
		return "", usagef("--sandbox %q: want auto, require or off", f.sandbox)
	}
	if scheme == "screen" {
		// Who may read an X11 screen may also type into it, which no sandbox of ours could keep apart.
		if f.sandbox == sandboxRequire {
			return "", usagef("--sandbox require: a program that reads an X11 screen cannot be confined; leave it out for this source")
		}
		log.Warn("not confined: a program that reads an X11 screen cannot be", "sandbox", f.sandbox)
		return "Not confined: a program that reads an X11 screen cannot be.", nil
	}
	o := needs(scheme, address)
	o.Require = f.sandbox == sandboxRequire
	o.Env = []string{envSource + "=" + address}
	if tz, ok := os.LookupEnv("TZ"); ok {
		o.Env = append(o.Env, "TZ="+tz)
	}
	if d.url == nil {
		o.Inherit, o.EndWithParent = []int{int(d.fd)}, true
	} else {
		o.Env = append(o.Env, envToken+"="+token)
		connects(&o, d.url, 443)
		if f.ca != "" {
			o.Files = append(o.Files, f.ca)
		}
	}
	report, err := f.confine(o)
	switch {
	case err != nil:
		return "", err
	case !report.Complete():
		log.Warn("confined in part: this system lacks what the sandbox rests on", "sandbox", report)
	default:
		log.Info("confined", "sandbox", report)
	}
	return report.String(), nil
}

// needs is what a source needs to be read. The address is one that capture.ParseSource has accepted.
func needs(scheme, address string) sandbox.Options {
	var o sandbox.Options
	_, rest, _ := strings.Cut(address, ":")
	switch scheme {
	case "file":
		if strings.HasPrefix(rest, "///") {
			rest = rest[2:]
		}
		o.Files = []string{rest}
	case "images":
		path, _, _ := strings.Cut(rest, "?")
		if strings.HasPrefix(path, "///") {
			path = path[2:]
		}
		o.Files = []string{path}
	case "v4l2":
		path, _, _ := strings.Cut(rest, "?")
		o.Devices = []string{path}
	case "rtsp", "rtsps", "http", "https":
		u, err := url.Parse(address)
		if err != nil { // it has been parsed before
			return o
		}
		connects(&o, u, map[string]uint16{"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}[scheme])
		if options, err := url.ParseQuery(u.Fragment); err == nil && options.Get("transport") == "udp" {
			o.Datagrams = true
		}
	}
	return o
}

// connects adds what a connection to u needs: its port, and name look-up if it has a name.
func connects(o *sandbox.Options, u *url.URL, port uint16) {
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		port = uint16(n)
	}
	o.Ports = append(o.Ports, port)
	if _, err := netip.ParseAddr(u.Hostname()); err != nil {
		o.Ports, o.Datagrams = append(o.Ports, portDNS), true
	}
}
