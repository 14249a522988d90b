package httpd

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"
)

// BenchmarkRefusal is a WebSocket handshake with a token that is none, on a connection of its own. The visitor is of the same process, so what
// the server takes for it is for pprof to tell: docs/security.md has the command.
func BenchmarkRefusal(b *testing.B) {
	s := newSite(b)
	text := "GET /ws/watch/door HTTP/1.1\r\nHost: " + s.addr + "\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: sightline.v1\r\nAuthorization: Bearer e30.e30.AAAA\r\n\r\n"
	for b.Loop() {
		conn, err := tls.Dial("tcp", s.addr, s.tls)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.WriteString(conn, text); err != nil {
			b.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil {
			b.Fatal(err)
		}
		if !strings.HasPrefix(string(answer), "HTTP/1.1 401 ") {
			b.Fatalf("answered %q", answer)
		}
		_ = conn.Close()
	}
}
