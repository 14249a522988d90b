//go:build !linux

package ws

import "net"

// eagerConn exists on Linux alone: here every write waits for the network.
type eagerConn struct{}

func newEager(conn net.Conn) net.Conn { return conn }

func eagerBelow(net.Conn) *eagerConn { return nil }

func (*eagerConn) setEager()    {}
func (*eagerConn) flush() error { return nil }
func (*eagerConn) kept() bool   { return false }
