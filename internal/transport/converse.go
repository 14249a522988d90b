package transport

import (
	"context"
	"errors"
)

// Converse runs the two sides of a conversation over conn: read, in the caller's goroutine, which ends when conn does, and write, in one of its
// own, which also ends when its context does. Neither ends without an error. When either ends, or ctx is done, it closes conn with what goodbye makes of the cause, and returns
// the cause once both have ended. The error is never nil.
func Converse(ctx context.Context, conn Conn, goodbye func(cause error) (Code, string), read func() error, write func(context.Context) error) error {
	ctx, end := context.WithCancelCause(ctx)
	closed, written := make(chan struct{}), make(chan struct{})
	context.AfterFunc(ctx, func() { // one of the others ended, or the caller wants an end
		defer close(closed)
		_ = conn.Close(goodbye(context.Cause(ctx)))
	})
	go func() {
		defer close(written)
		err := write(ctx)
		var gone *CloseError
		if errors.As(err, &gone) && gone.Remote {
			return // the reader meets the same end, or before it the goodbye that says why
		}
		end(err)
	}()
	end(read()) // the first cause stands: what is met on a connection that was closed from here says nothing
	<-written
	<-closed
	return context.Cause(ctx)
}
