package ws

import "golang.org/x/sys/unix"

// QuickAck tells whether c's kernel acknowledges what comes when it is read.
func (c *Conn) QuickAck() (bool, error) {
	on, err := unix.GetsockoptInt(c.eager.fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK)
	return on != 0, err
}
