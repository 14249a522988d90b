//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A condition holds when 32 bits of one argument of a system call, masked, are among the values; with not, when they are not. The kernel
// reads most arguments as 32 bits and ignores the rest, which therefore must not decide.
type condition struct {
	arg    int // 0 to 5
	high   bool
	mask   uint32 // 0: all bits
	values []uint32
	not    bool
}

// rule answers one system call, if all conditions hold.
type rule struct {
	call       uintptr
	action     uint32
	conditions []condition
}

// Offsets in struct seccomp_data, on a little-endian machine.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArgs = 16
)

func errnoAction(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }

func (c condition) len() int {
	n := 1 + len(c.values)
	if c.mask != 0 {
		n++
	}
	return n
}

// assemble makes the program of a filter: the rules in their order, and EPERM for what none answers.
func assemble(rules []rule) ([]unix.SockFilter, error) {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	jump := func(test uint16, k uint32, yes, no int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | test, K: k, Jt: uint8(yes), Jf: uint8(no)}
	}
	answer := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	program := []unix.SockFilter{
		load(offsetArch),
		jump(unix.BPF_JEQ, auditArch, 1, 0),
		answer(unix.SECCOMP_RET_KILL_PROCESS), // system calls of another architecture have other numbers
		load(offsetCall),
		jump(unix.BPF_JGT, newestCall, 0, 1),
		answer(errnoAction(unix.ENOSYS)), // so do those of the x32 ABI; a library that tries a new call falls back to an old one
	}
	for _, r := range rules {
		body := 1 // the answer
		for _, c := range r.conditions {
			body += c.len()
		}
		if body > 250 {
			return nil, fmt.Errorf("conditions of system call %d are too long for a jump", r.call)
		}
		if len(r.conditions) == 0 {
			program = append(program, jump(unix.BPF_JEQ, uint32(r.call), 0, 1), answer(r.action))
			continue
		}
		program = append(program, jump(unix.BPF_JEQ, uint32(r.call), 0, body+1))
		left := body // instructions of this rule to come; the reload of the call's number is behind them
		for _, c := range r.conditions {
			offset := uint32(offsetArgs + 8*c.arg)
			if c.high {
				offset += 4
			}
			program = append(program, load(offset))
			left--
			if c.mask != 0 {
				program = append(program, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: c.mask})
				left--
			}
			for i, v := range c.values {
				left--
				rest := len(c.values) - 1 - i
				switch {
				case c.not:
					program = append(program, jump(unix.BPF_JEQ, v, left, 0))
				case rest > 0:
					program = append(program, jump(unix.BPF_JEQ, v, rest, 0))
				default:
					program = append(program, jump(unix.BPF_JEQ, v, 0, left))
				}
			}
		}
		program = append(program, answer(r.action), load(offsetCall))
	}
	return append(program, answer(errnoAction(unix.EPERM))), nil
}

// install puts a filter over all threads of the process. No new privileges must be set.
func install(program []unix.SockFilter) error {
	p := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	tid, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&p)))
	switch {
	case errno == unix.ENOSYS, errno == unix.EINVAL:
		return errors.New("this kernel has no seccomp filters")
	case errno != 0:
		return fmt.Errorf("install a seccomp filter: %w", errno)
	case tid != 0:
		return fmt.Errorf("install a seccomp filter: thread %d has one of its own", tid)
	}
	return nil
}
