//go:build !untuned

package ws

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// notSentLowat keeps the kernel from taking more than 16 KiB it cannot send at once: what waits, waits in our queue, where it can
	// still be dropped. Without it a send buffer holds seconds of old pictures.
	notSentLowat = 16 << 10
	// userTimeout ends a connection whose data nobody acknowledged for so long.
	userTimeout = 10 * time.Second
	// tcpRTOMaxMS is TCP_RTO_MAX_MS of Linux 6.15, which the system's headers may not know yet, and rtoMax the least that it
	// takes: when a path comes back after seconds, TCP must not sleep for seconds more.
	tcpRTOMaxMS = 44
	rtoMax      = time.Second
)

// Tune sets the socket options that keep old data out of the kernel (tcp(7)). BBR is taken where the kernel has it. An option
// that the system refuses is left as it is: it makes things better, not possible.
func Tune(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentLowat)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, tcpRTOMaxMS, int(rtoMax.Milliseconds()))
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_THIN_LINEAR_TIMEOUTS, 1)
		_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "bbr")
	})
}
