//go:build amd64 || arm64

package sandbox

import (
	"golang.org/x/sys/unix"
)

// Requests of ioctl that set flags of a descriptor, in the numbering of both architectures.
const (
	fionbio = 0x5421
	fioclex = 0x5451
)

// policy is what the process may ask of the kernel. The list was made from what the Go runtime, the C library, FFmpeg's libraries and
// sockets need; the rest is refused, and what nothing honest asks for here ends the process.
func policy(o Options, pid int) []rule {
	var rules []rule
	allow := func(calls ...uintptr) {
		for _, call := range calls {
			rules = append(rules, rule{call: call, action: unix.SECCOMP_RET_ALLOW})
		}
	}
	allowIf := func(call uintptr, conditions ...condition) {
		rules = append(rules, rule{call: call, action: unix.SECCOMP_RET_ALLOW, conditions: conditions})
	}

	allow(
		// Descriptors that are open.
		unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_PREADV, unix.SYS_CLOSE, unix.SYS_LSEEK,
		unix.SYS_DUP, unix.SYS_DUP3, unix.SYS_PIPE2, unix.SYS_EVENTFD2, unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2,
		unix.SYS_PPOLL, unix.SYS_PSELECT6, unix.SYS_FADVISE64,
		// Looking at files.
		unix.SYS_FSTAT, unix.SYS_NEWFSTATAT, unix.SYS_STATX, unix.SYS_STATFS, unix.SYS_FSTATFS, unix.SYS_READLINKAT, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2,
		unix.SYS_GETCWD, unix.SYS_GETDENTS64,
		// Memory.
		unix.SYS_MUNMAP, unix.SYS_MREMAP, unix.SYS_BRK, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_MEMBARRIER,
		// Threads and time.
		unix.SYS_FUTEX, unix.SYS_SET_ROBUST_LIST, unix.SYS_GET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_SET_TID_ADDRESS, unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
		unix.SYS_RESTART_SYSCALL, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_SCHED_GETPARAM, unix.SYS_SCHED_GETSCHEDULER,
		unix.SYS_SCHED_GET_PRIORITY_MAX, unix.SYS_SCHED_GET_PRIORITY_MIN, unix.SYS_GETCPU, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME,
		unix.SYS_CLOCK_GETRES, unix.SYS_GETTIMEOFDAY, unix.SYS_TIMES, unix.SYS_GETRANDOM,
		// Signals to itself, and their handlers.
		unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
		// Who and where it is.
		unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_GETPPID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID, unix.SYS_GETRESUID, unix.SYS_GETRESGID,
		unix.SYS_GETGROUPS, unix.SYS_CAPGET, unix.SYS_UNAME, unix.SYS_SYSINFO, unix.SYS_GETRLIMIT, unix.SYS_GETRUSAGE,
		// What can be done with a socket that is there, the one inherited included.
		unix.SYS_RECVFROM, unix.SYS_RECVMSG, unix.SYS_RECVMMSG, unix.SYS_SHUTDOWN, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME, unix.SYS_GETSOCKOPT, unix.SYS_SETSOCKOPT,
	)
	allow(ownCalls()...)

	// Files open for reading; devices also for writing. Landlock says which; this holds on kernels without it.
	modes := []uint32{unix.O_RDONLY}
	if len(o.Devices)+len(o.Nodes) > 0 {
		modes = append(modes, unix.O_WRONLY, unix.O_RDWR)
	}
	for call, flags := range openCalls() {
		allowIf(call, condition{arg: flags, mask: unix.O_ACCMODE | unix.O_CREAT | unix.O_TRUNC | unix.O_TMPFILE&^unix.O_DIRECTORY, values: modes})
	}
	allowIf(unix.SYS_FCNTL, condition{arg: 1, values: []uint32{unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL}})

	// ioctl: what every descriptor may be asked, and the video devices' own. TIOCSTI would type into a terminal.
	allowIf(unix.SYS_IOCTL, condition{arg: 1, values: []uint32{unix.TCGETS, unix.TIOCGWINSZ, unix.TIOCINQ, fionbio, fioclex}})
	if len(o.Devices) > 0 {
		allowIf(unix.SYS_IOCTL, condition{arg: 1, mask: 0xff00, values: []uint32{'V' << 8, '|' << 8}}) // V4L2, media controller
	}
	for _, kind := range o.Requests {
		allowIf(unix.SYS_IOCTL, condition{arg: 1, mask: 0xff00, values: []uint32{uint32(kind) << 8}})
	}

	// Never writable and executable at once. Memory shared without a file would escape the limit on memory.
	notBoth := condition{arg: 2, mask: unix.PROT_WRITE | unix.PROT_EXEC, values: []uint32{unix.PROT_WRITE | unix.PROT_EXEC}, not: true}
	allowIf(unix.SYS_MMAP, notBoth, condition{arg: 3, mask: unix.MAP_SHARED | unix.MAP_ANONYMOUS, values: []uint32{unix.MAP_SHARED | unix.MAP_ANONYMOUS}, not: true})
	allowIf(unix.SYS_MPROTECT, notBoth)

	// Threads of this process; nothing that is a process.
	const foreign = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_PTRACE
	allowIf(unix.SYS_CLONE, condition{arg: 0, mask: unix.CLONE_THREAD | foreign, values: []uint32{unix.CLONE_THREAD}})
	self := condition{arg: 0, values: []uint32{uint32(pid)}}
	allowIf(unix.SYS_TGKILL, self)
	allowIf(unix.SYS_KILL, self)
	allowIf(unix.SYS_PRCTL, condition{arg: 0, values: []uint32{unix.PR_SET_NAME, unix.PR_GET_NAME, unix.PR_SET_VMA, unix.PR_GET_DUMPABLE, unix.PR_GET_NO_NEW_PRIVS, unix.PR_CAPBSET_READ}})
	// Limits of this process may be read.
	allowIf(unix.SYS_PRLIMIT64, condition{arg: 0, values: []uint32{0, uint32(pid)}}, condition{arg: 2, values: []uint32{0}}, condition{arg: 2, high: true, values: []uint32{0}})

	// MSG_FASTOPEN connects without asking whether it may.
	fastOpen := func(arg int) condition {
		return condition{arg: arg, mask: unix.MSG_FASTOPEN, values: []uint32{0}}
	}
	allowIf(unix.SYS_SENDTO, fastOpen(3))
	allowIf(unix.SYS_SENDMSG, fastOpen(2))
	allowIf(unix.SYS_SENDMMSG, fastOpen(3))
	if len(o.Ports) > 0 {
		// TCP by name: Landlock does not see MPTCP.
		family := condition{arg: 0, values: []uint32{unix.AF_INET, unix.AF_INET6}}
		allowIf(unix.SYS_SOCKET, family, condition{arg: 1, mask: 0xf, values: []uint32{unix.SOCK_STREAM}}, condition{arg: 2, values: []uint32{0, unix.IPPROTO_TCP}})
		allow(unix.SYS_CONNECT)
		if o.Datagrams {
			allowIf(unix.SYS_SOCKET, family, condition{arg: 1, mask: 0xf, values: []uint32{unix.SOCK_DGRAM}}, condition{arg: 2, values: []uint32{0, unix.IPPROTO_UDP}})
			allow(unix.SYS_BIND)
		}
	}

	if o.Socket != "" {
		allowIf(unix.SYS_SOCKET, condition{arg: 0, values: []uint32{unix.AF_UNIX}}, condition{arg: 1, mask: 0xf, values: []uint32{unix.SOCK_STREAM}})
		if len(o.Ports) == 0 {
			allow(unix.SYS_CONNECT)
		}
	}

	// The filter cannot see the flags of these, which are in memory; libraries fall back to the calls above.
	for _, call := range []uintptr{unix.SYS_CLONE3, unix.SYS_OPENAT2} {
		rules = append(rules, rule{call: call, action: errnoAction(unix.ENOSYS)})
	}
	for _, call := range append(evilCalls(),
		unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PIDFD_GETFD,
		unix.SYS_KCMP, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN, unix.SYS_FSMOUNT,
		unix.SYS_MOUNT_SETATTR, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD,
		unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME,
	) {
		rules = append(rules, rule{call: call, action: unix.SECCOMP_RET_KILL_PROCESS})
	}
	return rules
}
