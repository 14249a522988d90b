package wire

import (
	"errors"

	"sightline/internal/transport"
)

// Goodbye is what a peer is told when its session ends by cause: where it is at fault how, what this side closed with, and
// otherwise the sentence in otherwise.
func Goodbye(cause error, otherwise string) (transport.Code, string) {
	var fault *MalformedError
	var closed *transport.CloseError
	switch {
	case errors.As(cause, &fault):
		return transport.CodeMalformed, fault.Error()
	case errors.As(cause, &closed) && !closed.Remote:
		return closed.Code, closed.Reason
	}
	return transport.CodeGoingAway, otherwise
}
