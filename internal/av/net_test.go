//go:build cgo

package av_test

import (
	"fmt"
	"io"
	"net"
	"testing"
)

// silentServer accepts connections, takes what comes and never says a word. It gives an http address.
func silentServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, conn) // until the client has gone
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return fmt.Sprintf("http://%s/x", l.Addr())
}
