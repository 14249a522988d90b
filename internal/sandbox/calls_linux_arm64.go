package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch  = unix.AUDIT_ARCH_AARCH64
	newestCall = unix.SYS_RSEQ_SLICE_YIELD
)

// ownCalls are harmless system calls that only this architecture has: none.
func ownCalls() []uintptr { return nil }

// openCalls open a file by path, with the place of the flags among their arguments.
func openCalls() map[uintptr]int { return map[uintptr]int{unix.SYS_OPENAT: 2} }

// evilCalls are those of this architecture alone that nothing honest makes here: none.
func evilCalls() []uintptr { return nil }
