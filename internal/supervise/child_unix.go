//go:build unix

package supervise

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// socketPair gives two connected stream sockets: ours, and a file for the child to inherit.
func socketPair() (net.Conn, *os.File, error) {
	syscall.ForkLock.RLock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "publish"), os.NewFile(uintptr(fds[1]), "publish")
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, errors.Join(err, ours.Close(), theirs.Close())
	}
	return conn, theirs, ours.Close()
}

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// isolate puts the child into a process group of its own at least, so that a terminal's interrupt reaches the server alone, which
// then ends its children in order.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = sysProcAttr()
}
