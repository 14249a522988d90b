package transport_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"sightline/internal/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// closing is a connection that is only closed.
type closing struct {
	transport.Conn
	said   transport.Code
	closed chan struct{}
	after  func() // runs at the end of Close, if not nil
}

func (c *closing) Close(code transport.Code, _ string) error {
	c.said = code
	close(c.closed)
	if c.after != nil {
		c.after()
	}
	return nil
}

func TestConverse_TheReadersWordOnTheEndCountsMoreThanTheWriters(t *testing.T) {
	conn := &closing{closed: make(chan struct{})}
	wrote := make(chan struct{})
	expired := &transport.CloseError{Code: transport.CodeExpired, Reason: "time is up", Remote: true}
	err := transport.Converse(t.Context(), conn, func(error) (transport.Code, string) { return transport.CodeNormal, "" },
		func() error {
			<-wrote // the goodbye is read after the write failed
			return expired
		},
		func(context.Context) error {
			defer close(wrote)
			return &transport.CloseError{Code: 1006, Reason: "connection lost", Remote: true}
		})
	if !errors.Is(err, expired) {
		t.Errorf("ended by %v, want %v", err, expired)
	}
}

func TestConverse_AnEndOfItsOwnIsToldAndUnblocksTheReader(t *testing.T) {
	conn := &closing{closed: make(chan struct{})}
	rule := &transport.CloseError{Code: transport.CodePolicy, Reason: "too much"}
	err := transport.Converse(t.Context(), conn, func(cause error) (transport.Code, string) {
		var closed *transport.CloseError
		if !errors.As(cause, &closed) {
			t.Errorf("goodbye to %v", cause)
		}
		return closed.Code, closed.Reason
	}, func() error {
		<-conn.closed
		return transport.ErrClosed
	}, func(context.Context) error { return rule })
	if !errors.Is(err, rule) || conn.said != transport.CodePolicy {
		t.Errorf("ended by %v and said %d, want %v", err, conn.said, rule)
	}
}

func TestConverse_TheCallersEndIsTheCause(t *testing.T) {
	over := errors.New("over")
	closed := func(conn *closing) error { <-conn.closed; return transport.ErrClosed }
	for _, tc := range []struct {
		name  string
		write func(ctx context.Context, conn *closing) error
	}{
		{"the writer sees it", func(ctx context.Context, _ *closing) error { <-ctx.Done(); return context.Cause(ctx) }},
		{"the writer meets a closed connection", func(_ context.Context, conn *closing) error { return closed(conn) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// Both sides have met the closed connection before Close returns.
				conn := &closing{closed: make(chan struct{}), after: synctest.Wait}
				ctx, cancel := context.WithCancelCause(t.Context())
				cancel(over)
				err := transport.Converse(ctx, conn, func(error) (transport.Code, string) { return transport.CodeGoingAway, "" },
					func() error { return closed(conn) },
					func(ctx context.Context) error { return tc.write(ctx, conn) })
				if !errors.Is(err, over) || conn.said != transport.CodeGoingAway {
					t.Errorf("ended by %v and said %d, want %v and %d", err, conn.said, over, transport.CodeGoingAway)
				}
			})
		})
	}
}
