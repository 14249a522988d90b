//go:build !linux || untuned

package ws

import "net"

// Tune does nothing here: the system has none of the options that package ws sets on Linux, or the program was built with
// the tag untuned, with which test/networks measures what they are worth.
func Tune(net.Conn) {}
