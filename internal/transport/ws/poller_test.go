//go:build linux

package ws_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/transport"
	"sightline/internal/transport/transporttest"
	"sightline/internal/transport/ws"
)

// poller runs one for as long as the test.
func poller(t *testing.T) *ws.Poller {
	t.Helper()
	p := ws.NewPoller(time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx, func() {}) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return p
}

// watched reads what a poller heard.
type watched struct {
	*ws.Conn
	heard chan heard
	err   error
}

type heard struct {
	message []byte
	err     error
}

func watch(t *testing.T, p *ws.Poller, c *ws.Conn) *watched {
	t.Helper()
	w := &watched{Conn: c, heard: make(chan heard, 1000)}
	if !c.Watch(p, func(message []byte, err error) { w.heard <- heard{bytes.Clone(message), err} }) {
		t.Fatal("the connection cannot be watched")
	}
	return w
}

func (w *watched) ReadMessage() ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	h := <-w.heard
	w.err = h.err
	return h.message, h.err
}

// numbered is a message that the next one differs from, and framedNumbered the same behind its frame header.
func numbered(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 8000) }

func framedNumbered(i int) []byte {
	m := numbered(i)
	return append(ws.AppendFrameHeader(nil, len(m)), m...)
}

// readNumbered reads the first n, and tells whether they are.
func readNumbered(c transport.Conn, n int) <-chan error {
	read := make(chan error, 1)
	go func() {
		for i := range n {
			got, err := c.ReadMessage()
			if err == nil && !bytes.Equal(got, numbered(i)) {
				err = fmt.Errorf("message %d is not what was sent", i)
			}
			if err != nil {
				read <- err
				return
			}
		}
		read <- nil
	}()
	return read
}

// A client that answers each message does not have the server wait for TCP's own answer.
func TestPoller_ClientsAcknowledgeWhatTheyRead(t *testing.T) {
	p := poller(t)
	s, conns := server(t, ws.Options{ReadLimit: transporttest.Limit})
	client, err := dial(t, s, "/")
	if err != nil {
		t.Fatal(err)
	}
	watched, peer := watch(t, p, client), <-conns
	defer func() { _ = client.Close(transport.CodeNormal, ""); _ = peer.Close(transport.CodeNormal, "") }()
	for i := range 20 {
		if err := peer.WriteMessage(numbered(i)); err != nil {
			t.Fatal(err)
		}
		if _, err := watched.ReadMessage(); err != nil {
			t.Fatal(err)
		}
		if err := client.WriteMessage([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if quick, err := client.QuickAck(); err != nil || !quick {
			t.Fatalf("message %d: quick is %t, %v", i, quick, err)
		}
	}
}

func TestPoller_ReadsAsConnDoes(t *testing.T) {
	for _, name := range []string{"server", "client", "both"} {
		t.Run(name, func(t *testing.T) {
			transporttest.Run(t, func(t *testing.T) (transport.Conn, transport.Conn) {
				p := poller(t)
				s, conns := server(t, ws.Options{ReadLimit: transporttest.Limit})
				client, err := dial(t, s, "/")
				if err != nil {
					t.Fatal(err)
				}
				var a, b transport.Conn = <-conns, client
				if name != "client" {
					a = watch(t, p, a.(*ws.Conn))
				}
				if name != "server" {
					b = watch(t, p, client)
				}
				if name == "client" {
					a, b = b, a
				}
				return a, b
			})
		})
	}
}

func TestPoller_BytesInAnyPieces(t *testing.T) {
	p := poller(t)
	s, conns := server(t, ws.Options{ReadLimit: 256})
	raw, err := tls.Dial("tcp", s.Listener.Addr().String(), clientTLS(s))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	if _, err := io.WriteString(raw, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: "+protocol+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	conn := watch(t, p, <-conns)
	// Three messages, of which the second comes in two frames with a ping between; each byte in a TLS record of its own.
	for _, b := range []byte("\x82\x81\x00\x00\x00\x00x" + "\x02\x81\x00\x00\x00\x00y" + "\x89\x82\x00\x00\x00\x00hi" + "\x80\x81\x00\x00\x00\x00z" + "\x82\x81\x00\x00\x00\x00w") {
		if _, err := raw.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"x", "yz", "w"} {
		if got, err := conn.ReadMessage(); err != nil || string(got) != want {
			t.Fatalf("got %q, error %v, want %q", got, err, want)
		}
	}
	// A ping alone is answered, with nothing behind it.
	if _, err := io.WriteString(raw, "\x89\x82\x00\x00\x00\x00ho"); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for buf := make([]byte, 256); !bytes.Contains(got, []byte("\x8a\x02ho")); {
		n, err := raw.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
	if !bytes.Contains(got, []byte("\x8a\x02hi")) {
		t.Errorf("the first ping was not answered: %q", got)
	}
	// And what breaks the rules ends it, with a reason.
	if _, err := io.WriteString(raw, "\x82\x01x"); err != nil {
		t.Fatal(err)
	}
	_, err = conn.ReadMessage()
	var closed *transport.CloseError
	if !errors.As(err, &closed) || closed.Code != transport.CodeProtocol || closed.Remote {
		t.Errorf("without a mask: %v", err)
	}
	answer, err := io.ReadAll(raw)
	if err != nil || !bytes.Contains(answer, []byte{byte(transport.CodeProtocol >> 8), byte(transport.CodeProtocol & 0xff)}) {
		t.Errorf("the peer reads %q, %v", answer, err)
	}
}

func TestPoller_ASilentPeerIsCut(t *testing.T) {
	p := poller(t)
	s, conns := server(t, ws.Options{ReadLimit: 256, IdleTimeout: 50 * time.Millisecond})
	client, err := dial(t, s, "/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close(transport.CodeNormal, "") }()
	_, err = watch(t, p, <-conns).ReadMessage()
	var closed *transport.CloseError
	if !errors.As(err, &closed) || closed.Code != transport.CodeUnresponsive {
		t.Errorf("got %v, want code %d", err, transport.CodeUnresponsive)
	}
}

func TestPoller_APeerThatDoesNotAnswerTheGoodbyeIsCut(t *testing.T) {
	p := poller(t)
	s, conns := server(t, ws.Options{ReadLimit: 256})
	client, err := dial(t, s, "/") // and does not read
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close(transport.CodeNormal, "") }()
	conn := watch(t, p, <-conns)
	if err := conn.Close(transport.CodeGoingAway, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ReadMessage(); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("got %v, want %v", err, transport.ErrClosed)
	}
}

func TestPoller_WhoWritesWaitsForTheNetwork(t *testing.T) {
	p := poller(t)
	s, conns := server(t, ws.Options{ReadLimit: transporttest.Limit, WriteTimeout: time.Minute})
	client, err := dial(t, s, "/")
	if err != nil {
		t.Fatal(err)
	}
	conn := watch(t, p, <-conns)
	defer func() { _ = client.Close(transport.CodeNormal, ""); _ = conn.Close(transport.CodeNormal, "") }()
	const n = 2000
	var read <-chan error
	waited := false
	for i := range n {
		if sent, whole := conn.TryWriteFramed(framedNumbered(i)); sent && whole {
			continue
		} else if !sent {
			t.Fatalf("message %d was not sent though nothing was left", i)
		}
		if !waited {
			waited = true
			read = readNumbered(client, n) // only now does anybody read
		}
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if !waited {
		t.Fatal("the network took everything: nothing was tried")
	}
	if err := <-read; err != nil {
		t.Fatal(err)
	}
}

func TestPoller_AWriterThatWaitsIsFreedByClose(t *testing.T) {
	p := poller(t)
	s, conns := server(t, ws.Options{ReadLimit: transporttest.Limit})
	client, err := dial(t, s, "/") // and does not read
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close(transport.CodeNormal, "") }()
	conn := watch(t, p, <-conns)
	written := make(chan error, 1)
	begun := make(chan struct{}, 1)
	go func() {
		for {
			if err := conn.WriteMessage(make([]byte, 8<<10)); err != nil {
				written <- err
				return
			}
			select {
			case begun <- struct{}{}:
			default:
			}
		}
	}()
	<-begun
	_ = conn.Close(transport.CodeGoingAway, "")
	if err := <-written; !errors.Is(err, transport.ErrClosed) {
		t.Errorf("got %v, want %v", err, transport.ErrClosed)
	}
	if _, err := conn.ReadMessage(); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("the reader got %v, want %v", err, transport.ErrClosed)
	}
}

// TestPoller_Turns holds that turn is called after each Poke, before there is a connection and after.
func TestPoller_Turns(t *testing.T) {
	turns := make(chan struct{})
	p := ws.NewPoller(time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		_ = p.Run(ctx, func() {
			select {
			case turns <- struct{}{}:
			case <-ctx.Done():
			}
		})
	})
	defer running.Wait()
	defer cancel()
	p.Poke()
	<-turns
	s, conns := server(t, ws.Options{ReadLimit: 256})
	client, err := dial(t, s, "/")
	if err != nil {
		t.Fatal(err)
	}
	conn := watch(t, p, <-conns)
	for range 3 {
		p.Poke()
		<-turns
	}
	go func() {
		for {
			select {
			case <-turns:
			case <-ctx.Done():
				return
			}
		}
	}()
	_, _ = client.Close(transport.CodeNormal, ""), conn.Close(transport.CodeNormal, "")
	for err = nil; err == nil; {
		_, err = conn.ReadMessage()
	}
}

func TestPoller_AGoodbyeThatMeetsWatchIsSaid(t *testing.T) {
	p := poller(t)
	s, conns := server(t, ws.Options{ReadLimit: 256})
	for range 50 {
		client, err := dial(t, s, "/")
		if err != nil {
			t.Fatal(err)
		}
		conn := <-conns
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			_ = conn.Close(transport.CodeExpired, "time is up")
		}()
		w := watch(t, p, conn)
		_, err = client.ReadMessage()
		var told *transport.CloseError
		if !errors.As(err, &told) || told.Code != transport.CodeExpired {
			t.Fatalf("the peer read %v, want code %d", err, transport.CodeExpired)
		}
		<-closed
		if _, err := w.ReadMessage(); !errors.Is(err, transport.ErrClosed) {
			t.Fatalf("got %v, want %v", err, transport.ErrClosed)
		}
	}
}

func TestPoller_APanicCostsOneConnection(t *testing.T) {
	p := poller(t)
	s, conns := server(t, ws.Options{ReadLimit: 256})
	bad, err := dial(t, s, "/")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	if !(<-conns).Watch(p, func(_ []byte, err error) {
		if err == nil {
			panic("of a test")
		}
		ended <- err
	}) {
		t.Fatal("the connection cannot be watched")
	}
	good, err := dial(t, s, "/")
	if err != nil {
		t.Fatal(err)
	}
	conn := watch(t, p, <-conns)
	for _, c := range []*ws.Conn{bad, good} {
		if err := c.WriteMessage([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; !strings.Contains(err.Error(), "of a test") || !strings.Contains(err.Error(), "poller_test.go") {
		t.Errorf("the session ends by %v", err)
	}
	_, err = bad.ReadMessage()
	var told *transport.CloseError
	if !errors.As(err, &told) || told.Code != transport.CodeInternal || strings.Contains(told.Reason, "of a test") {
		t.Errorf("the peer is told %v", err)
	}
	if got, err := conn.ReadMessage(); err != nil || string(got) != "x" {
		t.Errorf("the other connection reads %q, %v", got, err)
	}
	_, _ = good.Close(transport.CodeNormal, ""), conn.Close(transport.CodeNormal, "")
	for err = nil; err == nil; {
		_, err = conn.ReadMessage()
	}
}

func TestTryWriteFramed_NeverWaitsAndLosesNothing(t *testing.T) {
	s, conns := server(t, ws.Options{ReadLimit: transporttest.Limit})
	client, err := dial(t, s, "/")
	if err != nil {
		t.Fatal(err)
	}
	conn := <-conns
	if ok, _ := conn.TryWriteFramed(ws.AppendFrameHeader(nil, 0)); ok {
		t.Error("sent without waiting before anybody watched")
	}
	watch(t, poller(t), conn)
	defer func() { _ = client.Close(transport.CodeNormal, ""); _ = conn.Close(transport.CodeNormal, "") }()
	if sent, _ := conn.TryWriteFramed(framedNumbered(0)); !sent {
		t.Fatal("nothing was sent to a viewer that takes all")
	}
	sent := 1
	for { // nobody reads: the network is full at some time
		ok, whole := conn.TryWriteFramed(framedNumbered(sent))
		if !ok {
			break
		}
		sent++
		if !whole {
			if ok, _ := conn.TryWriteFramed(framedNumbered(sent)); ok {
				t.Fatal("a message was sent behind a part of another")
			}
			break
		}
	}
	read := readNumbered(client, sent+2)
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if ok, _ := conn.TryWriteFramed(framedNumbered(sent)); !ok {
		t.Error("nothing was sent after Flush")
	}
	if err := conn.WriteFramed(framedNumbered(sent + 1)); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(transport.CodeNormal, "")
	if ok, _ := conn.TryWriteFramed(framedNumbered(0)); ok {
		t.Error("sent after Close")
	}
}
