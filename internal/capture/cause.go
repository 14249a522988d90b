package capture

import (
	"errors"

	"sightline/internal/media"
)

// because is an error, a sentence for people, with the word for it.
type because struct {
	error
	cause media.Cause
}

func (b because) Unwrap() error { return b.error }

// causeOf is the word for what sentence says of err; empty where there is none.
func causeOf(err error) media.Cause {
	var b because
	switch {
	case errors.As(err, &b):
		return b.cause
	case errors.Is(err, ErrRefused):
		return media.CauseRefused
	case errors.Is(err, ErrEnded):
		return media.CauseEnded
	case errors.Is(err, ErrStalled):
		return media.CauseNoPictures
	}
	return ""
}
