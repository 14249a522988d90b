package supervise

import "syscall"

// sysProcAttr also has the kernel end the child when the server dies, however it dies.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
