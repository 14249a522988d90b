//go:build cgo

package main

import (
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
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

// Environment variables by which an X11 screen is found and its key.
const (
	envDisplay    = "DISPLAY"
	envXAuthority = "XAUTHORITY"
)

// portDNS is where names are looked up when the answer is too long for a datagram.
const portDNS = 53

// enterSandbox confines the process to its source and the server, and says in a sentence how far. Outside it returns only errors: the program
// starts again inside, with the same arguments, and finds there in the environment what was read from elsewhere.
func (f *flags) enterSandbox(scheme, address, token string, encoders []string, d door, log *slog.Logger) (string, error) {
	switch f.sandbox {
	case sandboxAuto, sandboxRequire:
	case sandboxOff:
		log.Warn("not confined: a camera that takes this process over has all its rights", "sandbox", f.sandbox)
		return "Not confined: switched off.", nil
	default:
		return "", usagef("--sandbox %q: want auto, require or off", f.sandbox)
	}
	if scheme == "screen" && f.sandbox == sandboxRequire {
		return "", usagef("--sandbox require: who may read an X11 screen may also type into it, so such a program cannot be confined in full; leave it out for this source")
	}
	o := needs(scheme, address)
	o.Require = f.sandbox == sandboxRequire
	o.Env = append(o.Env, envSource+"="+address)
	addHardware(&o, encoders)
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
		if f.certificate != "" {
			o.Files = append(o.Files, f.certificateFiles(log)...)
		}
	}
	report, err := f.confine(o)
	switch {
	case err != nil:
		return "", err
	case scheme == "screen":
		log.Warn("confined but for the screen: who may read it may also type into it", "sandbox", report)
		return report.String() + " Who may read an X11 screen may also type into it, from which nothing confines it.", nil
	case !report.Complete():
		log.Warn("confined in part: this system lacks what the sandbox rests on", "sandbox", report)
	default:
		log.Info("confined", "sandbox", report)
	}
	return report.String(), nil
}

// certificateFiles are what the sandbox opens so that the client certificate and its key can be read at each connection: the two files, and their
// directories, since a file that takes a renewed one's place by a rename is another one to the kernel. A directory that holds anything but what this agent
// was given stays closed.
func (f *flags) certificateFiles(log *slog.Logger) []string {
	files := []string{f.certificate, f.key}
	for _, dir := range slices.Compact([]string{filepath.Dir(f.certificate), filepath.Dir(f.key)}) {
		entries, err := os.ReadDir(dir)
		other := slices.ContainsFunc(entries, func(e os.DirEntry) bool {
			given := []string{f.certificate, f.key, f.ca, f.tokenFile}
			return !slices.ContainsFunc(given, func(path string) bool { return filepath.Clean(path) == filepath.Join(dir, e.Name()) })
		})
		switch {
		case err == nil && !other:
			files = append(files, dir)
		case !sandbox.Inside(): // it has been said once
			log.Warn("a renewed certificate is read only if it is written into the same files: to replace them, keep --certificate and --key in a directory that holds nothing of others", "dir", dir)
		}
	}
	return files
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
	case "screen":
		name, _, _ := strings.Cut(rest, "?")
		if name == "" {
			name = os.Getenv(envDisplay)
		}
		number, _, _ := strings.Cut(strings.TrimPrefix(name, ":"), ".")
		o.Socket = "/tmp/.X11-unix/X" + number
		o.Env = []string{envDisplay + "=" + name}
		// The key to the screen, where it asks for one.
		if key, ok := os.LookupEnv(envXAuthority); ok {
			o.Env, o.Files = append(o.Env, envXAuthority+"="+key), []string{key}
		} else if home, err := os.UserHomeDir(); err == nil {
			key := filepath.Join(home, ".Xauthority")
			if _, err := os.Stat(key); err == nil {
				o.Env, o.Files = append(o.Env, envXAuthority+"="+key), []string{key}
			}
		}
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

// addHardware adds the devices that hardware encoders are reached by, of those that renditions name. None of them has been tried inside.
func addHardware(o *sandbox.Options, encoders []string) {
	for _, hw := range []struct {
		encoders []string
		nodes    string
		requests []uint8
	}{
		{[]string{"h264_vaapi", "h264_qsv"}, "/dev/dri/renderD*", []uint8{'d'}}, // DRM
		{[]string{"h264_nvenc"}, "/dev/nvidia*", []uint8{'F', 0}},               // NVIDIA's own, and of its unified memory, which has no type
		{[]string{"h264_v4l2m2m"}, "/dev/video*", []uint8{'V'}},                 // V4L2
	} {
		if !slices.ContainsFunc(encoders, func(name string) bool { return name == "auto" || slices.Contains(hw.encoders, name) }) {
			continue
		}
		nodes, err := filepath.Glob(hw.nodes)
		if err != nil || len(nodes) == 0 { // the pattern is good
			continue
		}
		o.Nodes, o.Requests = append(o.Nodes, nodes...), append(o.Requests, hw.requests...)
	}
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
