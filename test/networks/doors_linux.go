package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sightline/internal/watch"
)

// straight is the server's own door.
func (b *bench) straight() door {
	return door{"https://" + serverIP + ":8443", filepath.Join(b.dir, "ca.pem")}
}

// haproxy takes TLS in front of the server, as many installations have it: it buffers, and its side of the network is all
// that the server's TCP sees.
const haproxy = `global
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
frontend viewers
  bind %[1]s:9443 ssl crt %[2]s alpn http/1.1
  http-request set-header Host %[1]s:8443
  default_backend sightline
backend sightline
  server sightline %[1]s:8443 ssl verify required ca-file %[3]s alpn http/1.1
`

// proxy starts HAProxy beside the server and gives the door it opens.
func (b *bench) proxy(ctx context.Context) (at door, stop func() error, err error) {
	at = door{"https://" + serverIP + ":9443", filepath.Join(b.dir, "proxy-ca.pem")}
	bundle, config := filepath.Join(b.dir, "proxy.pem"), filepath.Join(b.dir, "haproxy.cfg")
	if err := selfSigned(bundle, at.ca); err != nil {
		return at, nil, err
	}
	text := fmt.Sprintf(haproxy, serverIP, bundle, b.straight().ca)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return at, nil, err
	}
	if err := command(ctx, "haproxy", "-c", "-q", "-f", config); err != nil {
		return at, nil, fmt.Errorf("HAProxy (scripts/setup test installs it): %w", err)
	}
	// It says nothing when it is ready: it is when its port answers.
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", b.net.ns("server"), "haproxy", "-db", "-f", config)
	if err := cmd.Start(); err != nil {
		return at, nil, fmt.Errorf("start haproxy: %w", err)
	}
	stop = func() error {
		err := cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		return err
	}
	for deadline := time.Now().Add(startLimit); ; time.Sleep(50 * time.Millisecond) {
		err := b.net.in(ctx, "server", "bash -c :</dev/tcp/"+serverIP+"/9443")
		if err == nil {
			return at, stop, nil
		}
		if time.Now().After(deadline) {
			return at, nil, errors.Join(fmt.Errorf("haproxy does not answer: %w", err), stop())
		}
	}
}

// selfSigned writes a certificate for the server's address with its key to bundle, and the certificate alone to ca.
func selfSigned(bundle, ca string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "proxy"}, IPAddresses: []net.IP{net.ParseIP(serverIP)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	both := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), public...)
	return errors.Join(os.WriteFile(bundle, both, 0o600), os.WriteFile(ca, public, 0o600))
}

// variant builds the server without some of its rules, by build tags that exist for this alone.
func (b *bench) variant(ctx context.Context, tags string) (path string, err error) {
	path = filepath.Join(b.dir, "sightline-"+tags)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", tags, "-o", path, "./cmd/sightline")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the server with tags %s: %w: %s", tags, err, out)
	}
	// It looks for the capture program beside itself.
	if err := os.Symlink(program("sightline-capture"), filepath.Join(b.dir, "sightline-capture")); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return path, nil
}

// chromium watches in a browser at the slow viewer's place for so long, while steps are played. The pictures are those that
// the page showed, with their ages by the strip in their own pixels; times count from when the page was at its best.
func (b *bench) chromium(ctx context.Context, d time.Duration, steps []step) (run, error) {
	if err := b.net.reset(ctx); err != nil {
		return run{}, err
	}
	out, err := exec.CommandContext(ctx, "ip", "netns", "exec", b.net.ns("server"), program("sightline"), "link",
		"--server", b.straight().origin, "--data-dir", b.dir).Output()
	if err != nil {
		return run{}, fmt.Errorf("make a login link: %w", err)
	}
	link, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	file := filepath.Join(b.dir, "chromium.jsonl")
	ready := func(line string) bool { return line == "ready" }
	browser, err := b.start(ctx, slow, ready, "node", filepath.Join("test", "networks", "browser.mjs"),
		link, b.straight().ca, file, fmt.Sprint(d.Milliseconds()))
	if err != nil {
		return run{}, err
	}
	start := time.Now()
	stop := b.sampling(ctx, start)
	err = errors.Join(play(ctx, start, steps), browser.wait())
	samples := stop()
	if err != nil {
		return run{}, err
	}
	var s seen
	s.pictures, err = readLines[watch.Picture](file)
	r := newRun(start, s)
	b.told = r.over(samples)
	if b.trace {
		r.print(b.out)
	}
	return r, err
}

// readLines reads a file of one JSON value a line.
func readLines[T any](file string) ([]T, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var list []T
	for d := json.NewDecoder(f); d.More(); {
		var v T
		if err := d.Decode(&v); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		list = append(list, v)
	}
	return list, nil
}
