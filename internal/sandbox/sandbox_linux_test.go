//go:build amd64 || arm64

package sandbox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"sightline/internal/sandbox"
)

// envTask makes this test program do something as a child instead: a task in JSON.
const envTask = "SANDBOX_TEST_TASK"

// task is what a child is to do.
type task struct {
	Options  sandbox.Options
	Free     bool      // not in the sandbox, to prove that the acts succeed outside
	Half     bool      // without the second stage, and so without the filter
	Lack     []uintptr // system calls that the kernel is not to have
	Acts     []string  // forbidden ones to try
	Work     string    // "" or a permitted thing to do
	Parent   int       // process to attack
	Key      string    // private file of the parent
	Open     string    // directory open to everyone, with a file "file" in it
	Allowed  string    // file that may be read
	Port     int       // that may be connected to, if Options allow any
	Other    int       // port of another listener
	Abstract string    // name of a Unix listener
	Node     string    // device that is not to be used
	Memory   bool      // whether memory is bounded
}

func TestMain(m *testing.M) {
	if s := os.Getenv(envTask); s != "" {
		os.Exit(child(s))
	}
	os.Exit(runTests(m))
}

// runTests has children without the race detector, which takes several times their memory and most of their time; they have no
// goroutines to race.
func runTests(m *testing.M) int {
	if !raceDetector {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "sandbox-test")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	plain := filepath.Join(dir, "plain.test")
	if out, err := exec.Command("go", "test", "-c", "-o", plain, ".").CombinedOutput(); err != nil {
		fmt.Printf("build the children: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(envProgram, plain); err != nil {
		fmt.Println(err)
		return 1
	}
	return m.Run()
}

// envProgram names the program that children run, if it is not this one.
const envProgram = "SANDBOX_TEST_PROGRAM"

func childProgram() string {
	if p := os.Getenv(envProgram); p != "" {
		return p
	}
	return os.Args[0]
}

// child is the main function of a confined process. It answers on standard output, a line for each act.
func child(s string) int {
	var t task
	if err := json.Unmarshal([]byte(s), &t); err != nil {
		fmt.Println("task:", err)
		return 1
	}
	if t.Half && sandbox.Inside() {
		fmt.Println("report", os.Getenv("SIGHTLINE_SANDBOX"))
	} else if !t.Free {
		if len(t.Lack) > 0 && !sandbox.Inside() {
			if err := sandbox.Without(t.Lack); err != nil {
				fmt.Println("lack:", err)
				return 1
			}
		}
		t.Options.Env = []string{envTask + "=" + s}
		r, err := sandbox.Enter(t.Options)
		if err != nil {
			fmt.Println("enter:", err)
			return 1
		}
		b, err := json.Marshal(r)
		if err != nil {
			fmt.Println("report:", err)
			return 1
		}
		fmt.Printf("report %s\n", b)
	}
	if t.Work != "" {
		if err := works()[t.Work](t); err != nil {
			fmt.Printf("%s: %v\n", t.Work, err)
			return 1
		}
		fmt.Println("done", t.Work)
	}
	for _, name := range t.Acts {
		fmt.Printf("try %s\n", name)
		if err := acts()[name].do(t); err != nil {
			fmt.Printf("denied %s %v\n", name, err)
		} else {
			fmt.Printf("done %s\n", name)
		}
	}
	return 0
}

// act is something that a taken-over process might try. do returns nil if it succeeded.
type act struct {
	do      func(t task) error
	kills   bool // the attempt ends the process
	network bool // belongs to a process that may connect to one port
	// control is whether the act succeeds for root outside the sandbox, without harm.
	control bool
}

func call(nr uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	if _, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return errno
	}
	return nil
}

func text(s string) uintptr {
	p, err := unix.BytePtrFromString(s)
	if err != nil {
		panic(err)
	}
	return uintptr(unsafe.Pointer(p))
}

func connect(address string) error {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

func socket(domain, kind, protocol int) error {
	fd, err := unix.Socket(domain, kind, protocol)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func allocate(flags int) error {
	b, err := unix.Mmap(-1, 0, 4<<30, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return err
	}
	return unix.Munmap(b)
}

func start(program string) error { return exec.Command(program, "-c", "true").Run() }

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// acts are by name, which says what would be done.
func acts() map[string]act {
	read := func(path func(t task) string) func(t task) error {
		return func(t task) error {
			_, err := os.ReadFile(path(t))
			return err
		}
	}
	list := func(path string) func(task) error {
		return func(task) error {
			_, err := os.ReadDir(path)
			return err
		}
	}
	in := func(name string, do func(path string) error) func(task) error {
		return func(t task) error { return do(filepath.Join(t.Open, name)) }
	}
	plain := func(nr uintptr, args ...uintptr) func(task) error {
		return func(task) error { return call(nr, args...) }
	}
	var zero [128]byte
	p := uintptr(unsafe.Pointer(&zero[0]))
	return map[string]act{
		// Files.
		"read /etc/shadow":            {do: read(func(task) string { return "/etc/shadow" }), control: true},
		"read /etc/passwd":            {do: read(func(task) string { return "/etc/passwd" }), control: true},
		"read the server's key":       {do: read(func(t task) string { return t.Key }), control: true},
		"read the parent's variables": {do: read(func(t task) string { return fmt.Sprintf("/proc/%d/environ", t.Parent) }), control: true},
		"read its own variables":      {do: read(func(task) string { return "/proc/self/environ" }), control: true},
		"read the parent's memory": {do: func(t task) error {
			f, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.Parent))
			if err != nil {
				return err
			}
			return f.Close()
		}, control: true},
		"list /":     {do: list("/"), control: true},
		"list /root": {do: list("/root"), control: true},
		"list /proc": {do: list("/proc"), control: true},
		"list /dev":  {do: list("/dev"), control: true},
		"write to /tmp": {do: func(task) error {
			f, err := os.CreateTemp("/tmp", "sandbox")
			if err != nil {
				return err
			}
			return errors.Join(f.Close(), os.Remove(f.Name()))
		}, control: true},
		"create a file":      {do: in("new", func(p string) error { return os.WriteFile(p, nil, 0o600) }), control: true},
		"create a directory": {do: in("dir", func(p string) error { return os.Mkdir(p, 0o700) }), control: true},
		"create a link":      {do: in("link", func(p string) error { return os.Symlink("/etc", p) }), control: true},
		"link a file":        {do: in("file", func(p string) error { return os.Link(p, p+".hard") }), control: true},
		"append to a file": {do: in("file", func(p string) error {
			f, err := os.OpenFile(p, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			return f.Close()
		}), control: true},
		"truncate a file":   {do: in("file", func(p string) error { return os.Truncate(p, 0) }), control: true},
		"chmod a file":      {do: in("file", func(p string) error { return os.Chmod(p, 0o777) }), control: true},
		"touch a file":      {do: in("file", func(p string) error { return os.Chtimes(p, time.Unix(1, 0), time.Unix(1, 0)) }), control: true},
		"rename a file":     {do: in("third", func(p string) error { return os.Rename(p, p+".moved") }), control: true},
		"unlink a file":     {do: in("second", os.Remove), control: true},
		"mknod":             {do: in("node", func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o600, 0x0103) }), control: true},
		"make a pipe":       {do: in("fifo", func(p string) error { return unix.Mkfifo(p, 0o600) }), control: true},
		"open a thousand":   {do: openMany},
		"memory as a file":  {do: plain(unix.SYS_MEMFD_CREATE, text("x"), 0), control: true},
		"watch a directory": {do: plain(unix.SYS_INOTIFY_INIT1, 0), control: true},
		"change directory":  {do: func(task) error { return unix.Chdir("/") }, control: true},

		// Network.
		"connect":           {do: func(t task) error { return connect(local(t.Other)) }, control: true},
		"connect elsewhere": {do: func(t task) error { return connect(local(t.Other)) }, network: true, control: true},
		"connect by fast open": {do: func(t task) error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			return unix.Sendto(fd, []byte("x"), unix.MSG_FASTOPEN, &unix.SockaddrInet4{Port: t.Other, Addr: [4]byte{127, 0, 0, 1}})
		}, network: true},
		"listen": {do: func(task) error {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			return l.Close()
		}, network: true, control: true},
		"bind": {do: func(task) error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP)
			if err != nil {
				return err
			}
			return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
		}, network: true, control: true},
		"listen unbound": {do: func(task) error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			return unix.Listen(fd, 1)
		}, network: true, control: true},
		"UDP socket":         {do: func(task) error { return socket(unix.AF_INET, unix.SOCK_DGRAM, 0) }, network: true, control: true},
		"MPTCP socket":       {do: func(task) error { return socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP) }, network: true},
		"raw socket":         {do: func(task) error { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }, network: true, control: true},
		"packet socket":      {do: func(task) error { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0) }, network: true},
		"netlink":            {do: func(task) error { return socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE) }, network: true, control: true},
		"vsock":              {do: func(task) error { return socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0) }, network: true},
		"socket of any kind": {do: func(task) error { return socket(unix.AF_INET6, unix.SOCK_STREAM, 0) }},
		"Unix socket": {do: func(t task) error {
			conn, err := net.Dial("unix", t.Abstract)
			if err != nil {
				return err
			}
			return conn.Close()
		}, control: true},
		"Unix datagrams":               {do: func(task) error { return socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0) }, network: true, control: true},
		"Unix socket beside a network": {do: func(task) error { return socket(unix.AF_UNIX, unix.SOCK_STREAM, 0) }, network: true, control: true},

		// Processes.
		"exec /bin/sh":                  {do: func(task) error { return unix.Exec("/bin/sh", []string{"sh", "-c", "echo done exec"}, nil) }, kills: true},
		"exec itself":                   {do: func(task) error { return unix.Exec("/proc/self/exe", os.Args, []string{envTask + "={}"}) }, kills: true},
		"start a program":               {do: func(task) error { return start("/bin/sh") }, control: true},
		"fork":                          {do: fork, control: true},
		"clone3":                        {do: plain(unix.SYS_CLONE3, p, 64)},
		"signal the parent":             {do: func(t task) error { return unix.Kill(t.Parent, 0) }, control: true},
		"signal everyone":               {do: func(task) error { return unix.Kill(-1, 0) }, control: true},
		"signal a thread of the parent": {do: func(t task) error { return unix.Tgkill(t.Parent, t.Parent, 0) }, control: true},
		"open the parent":               {do: func(t task) error { return call(unix.SYS_PIDFD_OPEN, uintptr(t.Parent), 0) }, control: true},
		"limit the parent": {do: func(t task) error {
			var old unix.Rlimit
			return unix.Prlimit(t.Parent, unix.RLIMIT_NOFILE, nil, &old)
		}, control: true},
		"ptrace the parent": {do: func(t task) error { return unix.PtraceSeize(t.Parent) }, kills: true},
		"read from the parent": {do: func(t task) error {
			_, err := unix.ProcessVMReadv(t.Parent, []unix.Iovec{{Base: &zero[0], Len: 8}}, []unix.RemoteIovec{{Base: p, Len: 8}}, 0)
			return err
		}, kills: true},
		"priority": {do: plain(unix.SYS_SETPRIORITY, 0, 0, 1), control: true},

		// Memory.
		"4 GiB":                  {do: func(task) error { return allocate(unix.MAP_PRIVATE | unix.MAP_ANONYMOUS) }},
		"4 GiB shared":           {do: func(task) error { return allocate(unix.MAP_SHARED | unix.MAP_ANONYMOUS) }, control: true},
		"4 GiB of System V":      {do: plain(unix.SYS_SHMGET, 0, 4<<30, 0o1600)},
		"writable code":          {do: plain(unix.SYS_MMAP, 0, 4096, 7, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uintptr(0), 0), control: true},
		"memory made code":       {do: makeCode, control: true},
		"more core":              {do: func(task) error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}) }, control: true},
		"more memory":            {do: func(task) error { return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: 4 << 30, Max: 4 << 30}) }},
		"be dumpable":            {do: func(task) error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) }, control: true},
		"outlive the parent":     {do: func(task) error { return unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) }, control: true},
		"another filter":         {do: func(task) error { return unix.Prctl(unix.PR_SET_SECCOMP, 2, p, 0, 0) }},
		"switch off speculation": {do: func(task) error { return unix.Prctl(unix.PR_SET_SPECULATION_CTRL, 0, 2, 0, 0) }},

		// The machine.
		"setuid 0":             {do: plain(unix.SYS_SETRESUID, 0, 0, 0), control: true},
		"setgid 0":             {do: plain(unix.SYS_SETRESGID, 0, 0, 0), control: true},
		"setgroups":            {do: plain(unix.SYS_SETGROUPS, 0, 0), control: true},
		"capset":               {do: capset},
		"mount":                {do: func(task) error { return unix.Mount("none", "/mnt", "tmpfs", 0, "") }, kills: true},
		"user namespace":       {do: func(task) error { return unix.Unshare(unix.CLONE_NEWUSER) }, kills: true},
		"namespace of another": {do: func(task) error { return unix.Setns(0, 0) }, kills: true},
		"chroot":               {do: func(task) error { return unix.Chroot("/") }, kills: true},
		"bpf":                  {do: plain(unix.SYS_BPF, 0, p, 64), kills: true},
		"perf":                 {do: plain(unix.SYS_PERF_EVENT_OPEN, p, 0, 0, ^uintptr(0), 0), kills: true},
		"keyctl":               {do: plain(unix.SYS_KEYCTL, 0, ^uintptr(2), 0), kills: true},
		"userfaultfd":          {do: plain(unix.SYS_USERFAULTFD, 0), kills: true},
		"init_module":          {do: plain(unix.SYS_INIT_MODULE, p, 1, p), kills: true},
		"kexec":                {do: plain(unix.SYS_KEXEC_LOAD, 0, 0, 0, ^uintptr(0)), kills: true},
		"reboot":               {do: plain(unix.SYS_REBOOT, 0, 0, 0, 0), kills: true}, // magic numbers left out on purpose
		"settimeofday":         {do: plain(unix.SYS_SETTIMEOFDAY, 0, 0), kills: true},
		"open by handle":       {do: plain(unix.SYS_OPEN_BY_HANDLE_AT, 0, p, 0), kills: true},
		"io_uring":             {do: plain(unix.SYS_IO_URING_SETUP, 1, p)},
		"personality":          {do: plain(unix.SYS_PERSONALITY, 0xffffffff), control: true},
		"another device": {do: func(t task) error {
			f, err := os.OpenFile(t.Node, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			return f.Close()
		}, control: true},
		"TIOCSTI": {do: func(task) error { return call(unix.SYS_IOCTL, 0, unix.TIOCSTI, p) }},
		"TIOCSTI by the upper half": {do: func(task) error {
			err := call(unix.SYS_IOCTL, 0, unix.TIOCSTI|1<<32, p)
			if errors.Is(err, unix.ENOTTY) { // it was let through, and standard input is no terminal
				return nil
			}
			return err
		}, control: true},
		"x32":       {do: plain(0x40000000 | unix.SYS_GETPID)},
		"host name": {do: plain(unix.SYS_SETHOSTNAME, p, 0)},
	}
}

// openMany gives back what it opened, for the acts after it.
func openMany(task) error {
	var open []int
	defer func() {
		for _, fd := range open {
			_ = unix.Close(fd)
		}
	}()
	for range 1000 {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		open = append(open, fd)
	}
	return nil
}

func fork(task) error {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
	}
	_, err := unix.Wait4(int(pid), nil, 0, nil)
	return err
}

func makeCode(task) error {
	b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil // the test is of what comes now; this must not be refused
	}
	b[0] = 1
	return unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
}

func capset(task) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	all := [2]unix.CapUserData{{Effective: ^uint32(0), Permitted: ^uint32(0)}}
	return unix.Capset(&header, &all[0])
}

// works are what a confined process must be able to do.
func works() map[string]func(t task) error {
	return map[string]func(t task) error{
		"read": func(t task) error {
			b, err := os.ReadFile(t.Allowed)
			if err == nil && string(b) != "picture" {
				err = fmt.Errorf("read %q", b)
			}
			return err
		},
		"threads": func(task) error {
			var wg sync.WaitGroup
			gate := make(chan struct{})
			ready := make(chan int, 40)
			for range 40 {
				wg.Go(func() {
					ready <- lockedThread()
					<-gate
				})
			}
			seen := map[int]bool{}
			for range 40 {
				seen[<-ready] = true
			}
			close(gate)
			wg.Wait()
			if len(seen) != 40 {
				return fmt.Errorf("%d threads", len(seen))
			}
			return nil
		},
		"thread bomb": func(task) error {
			gate := make(chan struct{})
			ready := make(chan int)
			for i := range 4000 {
				if i%100 == 0 {
					fmt.Println("threads", i)
				}
				go func() {
					ready <- lockedThread()
					<-gate
				}()
				<-ready
			}
			close(gate)
			return nil
		},
		"memory": func(task) error {
			b := make([]byte, 200<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			if !slices.Contains(b[4096*100:4096*100+1], 1) {
				return errors.New("memory does not hold what was written")
			}
			return nil
		},
		"time": func(task) error {
			before := time.Now()
			<-time.After(time.Millisecond)
			if !time.Now().After(before) {
				return errors.New("time stands still")
			}
			_, err := time.LoadLocation("Europe/Vienna")
			return err
		},
		"inherited": func(task) error {
			f := os.NewFile(3, "inherited")
			conn, err := net.FileConn(f)
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil {
				return err
			}
			_, err = io.WriteString(conn, strings.ToUpper(line))
			return err
		},
		"device": func(t task) error {
			f, err := os.OpenFile(t.Allowed, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			if _, err := f.WriteString("x"); err != nil {
				return err
			}
			// VIDIOC_QUERYCAP reaches the device, which is none of video.
			var capability [104]byte
			if err := call(unix.SYS_IOCTL, f.Fd(), 0x80685600, uintptr(unsafe.Pointer(&capability[0]))); !errors.Is(err, unix.ENOTTY) {
				return fmt.Errorf("control: %w", err)
			}
			return nil
		},
		"dial a socket": func(t task) error {
			conn, err := net.Dial("unix", t.Options.Socket)
			if err != nil {
				return err
			}
			return conn.Close()
		},
		"dial": func(t task) error { return connect(local(t.Port)) },
		"look up": func(task) error {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			for _, r := range []*net.Resolver{{PreferGo: true}, {}} {
				if _, err := r.LookupHost(ctx, "localhost"); err != nil {
					return err
				}
			}
			// A name that no file knows goes to a server; whether that answers is not ours to say.
			_, err := (&net.Resolver{PreferGo: true}).LookupHost(ctx, "camera.invalid")
			var dns *net.DNSError
			if !errors.As(err, &dns) || errors.Is(err, os.ErrPermission) || strings.Contains(err.Error(), "permitted") {
				return fmt.Errorf("look up a name: %w", err)
			}
			return nil
		},
		"wait for the parent": func(task) error {
			fmt.Println("ready")
			<-time.After(30 * time.Second)
			return errors.New("still here")
		},
	}
}

func lockedThread() int {
	// Not unlocked: the thread ends with its goroutine.
	runtime.LockOSThread()
	return unix.Gettid()
}

// result is what came of a child.
type result struct {
	out    string
	report sandbox.Report
	err    error
}

// runTask starts this test program as a child that does t, and that has to enter the sandbox if it is to.
func runTask(tb testing.TB, t task, prepare ...func(*exec.Cmd)) result {
	tb.Helper()
	res := run(tb, t, prepare...)
	if !t.Free && len(res.report.On) == 0 {
		tb.Fatalf("the child did not enter: %v\n%s", res.err, res.out)
	}
	return res
}

func run(tb testing.TB, t task, prepare ...func(*exec.Cmd)) result {
	tb.Helper()
	t.Parent = os.Getpid()
	b, err := json.Marshal(t)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, childProgram())
	cmd.Env = []string{envTask + "=" + string(b)}
	for _, p := range prepare {
		p(cmd)
	}
	out, err := cmd.CombinedOutput()
	res := result{out: string(out), err: err}
	for line := range strings.Lines(res.out) {
		if j, ok := strings.CutPrefix(line, "report "); ok {
			if err := json.Unmarshal([]byte(j), &res.report); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return res
}

// needs skips the test where this system lacks a measure, aloud.
func (r result) needs(tb testing.TB, measures ...sandbox.Measure) {
	tb.Helper()
	for _, m := range measures {
		if !slices.Contains(r.report.On, m) {
			tb.Skipf("this system lacks %s: %+v", m, r.report.Missing)
		}
	}
}

// victims are what a child is told to attack.
func victims(tb testing.TB) task {
	tb.Helper()
	dir, err := os.MkdirTemp("/tmp", "sandbox-test")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		tb.Fatal(err)
	}
	t := task{Open: dir, Key: filepath.Join(dir, "key.pem"), Allowed: filepath.Join(dir, "allowed"), Abstract: "@" + filepath.Base(dir), Node: filepath.Join(dir, "other")}
	for path, mode := range map[string]os.FileMode{t.Key: 0o600, t.Allowed: 0o644, filepath.Join(dir, "file"): 0o666, filepath.Join(dir, "second"): 0o666, filepath.Join(dir, "third"): 0o666, t.Node: 0o666} {
		if err := os.WriteFile(path, []byte("picture"), 0o600); err != nil {
			tb.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			tb.Fatal(err)
		}
	}
	t.Port, t.Other = listen(tb, "tcp", "127.0.0.1:0"), listen(tb, "tcp", "127.0.0.1:0")
	listen(tb, "unix", t.Abstract)
	return t
}

// listen accepts and drops connections until the test ends.
func listen(tb testing.TB, network, address string) (port int) {
	tb.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// wanted lists acts by name.
func wanted(keep func(act) bool) []string {
	var names []string
	for name, a := range acts() {
		if keep(a) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func expectDenied(t *testing.T, res result, names []string) {
	t.Helper()
	if res.err != nil {
		t.Fatalf("the child ended: %v\n%s", res.err, res.out)
	}
	for _, name := range names {
		if !strings.Contains(res.out, "\ndenied "+name+" ") {
			t.Errorf("%s: not denied", name)
		}
	}
	if t.Failed() {
		t.Log(res.out)
	}
}

// The acts that can be made without harm succeed outside, or their denial inside would mean nothing.
func TestActs_SucceedOutside(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make them all")
	}
	names := wanted(func(a act) bool { return a.control })
	v := victims(t)
	v.Free, v.Acts = true, names
	res := runTask(t, v)
	for _, name := range names {
		if !strings.Contains("\n"+res.out, "\ndone "+name+"\n") {
			t.Errorf("%s: denied outside the sandbox", name)
		}
	}
	if t.Failed() {
		t.Log(res.out)
	}
}

func TestEnter_ForbiddenActsAreDenied(t *testing.T) {
	names := wanted(func(a act) bool { return !a.kills && !a.network })
	v := victims(t)
	v.Options.Files, v.Acts = []string{v.Allowed}, names
	res := runTask(t, v)
	res.needs(t, sandbox.FileAccess, sandbox.SystemCalls, sandbox.NoNewCode)
	expectDenied(t, res, names)
	if len(res.report.Notes) != 0 && os.Getuid() == 0 {
		t.Errorf("wider open than it need be: %q", res.report.Notes)
	}
	if b, err := os.ReadFile(filepath.Join(v.Open, "file")); err != nil || string(b) != "picture" {
		t.Errorf("the victim's file is now %q, %v", b, err)
	}
}

// What the filter refuses the other walls refuse too, on a kernel without filters or after a hole in the list.
func TestEnter_WallsStandWithoutTheFilter(t *testing.T) {
	names := []string{
		"read /etc/shadow", "read /etc/passwd", "read the server's key", "read the parent's variables", "read its own variables", "read the parent's memory",
		"list /", "list /root", "list /proc", "list /dev", "write to /tmp", "create a file", "create a directory", "create a link", "link a file",
		"append to a file", "truncate a file", "chmod a file", "rename a file", "unlink a file", "mknod", "make a pipe", "open a thousand",
		"exec /bin/sh", "start a program", "signal the parent", "signal a thread of the parent", "ptrace the parent",
		"read from the parent", "more core", "setuid 0", "setgid 0", "setgroups", "capset", "mount", "chroot", "bpf", "perf", "init_module", "kexec", "reboot",
		"host name", "Unix socket",
	}
	for _, name := range names {
		if acts()[name].do == nil {
			t.Fatalf("no act %q", name)
		}
	}
	// Not "listen": Go listens with MPTCP, which Landlock does not see.
	network := []string{"connect elsewhere", "bind", "raw socket", "packet socket", "Unix socket"}
	if os.Getuid() != 0 {
		t.Skip("without a user of its own only the filter stands before some")
	}
	v := victims(t)
	v.Half, v.Options.Files, v.Acts = true, []string{v.Allowed}, names
	res := runTask(t, v)
	res.needs(t, sandbox.OwnUser, sandbox.FileAccess, sandbox.Signals, sandbox.UnixSockets)
	expectDenied(t, res, names)

	v = victims(t)
	v.Half, v.Options.Ports, v.Acts = true, []uint16{uint16(v.Port)}, network
	res = runTask(t, v)
	res.needs(t, sandbox.PortAccess)
	expectDenied(t, res, network)
}

func TestEnter_NetworkActsAreDeniedBesideOnePort(t *testing.T) {
	names := wanted(func(a act) bool { return a.network })
	v := victims(t)
	v.Options.Ports, v.Acts, v.Work = []uint16{uint16(v.Port)}, names, "dial"
	res := runTask(t, v)
	res.needs(t, sandbox.PortAccess, sandbox.SystemCalls)
	expectDenied(t, res, names)
}

func TestEnter_EvilActsEndTheProcess(t *testing.T) {
	for _, name := range wanted(func(a act) bool { return a.kills }) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := runTask(t, task{Acts: []string{name}})
			res.needs(t, sandbox.SystemCalls)
			var exit *exec.ExitError
			if !errors.As(res.err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != unix.SIGSYS {
				t.Errorf("ended with %v, want %v\n%s", res.err, unix.SIGSYS, res.out)
			}
			if !strings.HasSuffix(res.out, "try "+name+"\n") {
				t.Errorf("the last it said is not the attempt:\n%s", res.out)
			}
		})
	}
}

// Threads are bounded where the process has a user of its own, whose threads the kernel counts.
func TestEnter_ThreadBombEndsTheProcessAlone(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a process a user of its own")
	}
	res := runTask(t, task{Work: "thread bomb"})
	res.needs(t, sandbox.OwnUser, sandbox.Limits)
	if res.err == nil || !strings.Contains(res.out, "threads 400\n") || strings.Contains(res.out, "threads 600\n") {
		t.Errorf("%v\n%.2000s", res.err, res.out)
	}
}

func TestEnter_WorkIsPossible(t *testing.T) {
	v := victims(t)
	private := v.Key
	tests := []struct {
		name string
		work string
		o    sandbox.Options
		file string
	}{
		{"threads", "threads", sandbox.Options{}, ""},
		{"memory", "memory", sandbox.Options{}, ""},
		{"time", "time", sandbox.Options{}, ""},
		{"a file", "read", sandbox.Options{Files: []string{v.Allowed}}, v.Allowed},
		{"a private file", "read", sandbox.Options{Files: []string{private}}, private},
		{"a file in an allowed directory", "read", sandbox.Options{Files: []string{v.Open}}, v.Allowed},
		{"a port", "dial", sandbox.Options{Ports: []uint16{uint16(v.Port)}}, ""},
		{"names", "look up", sandbox.Options{Ports: []uint16{uint16(v.Port), 53}, Datagrams: true}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			job := v
			job.Options, job.Work, job.Allowed = test.o, test.work, test.file
			if res := runTask(t, job); res.err != nil || !strings.Contains(res.out, "\ndone "+test.work+"\n") {
				t.Errorf("%v\n%s", res.err, res.out)
			}
		})
	}
}

// A camera's node belongs to a group, which its process keeps; it may come back as another node.
func TestEnter_Device(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make a device")
	}
	v := victims(t)
	dir := filepath.Join(v.Open, "dev")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const video = 44
	for _, name := range []string{"video0", "video1"} {
		path := filepath.Join(dir, name)
		if err := unix.Mknod(path, unix.S_IFCHR, int(unix.Mkdev(1, 3))); err != nil { // as /dev/null
			t.Skipf("this system makes no devices: %v", err)
		}
		if err := errors.Join(os.Chown(path, 0, video), os.Chmod(path, 0o660)); err != nil {
			t.Fatal(err)
		}
		if f, err := os.OpenFile(path, os.O_RDWR, 0); err != nil {
			t.Skipf("devices cannot be used there: %v", err)
		} else if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"list /dev", "read the server's key", "create a file", "TIOCSTI", "TIOCSTI by the upper half", "connect", "append to a file"}
	v.Options.Devices, v.Work, v.Acts, v.Allowed = []string{filepath.Join(dir, "video0")}, "device", names, filepath.Join(dir, "video1")
	res := runTask(t, v)
	res.needs(t, sandbox.FileAccess, sandbox.SystemCalls)
	expectDenied(t, res, names)
	if !strings.Contains(res.out, "\ndone device\n") {
		t.Error(res.out)
	}

	// Without that group, and so without the device.
	v.Options.Devices, v.Options.Files, v.Acts = nil, []string{dir}, nil
	if res := runTask(t, v); res.err == nil {
		t.Errorf("a device that was not asked for can be used:\n%s", res.out)
	}
}

// Of hardware that encodes, the nodes named may be used, and no others beside them.
func TestEnter_Nodes(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make a device")
	}
	v := victims(t)
	own := filepath.Join(v.Open, "renderD128")
	for _, path := range []string{own, v.Node} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if err := unix.Mknod(path, unix.S_IFCHR, int(unix.Mkdev(1, 3))); err != nil { // as /dev/null
			t.Skipf("this system makes no devices: %v", err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
		if f, err := os.OpenFile(path, os.O_RDWR, 0); err != nil {
			t.Skipf("devices cannot be used there: %v", err)
		} else if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"another device", "list /dev", "read the server's key", "create a file", "TIOCSTI", "connect", "append to a file"}
	v.Options.Nodes, v.Options.Requests = []string{own}, []uint8{'V'}
	v.Allowed, v.Work, v.Acts = own, "device", names
	res := runTask(t, v)
	res.needs(t, sandbox.FileAccess, sandbox.SystemCalls)
	expectDenied(t, res, names)

	v.Options.Requests, v.Acts = nil, nil
	if res := runTask(t, v); res.err == nil || !strings.Contains(res.out, "control: operation not permitted") {
		t.Errorf("a request of a type that was not asked for reaches the device: %v\n%s", res.err, res.out)
	}
}

// Who reads a screen keeps the user, and one socket; all else is as closed as ever.
func TestEnter_Socket(t *testing.T) {
	names := wanted(func(a act) bool { return !a.kills && !a.network })
	v := victims(t)
	v.Options.Socket = filepath.Join(v.Open, "X0")
	listen(t, "unix", v.Options.Socket)
	v.Options.Files, v.Acts, v.Work = []string{v.Allowed}, names, "dial a socket"
	res := runTask(t, v)
	res.needs(t, sandbox.FileAccess, sandbox.SystemCalls, sandbox.NoNewCode)
	if !slices.Contains(res.report.On, sandbox.EmptyNetwork) { // then sockets of the abstract kind are open, and the report says so
		if !slices.ContainsFunc(res.report.Missing, func(l sandbox.Lack) bool { return l.Measure == sandbox.UnixSockets }) {
			t.Errorf("not told: %+v", res.report.Missing)
		}
		names = slices.DeleteFunc(names, func(n string) bool { return n == "Unix socket" })
	}
	expectDenied(t, res, names)
	if !strings.Contains(res.out, "\ndone dial a socket\n") {
		t.Error(res.out)
	}
	if os.Getuid() == 0 && res.report.Complete() {
		t.Error("complete, and still root")
	}
}

// A private file costs the process's own user a capability; it must open nothing else.
func TestEnter_PrivateFileOpensNoOther(t *testing.T) { privateFile(t) }

// Containers take the usual capability from root.
func TestEnter_PrivateFileInAContainer(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root has capabilities to lose")
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip(err)
	}
	privateFile(t, func(c *exec.Cmd) {
		c.Args = []string{setpriv, "--bounding-set", "-dac_read_search,-sys_admin", c.Path}
		c.Path = setpriv
	})
}

func privateFile(t *testing.T, prepare ...func(*exec.Cmd)) {
	t.Helper()
	v := victims(t)
	private := filepath.Join(v.Open, "private")
	if err := os.WriteFile(private, []byte("picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := wanted(func(a act) bool { return !a.kills && !a.network })
	v.Options.Files, v.Allowed, v.Work, v.Acts = []string{private}, private, "read", names
	res := runTask(t, v, prepare...)
	res.needs(t, sandbox.FileAccess, sandbox.SystemCalls, sandbox.NoNewCode)
	expectDenied(t, res, names)
	if os.Getuid() == 0 && len(res.report.Notes) == 0 {
		t.Error("the report does not tell of the capability")
	}
}

func TestEnter_InheritedSocketWorks(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	defer func() { _ = ours.Close() }()
	defer func() { _ = theirs.Close() }()
	if _, err := io.WriteString(ours, "hello\n"); err != nil {
		t.Fatal(err)
	}
	res := runTask(t, task{Options: sandbox.Options{Inherit: []int{3}}, Work: "inherited"}, func(c *exec.Cmd) { c.ExtraFiles = []*os.File{theirs} })
	if res.err != nil {
		t.Fatalf("%v\n%s", res.err, res.out)
	}
	if line, err := bufio.NewReader(ours).ReadString('\n'); err != nil || line != "HELLO\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

// A descriptor that the parent forgot is not there inside.
func TestEnter_OtherDescriptorsAreClosed(t *testing.T) {
	f, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	res := runTask(t, task{Work: "inherited"}, func(c *exec.Cmd) { c.ExtraFiles = []*os.File{f} })
	res.needs(t, sandbox.Descriptors)
	if res.err == nil || !strings.Contains(res.out, "bad file descriptor") {
		t.Errorf("%v\n%s", res.err, res.out)
	}
}

func TestEnter_FileThatIsNotThereYet(t *testing.T) {
	v := victims(t)
	later := filepath.Join(v.Open, "later")
	v.Options.Files, v.Work = []string{later}, "read"
	res := runTask(t, v) // reads its neighbour instead
	res.needs(t, sandbox.FileAccess)
	if res.err != nil || len(res.report.Notes) == 0 {
		t.Errorf("%v, notes %q\n%s", res.err, res.report.Notes, res.out)
	}
}

func TestEnter_EndsWithItsParent(t *testing.T) {
	// The parent in between is a shell that starts the child and is killed.
	b, err := json.Marshal(task{Options: sandbox.Options{EndWithParent: true}, Work: "wait for the parent"})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `"$0" & wait`, childProgram())
	cmd.Env = []string{envTask + "=" + string(b)}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	for lines.Scan() { // until the child has closed it too
		t.Error(lines.Text())
	}
	if d := time.Since(started); d > 10*time.Second {
		t.Errorf("the child lived on for %v", d)
	}
	_ = cmd.Wait() // killed
}

// An ordinary user has the same walls, but for those that only root can build.
func TestEnter_AsAnOrdinaryUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("the other tests are run by one")
	}
	names := wanted(func(a act) bool { return !a.kills && !a.network })
	v := victims(t)
	program, err := os.Open(childProgram()) // its directory is closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Close() }()
	v.Options.Files, v.Acts, v.Work = []string{v.Allowed}, names, "read"
	res := runTask(t, v, func(c *exec.Cmd) {
		c.Path, c.ExtraFiles = "/proc/self/fd/3", []*os.File{program}
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
	})
	res.needs(t, sandbox.FileAccess, sandbox.SystemCalls, sandbox.NoNewCode)
	expectDenied(t, res, names)
	if !res.report.Complete() {
		t.Errorf("%+v", res.report)
	}
}

func TestEnter_RequireIsMetHere(t *testing.T) {
	res := runTask(t, task{Options: sandbox.Options{Require: true}, Work: "time"})
	res.needs(t, sandbox.FileAccess, sandbox.SystemCalls)
	if res.err != nil {
		t.Errorf("%v\n%s", res.err, res.out)
	}
	t.Logf("%+v", res.report)
}

// Older kernels and stricter containers: what is lacking is told, the rest stands, and --sandbox require refuses.
func TestEnter_WhatThisKernelLacks(t *testing.T) {
	tests := []struct {
		name    string
		lack    []uintptr
		missing sandbox.Measure
		fatal   bool // for those who require the sandbox
		acts    []string
	}{
		{
			"no Landlock",
			[]uintptr{unix.SYS_LANDLOCK_CREATE_RULESET},
			sandbox.FileAccess, true,
			[]string{"write to /tmp", "create a file", "append to a file", "unlink a file", "truncate a file", "signal the parent", "connect", "fork", "setuid 0"},
		},
		{
			"no filters",
			[]uintptr{unix.SYS_SECCOMP},
			sandbox.SystemCalls, true,
			[]string{"read /etc/shadow", "write to /tmp", "create a file", "unlink a file", "signal the parent", "list /", "start a program"},
		},
		{
			"no network namespaces",
			[]uintptr{unix.SYS_UNSHARE},
			sandbox.EmptyNetwork, false,
			[]string{"connect", "socket of any kind", "read /etc/shadow"},
		},
		{
			"no close_range",
			[]uintptr{unix.SYS_CLOSE_RANGE},
			sandbox.Descriptors, false,
			[]string{"connect", "read /etc/shadow"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := victims(t)
			v.Lack, v.Acts, v.Options.Files = test.lack, test.acts, []string{v.Allowed}
			v.Work = "read"
			res := runTask(t, v)
			res.needs(t, sandbox.OwnUser)
			expectDenied(t, res, test.acts)
			i := slices.IndexFunc(res.report.Missing, func(l sandbox.Lack) bool { return l.Measure == test.missing })
			if i < 0 || res.report.Missing[i].Why == "" {
				t.Errorf("%s is not told to be missing: %+v", test.missing, res.report)
			}
			if res.report.Complete() == test.fatal {
				t.Errorf("complete is %v", res.report.Complete())
			}
			v.Options.Require = true
			res = run(t, v)
			refused := res.err != nil && strings.Contains(res.out, "the sandbox that is required cannot be made here: "+string(test.missing)+": ")
			if refused != test.fatal {
				t.Errorf("required: %v\n%s", res.err, res.out)
			}
		})
	}
}

// A report that somebody put into the environment does not stand for a sandbox.
func TestEnter_ForgedReportIsRefused(t *testing.T) {
	b, err := json.Marshal(task{Work: "time"})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), childProgram())
	cmd.Env = []string{envTask + "=" + string(b), `SIGHTLINE_SANDBOX={"on":["system-calls"]}`}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the process is not confined") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestEnter_BadOptions(t *testing.T) {
	tests := []struct {
		name string
		o    sandbox.Options
		want string
	}{
		{"datagrams alone", sandbox.Options{Datagrams: true}, "datagrams without a port"},
		{"no name", sandbox.Options{Env: []string{"=x"}}, "not of the form"},
		{"no value", sandbox.Options{Env: []string{"secret"}}, "not of the form"},
		{"standard descriptor", sandbox.Options{Inherit: []int{2}}, "descriptor 2"},
		{"high descriptor", sandbox.Options{Inherit: []int{256}}, "descriptor 256"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := sandbox.Enter(test.o); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestReport_NamesWhatIsMissing(t *testing.T) {
	r := sandbox.Report{
		On:      []sandbox.Measure{sandbox.Limits, sandbox.OwnUser, sandbox.NoPrivileges, sandbox.SystemCalls},
		Missing: []sandbox.Lack{{Measure: sandbox.FileAccess, Why: "this kernel has no Landlock"}},
	}
	if r.Complete() {
		t.Error("complete without access to files confined")
	}
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "sandbox", r)
	if !strings.Contains(out.String(), `sandbox.missing_file-access="this kernel has no Landlock"`) || !strings.Contains(out.String(), "own-user") {
		t.Error(out.String())
	}
	if s := r.String(); s != "Confined in part, without file-access (this kernel has no Landlock)." {
		t.Error(s)
	}
	r.On, r.Missing = append(r.On, sandbox.FileAccess), nil
	if !r.Complete() {
		t.Error("incomplete with everything essential")
	}
	if s := r.String(); s != "Confined." {
		t.Error(s)
	}
	r.Missing = []sandbox.Lack{{Measure: sandbox.EmptyNetwork, Why: "only root can make a network namespace"}}
	if s := r.String(); s != "Confined, but without empty-network (only root can make a network namespace)." {
		t.Error(s)
	}
	if s := (sandbox.Report{}).String(); s != "Not confined." {
		t.Error(s)
	}
}
