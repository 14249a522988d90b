package witness

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sightline/internal/audit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a log that runs, and a witness of it that does not yet.
type site struct {
	log     *audit.Log
	witness *Witness
	path    string
	stop    func() // ends the log, and returns when that is done
}

func newSite(t *testing.T, o Options, queue int) site {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := audit.Open(path, audit.Options{Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))})
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(o, l.Subscribe(queue), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	return site{l, w, path, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}}
}

func (s site) append(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		if err := s.log.Append(context.Background(), audit.Record{Event: "watch", Verdict: audit.Granted, Subject: fmt.Sprint("user-", i)}); err != nil {
			t.Fatal(err)
		}
	}
}

// message is one of RFC 5424 as this room writes it.
var message = regexp.MustCompile(`^<(\d+)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ sightline \d+ audit - (.*)$`)

// fileLines are the record's lines.
func fileLines(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

// wantLines checks that got are the record's lines, each with a head that verify takes.
func wantLines(t *testing.T, path string, got []string) {
	t.Helper()
	want := fileLines(t, path)
	if len(got) != len(want) {
		t.Fatalf("%d messages for %d lines", len(got), len(want))
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	for i := range got {
		m := message.FindStringSubmatch(got[i])
		if m == nil {
			t.Fatalf("no message of RFC 5424: %q", got[i])
		}
		head, line, _ := strings.Cut(m[2], " ")
		if line != want[i] {
			t.Errorf("message %d: %q, want %q", i, line, want[i])
		}
		h, err := audit.ParseHead(head)
		if err != nil {
			t.Fatal(err)
		}
		report, err := audit.Verify(path, audit.VerifyOptions{Keys: []ed25519.PublicKey{key}, Head: &h})
		if err != nil || !report.Sound {
			t.Errorf("head %s: %+v, %v", head, report.Findings, err)
		}
	}
}

func TestRun_SendsEachLineOverTCP(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // the test is over
	received := make(chan []string, 1)
	go func() { received <- receive(listener, 1<<20) }()
	s := newSite(t, Options{Network: "tcp", Address: listener.Addr().String()}, Queue)
	s.append(t, 10)
	s.stop()
	s.witness.Run(context.Background())
	wantLines(t, s.path, <-received)
}

func TestRun_ChecksWhoReceivesOverTLS(t *testing.T) {
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	defer borrowed.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: borrowed.TLS.Certificates, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // the test is over
	received := make(chan []string, 2)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: borrowed.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() { received <- receive(listener, 1<<20) }()
	s := newSite(t, Options{Network: "tls", Address: listener.Addr().String(), CA: ca}, Queue)
	s.append(t, 3)
	s.stop()
	s.witness.Run(context.Background())
	wantLines(t, s.path, <-received)

	go func() { received <- receive(listener, 1<<20) }()
	stranger := newSite(t, Options{Network: "tls", Address: listener.Addr().String()}, Queue) // the system's authorities do not know it
	defer stranger.stop()
	if err := stranger.witness.send(context.Background(), audit.Entry{}); err == nil || stranger.witness.conn != nil {
		t.Errorf("a stranger was told: %v", err)
	}
	if got := <-received; len(got) != 0 {
		t.Errorf("a stranger was told %q", got)
	}
}

// receive reads messages with their lengths before them (RFC 6587) from one connection, at most n.
func receive(listener net.Listener, n int) (messages []string) {
	conn, err := listener.Accept()
	if err != nil {
		return nil
	}
	defer conn.Close() //nolint:errcheck // the test is over
	for r := bufio.NewReader(conn); len(messages) < n; {
		length, err := r.ReadString(' ')
		if err != nil {
			return messages
		}
		size, err := strconv.Atoi(strings.TrimSuffix(length, " "))
		if err != nil {
			return append(messages, err.Error())
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(r, text); err != nil {
			return append(messages, err.Error())
		}
		messages = append(messages, string(text))
	}
	return messages
}

func TestRun_SendsDatagramsToALocalSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "w") // socket paths are short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the test is over
	address := filepath.Join(dir, "log")
	conn, err := net.ListenPacket("unixgram", address)
	if err != nil {
		t.Skipf("no datagram sockets here: %v", err)
	}
	defer conn.Close() //nolint:errcheck // the test is over
	s := newSite(t, Options{Network: "unix", Address: address}, Queue)
	s.append(t, 3)
	s.stop()
	go s.witness.Run(context.Background())
	var got []string
	for range fileLines(t, s.path) {
		text := make([]byte, 64<<10)
		n, _, err := conn.ReadFrom(text)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(text[:n]))
	}
	wantLines(t, s.path, got)
}

func TestRun_SaysWhatWasDropped(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // the test is over
	received := make(chan []string, 1)
	go func() { received <- receive(listener, 1<<20) }()
	const queue = 4
	s := newSite(t, Options{Network: "tcp", Address: listener.Addr().String()}, queue)
	s.append(t, 20) // while nobody reads: the log goes on
	s.stop()
	s.witness.Run(context.Background())
	got := <-received
	dropped := len(fileLines(t, s.path)) - queue
	want := fmt.Sprintf("%d lines before or after this one were dropped", dropped)
	if len(got) != queue+1 || !strings.HasSuffix(got[1], want) || !strings.HasPrefix(got[1], "<108>") {
		t.Errorf("got %q, want one to say %q", got, want)
	}
}

func TestRun_FindsAReceiverThatComesBack(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	received := make(chan []string, 1)
	go func() { received <- receive(listener, 2) }()
	s := newSite(t, Options{Network: "tcp", Address: address}, Queue)
	ended := make(chan struct{})
	go func() { s.witness.Run(context.Background()); close(ended) }()
	s.append(t, 1)
	if first := <-received; len(first) != 2 {
		t.Fatalf("%q", first)
	}
	go func() { received <- receive(listener, 1<<20) }() // the connection broke: the next is taken
	s.append(t, 20)
	s.stop()
	<-ended
	lines := fileLines(t, s.path)
	got := <-received
	if err := listener.Close(); err != nil {
		t.Error(err)
	}
	if len(got) == 0 || !strings.HasSuffix(got[len(got)-1], lines[len(lines)-1]) {
		t.Errorf("after the break: %d messages", len(got))
	}
}

func TestRun_GivesUpWhenToldTo(t *testing.T) {
	s := newSite(t, Options{Network: "unix", Address: filepath.Join(t.TempDir(), "nobody")}, Queue)
	s.append(t, 3)
	s.stop()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.witness.Run(ctx)
}

func TestNew_ReadsTheAuthority(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.pem")
	if _, err := New(Options{Network: "tls", CA: path}, nil, nil); err == nil || !strings.Contains(err.Error(), "syslog-ca") {
		t.Errorf("missing: %v", err)
	}
	if err := os.WriteFile(path, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Network: "tls", CA: path}, nil, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("no certificate: %v", err)
	}
}
