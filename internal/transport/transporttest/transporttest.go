// Package transporttest holds what every transport.Conn must do, as one suite that each implementation and each fake runs.
package transporttest

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"sightline/internal/transport"
)

// Limit is the longest message that both ends of a pair must take, in bytes.
const Limit = 64 << 10

// Run checks connections that pair makes: two ends of one, which the suite closes.
func Run(t *testing.T, pair func(t *testing.T) (a, b transport.Conn)) {
	t.Run("messages arrive whole and in order, both ways at once", func(t *testing.T) {
		a, b := pair(t)
		var wg sync.WaitGroup
		sizes := []int{1, 125, 126, 127, 4096, 65535, Limit}
		for _, ends := range [][2]transport.Conn{{a, b}, {b, a}} {
			wg.Go(func() {
				for _, n := range sizes {
					if err := ends[0].WriteMessage(pattern(n)); err != nil {
						t.Errorf("write %d bytes: %v", n, err)
						return
					}
				}
			})
			wg.Go(func() {
				for _, n := range sizes {
					got, err := ends[1].ReadMessage()
					if err != nil || !bytes.Equal(got, pattern(n)) {
						t.Errorf("read %d bytes: got %d, error %v", n, len(got), err)
						return
					}
				}
			})
		}
		wg.Wait()
		closeBoth(t, a, b)
	})
	t.Run("a message over the limit ends the reader with CodeTooLarge", func(t *testing.T) {
		a, b := pair(t)
		var wg sync.WaitGroup
		wg.Go(func() { _ = a.WriteMessage(pattern(Limit + 1)) }) // may fail once the reader has gone
		_, err := b.ReadMessage()
		var closed *transport.CloseError
		if !errors.As(err, &closed) || closed.Code != transport.CodeTooLarge || closed.Remote {
			t.Errorf("got %v, want CodeTooLarge of our own", err)
		}
		if _, again := b.ReadMessage(); again == nil {
			t.Error("reading goes on after an error")
		}
		closeBoth(t, a, b)
		wg.Wait()
	})
	t.Run("the peer's Close ends reading with a remote CloseError", func(t *testing.T) {
		a, b := pair(t)
		if err := a.Close(transport.CodeNormal, "done"); err != nil {
			t.Fatal(err)
		}
		_, err := b.ReadMessage()
		var closed *transport.CloseError
		if !errors.As(err, &closed) || closed.Code != transport.CodeNormal || !closed.Remote {
			t.Errorf("got %v, want the peer's CodeNormal", err)
		}
		closeBoth(t, a, b)
	})
	t.Run("our own Close unblocks reading with ErrClosed, and is safe twice", func(t *testing.T) {
		a, b := pair(t)
		result := make(chan error, 1)
		go func() {
			_, err := a.ReadMessage()
			result <- err
		}()
		if err := a.Close(transport.CodeGoingAway, ""); err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.Is(err, transport.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
		if err := a.WriteMessage([]byte{1}); err == nil {
			t.Error("writing works after Close")
		}
		closeBoth(t, a, b)
	})
}

func closeBoth(t *testing.T, conns ...transport.Conn) {
	t.Helper()
	for _, c := range conns {
		if err := c.Close(transport.CodeNormal, ""); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*13 + n)
	}
	return b
}
