//go:build !linux

package ws

import "net"

// Tune does nothing here: the system has none of the options that package ws sets on Linux.
func Tune(net.Conn) {}
