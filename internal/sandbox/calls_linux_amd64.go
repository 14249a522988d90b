package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch  = unix.AUDIT_ARCH_X86_64
	newestCall = unix.SYS_RSEQ_SLICE_YIELD
)

// ownCalls are harmless system calls that only this architecture has.
func ownCalls() []uintptr {
	return []uintptr{
		unix.SYS_ACCESS, unix.SYS_ARCH_PRCTL, unix.SYS_DUP2, unix.SYS_EPOLL_CREATE, unix.SYS_EPOLL_WAIT, unix.SYS_EVENTFD, unix.SYS_GETDENTS,
		unix.SYS_LSTAT, unix.SYS_PIPE, unix.SYS_POLL, unix.SYS_READLINK, unix.SYS_SELECT, unix.SYS_STAT, unix.SYS_TIME,
	}
}

// openCalls open a file by path, with the place of the flags among their arguments.
func openCalls() map[uintptr]int {
	return map[uintptr]int{unix.SYS_OPENAT: 2, unix.SYS_OPEN: 1}
}

// evilCalls are those of this architecture alone that nothing honest makes here.
func evilCalls() []uintptr {
	return []uintptr{unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_FORK, unix.SYS_VFORK}
}
