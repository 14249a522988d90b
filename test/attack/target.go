//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	startLimit = 20 * time.Second
	// bulkNetwork is where repeated attempts come from, whose records are told from others by their sum alone; most come from bulkAddress.
	bulkNetwork = "127.32.0."
	bulkAddress = bulkNetwork + "1"
	// helperAddress is where those who are let in prepare what attackers then misuse.
	helperAddress = "127.16.0.1"
	// honestAddress is where honest viewers come from.
	honestAddress = "127.0.0.1"
	// crowdAddress is where many come from at once, some of them honest.
	crowdAddress = "127.48.0.1"
	// manySources stands on record for connections of more sources than are told apart in a second.
	manySources = "::"
	// nothingCame stands for the reasons of connections that ended before a handshake.
	nothingCame = "came to nothing"
)

// configuration is the server's: two streams with a source, one of them in a group, whose pictures cost little; others may be published.
const configuration = `
streams:
  door: {source: "test:?size=320x240&fps=10", renditions: [{name: small, codec: h264, height: 240, fps: 10, bitrate: 200k}, {name: jpeg, codec: jpeg, height: 240, fps: 5}]}
  other: {source: "test:?size=320x240&fps=10"}
  site/door: {source: "test:?size=320x240&fps=10"}
log: {level: debug}
`

// target is a running server.
type target struct {
	dir    string
	host   string // 127.0.0.1:port
	origin string
	tls    *tls.Config
	cookie string // of the operator's session: name=value
	secret *secrets
	key    ed25519.PrivateKey // the server's own: for tokens that are signed well and say what none should
	kid    string

	cmd  *exec.Cmd
	log  string // path of what it logs
	next atomic.Uint32

	mu     sync.Mutex
	tokens map[string]string // by action, pattern and subject; guarded by mu
}

// newTarget starts a server in dir, and logs in.
func newTarget(ctx context.Context, dir string) (*target, error) {
	t := &target{dir: dir, log: filepath.Join(dir, "server.log"), tokens: map[string]string{}, secret: &secrets{}}
	if err := os.WriteFile(filepath.Join(dir, "sightline.yaml"), []byte(configuration), 0o600); err != nil {
		return nil, err
	}
	code, err := t.start(ctx, "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if err := t.logIn(code); err != nil {
		return nil, errors.Join(err, t.stop())
	}
	if t.kid, t.key, err = readKey(dir); err != nil {
		return nil, errors.Join(err, t.stop())
	}
	return t, nil
}

// start runs the server and gives the code of the link it prints.
func (t *target) start(ctx context.Context, listen string) (code string, err error) {
	log, err := os.OpenFile(t.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer log.Close() //nolint:errcheck // the server has its own
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program("sightline"), "serve", "--config", filepath.Join(t.dir, "sightline.yaml"), "--listen", listen, "--data-dir", t.dir)
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start the server: %w", err)
	}
	late := time.AfterFunc(startLimit, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		link, ok := strings.CutPrefix(lines.Text(), "https://")
		if !ok {
			continue
		}
		t.cmd = cmd
		t.host, code, _ = strings.Cut(link, "/#")
		t.origin = "https://" + t.host
		t.secret.add(code)
		authority, err := os.ReadFile(filepath.Join(t.dir, "ca.pem"))
		if err != nil {
			return "", errors.Join(err, t.stop())
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(authority)
		t.tls = &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "127.0.0.1", ClientSessionCache: tls.NewLRUClientSessionCache(64)}
		return code, nil
	}
	said, _ := os.ReadFile(t.log)
	return "", fmt.Errorf("the server ended before it was ready (%w): %s", cmd.Wait(), said)
}

// stop has the server end in order.
func (t *target) stop() error {
	if err := t.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("the server is gone: %w", err)
	}
	if err := t.cmd.Wait(); err != nil {
		return fmt.Errorf("the server ended: %w", err)
	}
	return nil
}

// kill ends the server at once, if it still runs.
func (t *target) kill() {
	if t.cmd.ProcessState == nil {
		_ = t.cmd.Process.Kill()
		_ = t.cmd.Wait()
	}
}

// address is one of which nothing has come yet.
func (t *target) address() string {
	n := t.next.Add(1)
	return fmt.Sprintf("127.%d.%d.%d", 64+n>>16&63, n>>8&255, n&255)
}

// logIn exchanges code for the operator's session.
func (t *target) logIn(code string) error {
	v := newVisitor(t, helperAddress, false)
	defer v.leave()
	a, err := v.ask(request{method: "POST", path: "/api/v1/login", header: []string{"Origin: " + t.origin}, body: fmt.Sprintf(`{"code":%q}`, code)})
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	cookies, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
	if a.status != http.StatusNoContent || err != nil {
		return fmt.Errorf("log in: status %d %s: %w", a.status, a.body, err)
	}
	t.cookie = cookies.Name + "=" + cookies.Value
	t.secret.add(cookies.Value)
	return nil
}

// token is one that the command line makes.
func (t *target) token(ctx context.Context, action, pattern, subject string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := action + " " + pattern + " " + subject
	if token, ok := t.tokens[key]; ok {
		return token, nil
	}
	out, err := exec.CommandContext(ctx, program("sightline"), "token", "--stream", pattern, "--action", action, "--sub", subject, "--ttl", "2h", "--data-dir", t.dir).Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = fmt.Errorf("%w: %s", err, failed.Stderr)
		}
		return "", fmt.Errorf("make a token: %w", err)
	}
	token := strings.TrimSpace(string(out))
	t.tokens[key] = token
	t.secret.add(token)
	return token, nil
}

// readKey reads the newest signing key of a data directory.
func readKey(dir string) (kid string, key ed25519.PrivateKey, err error) {
	out, err := exec.Command(program("sightline"), "token", "--stream", "door", "--sub", "key", "--json", "--data-dir", dir).Output()
	if err != nil {
		return "", nil, fmt.Errorf("make a token: %w", err)
	}
	var made struct {
		Token, KID string
	}
	if err := json.Unmarshal(out, &made); err != nil {
		return "", nil, err
	}
	// Which file holds the key is the server's affair: it is the one whose key made the token.
	signed, signature, _ := cutLast(made.Token, ".")
	sig := decode64(signature)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		block, _ := pem.Decode(data)
		if block == nil || block.Type != "PRIVATE KEY" {
			return nil
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil //nolint:nilerr // not this one
		}
		if k, ok := parsed.(ed25519.PrivateKey); ok && ed25519.Verify(k.Public().(ed25519.PublicKey), []byte(signed), sig) {
			key = k
		}
		return nil
	})
	if err == nil && key == nil {
		err = fmt.Errorf("no key in %s made the token that the command line gave", dir)
	}
	return made.KID, key, err
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// processes are the server and all that it started.
func (t *target) processes() []int {
	pids := []int{t.cmd.Process.Pid}
	for i := 0; i < len(pids); i++ {
		children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i]))
		for _, file := range children {
			list, _ := os.ReadFile(file)
			for word := range strings.FieldsSeq(string(list)) {
				if pid, err := strconv.Atoi(word); err == nil {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids
}

// places are where no secret may stand, once the server has ended: what it logged and recorded.
func (t *target) places() (map[string][]byte, error) {
	found := map[string][]byte{}
	for _, pattern := range []string{"server.log", "audit*"} {
		files, err := filepath.Glob(filepath.Join(t.dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if strings.HasSuffix(file, ".pem") {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			found[filepath.Base(file)] = data
		}
	}
	return found, nil
}

// secrets are all credentials that were ever made, and where they were looked for. Safe for concurrent use.
type secrets struct {
	mu   sync.Mutex
	list []string
	seen map[string]bool
}

// add takes note of a credential. Of a token, the signature is what nobody else can have.
func (s *secrets) add(secret string) {
	if _, signature, ok := cutLast(secret, "."); ok {
		secret = signature
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	if len(secret) >= 16 && !s.seen[secret] {
		s.seen[secret] = true
		s.list = append(s.list, secret)
	}
}

// in gives the first secret that stands in data, by its first letters.
func (s *secrets) in(data []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	// All are made of the alphabet of base64url: words of it are looked up whole.
	for word := range bytes.FieldsFuncSeq(data, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) {
		if s.seen[string(word)] {
			return string(word[:6]) + "…"
		}
	}
	return ""
}

func program(name string) string {
	dir := os.Getenv("SIGHTLINE_BIN")
	if dir == "" {
		dir = "bin"
	}
	return filepath.Join(dir, name)
}

func dialFrom(remote string) *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(remote)}}
}
