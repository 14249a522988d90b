//go:build !linux

package ws

import (
	"context"
	"errors"
	"net"
)

// eagerConn exists on Linux alone: here whoever reads or writes waits for the network.
type eagerConn struct{}

func newEager(conn net.Conn) net.Conn { return conn }

func eagerBelow(net.Conn) *eagerConn { return nil }

func (*eagerConn) flush() error  { return nil }
func (*eagerConn) quickAck()     {}
func (*eagerConn) kept() bool    { return false }
func (*eagerConn) watched() bool { return false }

// polling exists on Linux alone.
type polling struct {
	begun chan struct{} // never closed
}

func newPolling() polling { return polling{} }

func (*polling) poke() bool { return false }

func (*polling) end() {}

func (*polling) poll(context.Context, func()) error { return errors.ErrUnsupported }

func (*polling) watch(*eagerConn, func() bool) error { return errors.ErrUnsupported }
