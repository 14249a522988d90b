package ws_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sightline/internal/transport"
	"sightline/internal/transport/transporttest"
	"sightline/internal/transport/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const protocol = "test.v1"

// server starts a TLS server that hands each WebSocket it gets to the returned channel.
func server(t *testing.T, opts ws.Options) (*httptest.Server, <-chan *ws.Conn) {
	t.Helper()
	conns := make(chan *ws.Conn, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			http.Error(w, "not for you", http.StatusForbidden)
			return
		}
		c, err := ws.Upgrade(w, r, protocol, opts)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		conns <- c
	}))
	s.Listener = ws.Listener{Listener: s.Listener}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, conns
}

func clientTLS(s *httptest.Server) *tls.Config {
	return s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
}

func dial(t *testing.T, s *httptest.Server, path string) (*ws.Conn, error) {
	t.Helper()
	return ws.Dial(context.Background(), "wss"+strings.TrimPrefix(s.URL, "https")+path, nil, []string{protocol}, clientTLS(s), ws.Options{ReadLimit: transporttest.Limit})
}

func TestConn(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) (transport.Conn, transport.Conn) {
		s, conns := server(t, ws.Options{ReadLimit: transporttest.Limit})
		client, err := dial(t, s, "/")
		if err != nil {
			t.Fatal(err)
		}
		return client, <-conns
	})
}

func TestConn_ServerEnd(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) (transport.Conn, transport.Conn) {
		s, conns := server(t, ws.Options{ReadLimit: transporttest.Limit})
		client, err := dial(t, s, "/")
		if err != nil {
			t.Fatal(err)
		}
		return <-conns, client
	})
}

func TestDial_RefusedTellsStatusAndSentence(t *testing.T) {
	s, _ := server(t, ws.Options{})
	_, err := dial(t, s, "/refuse")
	var refused *ws.RefusedError
	if !errors.As(err, &refused) || refused.Status != http.StatusForbidden || !strings.Contains(refused.Body, "not for you") {
		t.Errorf("got %v", err)
	}
}

func TestRefusedError_IsASentence(t *testing.T) {
	for body, want := range map[string]string{
		"not for\n you\n": "refused with 403 Forbidden: not for you",
		`{"error":{"code":"not-allowed","message":"You may not."}}`: "refused with 403 Forbidden: You may not.",
	} {
		if got := (&ws.RefusedError{Status: http.StatusForbidden, Body: body}).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWriteFramed_SharedBytesArriveAsMessages(t *testing.T) {
	s, conns := server(t, ws.Options{ReadLimit: transporttest.Limit})
	client, err := dial(t, s, "/")
	if err != nil {
		t.Fatal(err)
	}
	conn := <-conns
	defer func() { _ = client.Close(transport.CodeNormal, ""); _ = conn.Close(transport.CodeNormal, "") }()
	for _, n := range []int{1, 125, 126, 16288, 65535, transporttest.Limit} {
		message := bytes.Repeat([]byte{byte(n)}, n)
		framed := append(ws.AppendFrameHeader(nil, n), message...)
		keep := bytes.Clone(framed)
		if err := conn.WriteFramed(framed); err != nil {
			t.Fatal(err)
		}
		got, err := client.ReadMessage()
		if err != nil || !bytes.Equal(got, message) {
			t.Fatalf("%d bytes: got %d, error %v", n, len(got), err)
		}
		if !bytes.Equal(framed, keep) {
			t.Fatalf("%d bytes: WriteFramed changed what it shares", n)
		}
	}
}

// TestUpgrade_RawFrames sends frames that no honest client sends and checks how the server ends the connection.
func TestUpgrade_RawFrames(t *testing.T) {
	const mask = "00000000" // a zero mask leaves the payload readable here
	for _, tc := range []struct {
		name, frame string
		code        transport.Code
	}{
		{"unmasked", "820101", transport.CodeProtocol},
		{"text", "8181" + mask + "61", transport.CodeNotBinary},
		{"reserved bit", "c281" + mask + "01", transport.CodeProtocol},
		{"reserved opcode", "8381" + mask + "01", transport.CodeProtocol},
		{"continuation without a start", "8081" + mask + "01", transport.CodeProtocol},
		{"new message inside a fragmented one", "0281" + mask + "01" + "8281" + mask + "01", transport.CodeProtocol},
		{"fragmented ping", "0981" + mask + "01", transport.CodeProtocol},
		{"ping of 126 bytes", "89fe007e" + mask, transport.CodeProtocol},
		{"length with the top bit set", "82ffffffffffffffffff" + mask, transport.CodeTooLarge},
		{"length over the limit", "82fe0200" + mask, transport.CodeTooLarge},
		{"empty message", "8280" + mask, transport.CodeMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // each waits for the server's patience with a peer that does not hang up
			s, conns := server(t, ws.Options{ReadLimit: 256})
			raw, err := tls.Dial("tcp", s.Listener.Addr().String(), clientTLS(s))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = raw.Close() }()
			head := "GET / HTTP/1.1\r\nHost: " + s.Listener.Addr().String() + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " + protocol + "\r\n\r\n"
			frame, err := hex.DecodeString(tc.frame)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(raw, head); err != nil {
				t.Fatal(err)
			}
			conn := <-conns
			if _, err := raw.Write(frame); err != nil {
				t.Fatal(err)
			}
			_, err = conn.ReadMessage()
			var closed *transport.CloseError
			if !errors.As(err, &closed) || closed.Code != tc.code {
				t.Errorf("server reads %v, want code %d", err, tc.code)
			}
			answer, err := io.ReadAll(raw)
			if err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
				t.Fatal(err)
			}
			_, frames, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
			if want := []byte{byte(tc.code >> 8), byte(tc.code)}; len(frames) < 4 || frames[0] != 0x88 || !bytes.Equal(frames[2:4], want) {
				t.Errorf("client gets %x, want a close frame with code %d", frames, tc.code)
			}
		})
	}
}

func TestPing_IsAnsweredWhileNothingIsWritten(t *testing.T) {
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
	conn := <-conns
	if _, err := io.WriteString(raw, "\x89\x82\x00\x00\x00\x00hi"+"\x82\x81\x00\x00\x00\x00x"); err != nil {
		t.Fatal(err)
	}
	if p, err := conn.ReadMessage(); err != nil || string(p) != "x" {
		t.Fatalf("got %q, %v", p, err)
	}
	if err := conn.Close(transport.CodeNormal, ""); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(raw)
	if err != nil || !bytes.Contains(answer, []byte("\x8a\x02hi")) {
		t.Errorf("no pong in %q (%v)", answer, err)
	}
}

func TestClose_TellsWhyWhileSomebodyWrites(t *testing.T) {
	s, accepted := server(t, ws.Options{ReadLimit: 1 << 16})
	for range 20 {
		client, err := dial(t, s, "/")
		if err != nil {
			t.Fatal(err)
		}
		conn := <-accepted
		written := make(chan error, 1)
		go func() {
			for {
				if err := conn.WriteMessage(make([]byte, 8<<10)); err != nil {
					written <- err
					return
				}
			}
		}()
		if _, err := client.ReadMessage(); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(transport.CodeExpired, "time is up"); err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = client.ReadMessage()
		}
		var closed *transport.CloseError
		if !errors.As(err, &closed) || closed.Code != transport.CodeExpired || closed.Reason != "time is up" {
			t.Fatalf("the peer read %v, want code %d and why", err, transport.CodeExpired)
		}
		if err := <-written; !errors.Is(err, transport.ErrClosed) {
			t.Errorf("the writer got %v, want %v", err, transport.ErrClosed)
		}
	}
}
