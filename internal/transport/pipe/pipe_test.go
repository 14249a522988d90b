package pipe_test

import (
	"errors"
	"net"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"sightline/internal/transport"
	"sightline/internal/transport/pipe"
	"sightline/internal/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func socketPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if a, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func TestConn(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) (transport.Conn, transport.Conn) {
		a, b := socketPair(t)
		return pipe.New(a, transporttest.Limit), pipe.New(b, transporttest.Limit)
	})
}

func TestConn_RefusesLengthsNoMessageHas(t *testing.T) {
	for name, head := range map[string][]byte{
		"zero":           {0, 0, 0, 0},
		"over the limit": {0, 0, 1, 1},
		"huge":           {0xff, 0xff, 0xff, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := socketPair(t)
			defer func() { _ = a.Close() }()
			if _, err := a.Write(head); err != nil {
				t.Fatal(err)
			}
			_, err := pipe.New(b, 256).ReadMessage()
			var closed *transport.CloseError
			if !errors.As(err, &closed) || closed.Code != transport.CodeTooLarge {
				t.Errorf("got %v, want CodeTooLarge", err)
			}
		})
	}
}

func TestConn_EndInsideAMessageIsAnError(t *testing.T) {
	a, b := socketPair(t)
	if _, err := a.Write([]byte{0, 0, 0, 9, 1, 2}); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	c := pipe.New(b, 256)
	if p, err := c.ReadMessage(); err == nil {
		t.Errorf("read %x from half a message", p)
	}
	if err := c.Close(transport.CodeNormal, ""); err != nil {
		t.Fatal(err)
	}
}
