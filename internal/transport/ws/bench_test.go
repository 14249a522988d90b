package ws_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"sightline/internal/transport"
	"sightline/internal/transport/ws"
)

// pictureBytes is a picture of 2.05 Mbit/s at 30 a second.
const pictureBytes = 8500

// reader takes all that comes over a TLS connection.
func reader(tb testing.TB, conn *tls.Conn) {
	tb.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 64<<10)
		for {
			if _, err := conn.Read(buf); err != nil {
				return
			}
		}
	}()
	tb.Cleanup(func() { _ = conn.Close(); <-ended })
}

// sending is a server's connection whose peer reads all, watched where that can be done.
func sending(tb testing.TB) *ws.Conn {
	tb.Helper()
	conns := make(chan *ws.Conn, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Upgrade(w, r, protocol, ws.Options{})
		if err != nil {
			tb.Errorf("upgrade: %v", err)
			return
		}
		conns <- c
	}))
	s.Listener = ws.Listener{Listener: s.Listener}
	s.StartTLS()
	tb.Cleanup(s.Close)
	client, err := tls.Dial("tcp", s.Listener.Addr().String(), clientTLS(s))
	if err != nil {
		tb.Fatal(err)
	}
	_, err = io.WriteString(client, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: "+protocol+"\r\n\r\n")
	if err != nil {
		tb.Fatal(err)
	}
	reader(tb, client)
	conn := <-conns
	p := ws.NewPoller(time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx, func() {}) })
	tb.Cleanup(func() { cancel(); running.Wait() })
	conn.Watch(p, func([]byte, error) {})
	tb.Cleanup(func() { _ = conn.Close(transport.CodeNormal, "") })
	return conn
}

func framed() []byte {
	return append(ws.AppendFrameHeader(nil, pictureBytes), bytes.Repeat([]byte{7}, pictureBytes)...)
}

func TestWriteFramed_AllocatesNothing(t *testing.T) {
	conn, picture := sending(t), framed()
	write := func() {
		if err := conn.WriteFramed(picture); err != nil {
			t.Fatal(err)
		}
	}
	// Where the peer is slow, what the kernel does not take is kept for a moment.
	if n := testing.AllocsPerRun(100, write); n > 1 {
		t.Errorf("%v allocations to write a picture, want at most one", n)
	}
}

// BenchmarkWriteFramed is a picture on its way to one viewer; BenchmarkTLSWrite is what of it TLS and the kernel take.
func BenchmarkWriteFramed(b *testing.B) {
	conn, picture := sending(b), framed()
	b.ReportAllocs()
	b.SetBytes(int64(len(picture)))
	for b.Loop() {
		if err := conn.WriteFramed(picture); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTLSWrite writes the same bytes over a connection of nothing but TLS.
func BenchmarkTLSWrite(b *testing.B) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS() // for its certificate
	defer s.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS13, Certificates: s.TLS.Certificates, DynamicRecordSizingDisabled: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	conns := make(chan net.Conn, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil || conn.(*tls.Conn).Handshake() != nil {
			close(conns)
			return
		}
		conns <- conn
	}()
	client, err := tls.Dial("tcp", l.Addr().String(), clientTLS(s))
	if err != nil {
		b.Fatal(err)
	}
	reader(b, client)
	conn, ok := <-conns
	if !ok {
		b.Fatal("no handshake")
	}
	defer func() { _ = conn.Close() }()
	picture := framed()
	b.ReportAllocs()
	b.SetBytes(int64(len(picture)))
	for b.Loop() {
		if _, err := conn.Write(picture); err != nil {
			b.Fatal(err)
		}
	}
}
