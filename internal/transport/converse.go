package transport

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
)

// Converse runs the two sides of a conversation over conn: read, which ends when conn does, and write, which also ends
// when its context does. When either ends, or ctx is done, it closes conn with what goodbye makes of the cause, and returns
// the cause once both have ended. The error is never nil.
func Converse(ctx context.Context, conn Conn, goodbye func(cause error) (Code, string), read func() error, write func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	// What either side meets once conn is closed from here says nothing: the cause is why it was closed.
	why := func(err error) error {
		if ctx.Err() != nil && errors.Is(err, ErrClosed) {
			return context.Cause(ctx)
		}
		return err
	}
	group.Go(func() error { return why(read()) })
	group.Go(func() error {
		err := why(write(ctx))
		var closed *CloseError
		if errors.As(err, &closed) && closed.Remote {
			return nil // the reader meets the same end, or before it the goodbye that says why
		}
		return err
	})
	group.Go(func() error {
		<-ctx.Done() // one of the others ended, or the caller wants an end
		_ = conn.Close(goodbye(context.Cause(ctx)))
		return context.Cause(ctx)
	})
	return group.Wait()
}
