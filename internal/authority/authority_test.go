package authority_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/authority"
)

// clock is a time in the test's hand.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newClock() *clock { return &clock{time.Now().Truncate(time.Second)} }

func mustOpen(tb testing.TB, dir string, c *clock, hosts ...string) *authority.Authority {
	tb.Helper()
	a, err := authority.Open(dir, hosts, c.now)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func leaf(tb testing.TB, s authority.Source) *x509.Certificate {
	tb.Helper()
	cert, err := s.GetCertificate(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return cert.Leaf
}

// handshake runs a real TLS handshake over a socket and returns the client's view of it, or its error.
func handshake(tb testing.TB, s authority.Source, client *tls.Config) (tls.ConnectionState, error) {
	tb.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", authority.TLSConfig(s))
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, conn) // the client judges
		_ = conn.Close()
	})
	defer wg.Wait()
	defer func() { _ = ln.Close() }()
	conn, err := tls.Dial("tcp", ln.Addr().String(), client)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState(), nil
}

func roots(tb testing.TB, a *authority.Authority) *x509.CertPool {
	tb.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(a.CAPEM()) {
		tb.Fatal("no certificate in CAPEM")
	}
	return pool
}

func TestOpen_MakesPrivateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	a := mustOpen(t, dir, newClock())
	want := map[string]fs.FileMode{".": 0o700, "ca.pem": 0o600, "ca-key.pem": 0o600, "cert.pem": 0o600}
	for name, mode := range want {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != mode {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), mode)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("directory holds %v, %v", entries, err)
	}
	file, err := os.ReadFile(a.CAFile())
	if err != nil || !bytes.Equal(file, a.CAPEM()) || bytes.Contains(file, []byte("PRIVATE")) {
		t.Errorf("CAFile and CAPEM differ, or hold a key: %v", err)
	}
	block, _ := pem.Decode(file)
	sum := sha256.Sum256(block.Bytes)
	if got := strings.ToLower(strings.ReplaceAll(a.Fingerprint(), ":", "")); got != hex.EncodeToString(sum[:]) || !regexp.MustCompile(`^([0-9A-F]{2}:){31}[0-9A-F]{2}$`).MatchString(a.Fingerprint()) {
		t.Errorf("fingerprint %s", a.Fingerprint())
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !ca.IsCA || !ca.MaxPathLenZero || !regexp.MustCompile(`^Sightline CA [a-z0-9]{6}$`).MatchString(ca.Subject.CommonName) {
		t.Errorf("authority: %+v", ca.Subject)
	}
}

func TestHandshake_IsTLS13ForEveryName(t *testing.T) {
	a := mustOpen(t, t.TempDir(), newClock(), "cam.example.org", "192.0.2.7")
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "cam.example.org", "192.0.2.7"} {
		state, err := handshake(t, a, &tls.Config{RootCAs: roots(t, a), ServerName: name, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "http/1.1" || len(state.PeerCertificates) != 2 {
			t.Errorf("%s: version %x, protocol %q, %d certificates", name, state.Version, state.NegotiatedProtocol, len(state.PeerCertificates))
		}
	}
	if _, err := handshake(t, a, &tls.Config{RootCAs: roots(t, a), ServerName: "evil.example.org"}); err == nil {
		t.Error("valid for a foreign name")
	}
	if _, err := handshake(t, a, &tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool()}); err == nil {
		t.Error("valid without the authority")
	}
	if _, err := handshake(t, a, &tls.Config{RootCAs: roots(t, a), ServerName: "localhost", MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 accepted")
	}
}

func TestOpen_KeepsAuthorityAndCertificate(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	one := mustOpen(t, dir, c, "a.example")
	two := mustOpen(t, dir, c, "a.example")
	if one.Fingerprint() != two.Fingerprint() || !leaf(t, one).Equal(leaf(t, two)) {
		t.Error("made anew without need")
	}
	three := mustOpen(t, dir, c, "a.example", "b.example")
	if one.Fingerprint() != three.Fingerprint() || leaf(t, three).Equal(leaf(t, one)) {
		t.Error("a new host must give a new certificate of the same authority")
	}
	if err := leaf(t, three).VerifyHostname("b.example"); err != nil {
		t.Error(err)
	}
}

func TestGetCertificate_RenewsInTime(t *testing.T) {
	c := newClock()
	a := mustOpen(t, t.TempDir(), c)
	start := c.t
	first := leaf(t, a)
	c.t = start.Add(60*24*time.Hour - time.Second)
	if !leaf(t, a).Equal(first) {
		t.Error("renewed with 30 days left")
	}
	c.t = start.Add(60 * 24 * time.Hour)
	second := leaf(t, a)
	if second.Equal(first) || !second.NotAfter.Equal(c.t.Add(90*24*time.Hour)) {
		t.Errorf("not renewed: ends %s", second.NotAfter)
	}
	// In the authority's last days there is nothing longer to issue, and no use in trying at every handshake.
	c.t = start.Add(10*365*24*time.Hour - 24*time.Hour)
	last := leaf(t, a)
	if !leaf(t, a).Equal(last) || last.NotAfter.After(start.Add(10*365*24*time.Hour)) {
		t.Errorf("last certificate ends %s", last.NotAfter)
	}
}

func TestOpen_MendsALostCertificate(t *testing.T) {
	for _, name := range []string{"cert.pem", "ca.pem"} {
		dir, c := t.TempDir(), newClock()
		mustOpen(t, dir, c)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		a := mustOpen(t, dir, c)
		if _, err := handshake(t, a, &tls.Config{RootCAs: roots(t, a), ServerName: "localhost"}); err != nil {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestOpen_RefusesDamage(t *testing.T) {
	other := t.TempDir()
	mustOpen(t, other, newClock())
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(other, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, tt := range []struct{ name, file, content string }{
		{"empty certificate", "ca.pem", ""},
		{"rubbish certificate", "ca.pem", "rubbish"},
		{"broken DER", "ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
		{"another's certificate", "ca.pem", read("ca.pem")},
		{"empty key", "ca-key.pem", ""},
		{"broken key", "ca-key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
		{"another's key", "ca-key.pem", read("ca-key.pem")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			mustOpen(t, dir, newClock())
			if err := os.WriteFile(filepath.Join(dir, tt.file), []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := authority.Open(dir, nil, time.Now)
			if err == nil || !strings.Contains(err.Error(), "sightline trust") || !strings.Contains(err.Error(), filepath.Join(dir, "ca")) {
				t.Errorf("got %v", err)
			}
		})
	}
	dir, c := t.TempDir(), newClock()
	mustOpen(t, dir, c)
	c.t = c.t.Add(10 * 365 * 24 * time.Hour)
	if _, err := authority.Open(dir, nil, c.now); err == nil || !strings.Contains(err.Error(), "ended on") {
		t.Errorf("an authority that has ended: %v", err)
	}
}

// writePair puts a self-signed certificate for name into dir, with modification time mtime.
func writePair(tb testing.TB, dir, name string, notAfter, mtime time.Time) (cert, key string) {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: notAfter.Add(-48 * time.Hour), NotAfter: notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		tb.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(tb, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), mtime)
	write(tb, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), mtime)
	return cert, key
}

func write(tb testing.TB, path string, data []byte, mtime time.Time) {
	tb.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Chtimes(path, mtime, mtime); err != nil {
		tb.Fatal(err)
	}
}

func TestFiles_ReloadsWhatChanges(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	end := c.t.Add(24 * time.Hour)
	cert, key := writePair(t, dir, "one", end, c.t)
	var log strings.Builder
	k, err := authority.Files(cert, key, c.now, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	is := func(want string) {
		t.Helper()
		c.t = c.t.Add(2 * time.Second)
		if got := leaf(t, k).Subject.CommonName; got != want {
			t.Errorf("serves %q, want %q", got, want)
		}
	}
	is("one")
	writePair(t, dir, "two", end, c.t)
	is("two")
	good, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	// Every way to break the files keeps the old certificate, and is told once.
	for i, breakIt := range []func(){
		func() { write(t, cert, []byte("rubbish"), c.t) },
		func() { write(t, cert, nil, c.t) },
		func() { write(t, cert, good[:len(good)/2], c.t) },
		func() {
			if err := os.Remove(cert); err != nil {
				t.Fatal(err)
			}
		},
		func() { // the key of another certificate
			elsewhere := t.TempDir()
			_, other := writePair(t, elsewhere, "three", end, c.t)
			data, err := os.ReadFile(other)
			if err != nil {
				t.Fatal(err)
			}
			write(t, cert, good, c.t)
			write(t, key, data, c.t)
		},
		func() { writePair(t, dir, "ended", c.t, c.t) },
	} {
		log.Reset()
		breakIt()
		is("two")
		is("two")
		is("two")
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("break %d was told %d times: %s", i, n, log.String())
		}
		if strings.Contains(log.String(), "PRIVATE") {
			t.Errorf("break %d shows a key", i)
		}
	}
	writePair(t, dir, "four", end, c.t)
	is("four")
}

func TestFiles_MustBeGoodAtFirst(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	log := slog.New(slog.DiscardHandler)
	if _, err := authority.Files(filepath.Join(dir, "none.pem"), filepath.Join(dir, "none.pem"), c.now, log); err == nil || !strings.Contains(err.Error(), "none.pem") {
		t.Errorf("missing: %v", err)
	}
	cert, key := writePair(t, dir, "ended", c.t, c.t)
	if _, err := authority.Files(cert, key, c.now, log); err == nil || !strings.Contains(err.Error(), "ended on") {
		t.Errorf("ended: %v", err)
	}
	if _, err := authority.Files(key, cert, c.now, log); err == nil {
		t.Error("swapped files accepted")
	}
}

func TestGetCertificate_IsSafeForConcurrentUse(t *testing.T) {
	a := mustOpen(t, t.TempDir(), newClock())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if _, err := a.GetCertificate(nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestOpen_CoversThisMachine(t *testing.T) {
	cert := leaf(t, mustOpen(t, t.TempDir(), newClock()))
	if host, err := os.Hostname(); err == nil && cert.VerifyHostname(host) != nil {
		t.Errorf("not valid for this machine's name %s: %v", host, cert.DNSNames)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range addrs {
		if ip := addr.(*net.IPNet).IP; !ip.IsLinkLocalUnicast() && cert.VerifyHostname(ip.String()) != nil {
			t.Errorf("not valid for this machine's address %s: %v", ip, cert.IPAddresses)
		}
	}
}
