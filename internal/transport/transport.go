// Package transport names what the rooms above need of a connection: whole messages both ways and a close that says why.
// It knows no video and no auth. Packages ws (WebSocket over TLS) and pipe (a stream socket to a child process) meet it,
// and package transporttest holds what every one of them must do.
package transport

import (
	"errors"
	"fmt"
)

// Conn carries messages both ways. One goroutine may read while another writes. WriteMessage and Close are safe for
// concurrent use.
type Conn interface {
	// ReadMessage blocks until a whole message is here. The slice is valid until the next call. After an error every further call
	// fails. The error is a *CloseError when the peer said goodbye, is gone or was cut for breaking a rule, ErrClosed after Close.
	ReadMessage() ([]byte, error)
	// WriteMessage writes one message and does not keep p. Its error is the reader's where that met the end first.
	WriteMessage(p []byte) error
	// Close tells the peer code and reason where the carrier can, then closes. Further calls do nothing and return nil.
	Close(code Code, reason string) error
}

// ErrClosed is returned by reads and writes after Close.
var ErrClosed = errors.New("connection closed")

// Code says why a connection ends: the close codes of RFC 6455 section 7.4.1 and our own.
type Code uint16

// The codes in use. docs/protocol.md says what each means to a peer.
const (
	CodeNormal       Code = 1000
	CodeGoingAway    Code = 1001
	CodeProtocol     Code = 1002
	CodeNotBinary    Code = 1003
	CodeMalformed    Code = 1007
	CodePolicy       Code = 1008
	CodeTooLarge     Code = 1009
	CodeInternal     Code = 1011
	CodeExpired      Code = 4401
	CodeForbidden    Code = 4403
	CodeNoStream     Code = 4404
	CodeUnresponsive Code = 4408
	CodeTaken        Code = 4409
)

// CloseError is the end of a connection with its reason.
type CloseError struct {
	Code   Code
	Reason string
	// Remote tells that the peer said it; otherwise this side found the peer at fault and told it.
	Remote bool
}

// Error implements error.
func (e *CloseError) Error() string {
	who := "closed"
	if e.Remote {
		who = "closed by peer"
	}
	if e.Reason == "" {
		return fmt.Sprintf("%s (%d)", who, e.Code)
	}
	return fmt.Sprintf("%s (%d): %s", who, e.Code, e.Reason)
}

// MaxReason is the longest close reason in bytes: a control frame's 125 less the code.
const MaxReason = 123

// ClipReason shortens reason to MaxReason bytes, at a character boundary.
func ClipReason(reason string) string {
	if len(reason) <= MaxReason {
		return reason
	}
	cut := MaxReason
	for cut > 0 && reason[cut]&0xc0 == 0x80 {
		cut--
	}
	return reason[:cut]
}
