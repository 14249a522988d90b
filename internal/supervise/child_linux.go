package supervise

import "syscall"

// sysProcAttr gives the child a session: a process group of its own, and with it a share of the processors of its own where the kernel groups by sessions
// (sched(7), autogroup), so that one that computes on many threads takes nothing from the others. It also has the kernel end the child when the server
// dies, however it dies.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
}
