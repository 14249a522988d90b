//go:build amd64 || arm64

package sandbox

import (
	"bufio"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// envReport carries the report of the first stage into the second, and tells that there was one.
const envReport = "SIGHTLINE_SANDBOX"

// Inside tells whether this process was started by Enter.
func Inside() bool { return os.Getenv(envReport) != "" }

func enter(o Options) (Report, error) {
	if report := os.Getenv(envReport); report != "" {
		return secondStage(o, report)
	}
	runtime.LockOSThread() // for good: what is taken from this thread does not come back
	return Report{}, firstStage(o)
}

// firstStage limits this thread and executes the program anew. It returns only an error.
func firstStage(o Options) error {
	var r Report
	program, err := os.Executable()
	if err != nil {
		return err
	}
	image, err := unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the running program: %w", err)
	}
	libraries, err := mapped(program)
	if err != nil {
		return err
	}
	rules, err := ruleset(o, libraries, &r)
	if err != nil {
		return err
	}
	r.check(Descriptors, closeOthers(o.Inherit))
	if err := limit(o, &r); err != nil {
		return err
	}
	if len(o.Ports) == 0 {
		emptyNetwork(&r)
	}
	if err := changeUser(o, append(libraries, o.Files...), rules != nil, &r); err != nil {
		return err
	}
	r.check(NoPrivileges, unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	if rules != nil {
		if err := rules.restrict(); err != nil {
			return fmt.Errorf("restrict with Landlock: %w", err)
		}
		rules.report(&r)
	}
	env, err := environment(o, r)
	if err != nil {
		return err
	}
	err = syscall.Exec(program, os.Args, env) //nolint:gosec // itself, as it was called
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOENT) {
		// In a directory that is closed to the new user, or replaced since by a newer one.
		err = syscall.Exec("/proc/self/fd/"+strconv.Itoa(image), os.Args, env) //nolint:gosec // as above
	}
	if errors.Is(err, unix.EACCES) {
		return fmt.Errorf("the program %s may not be run by another user than its owner; make it executable for all with chmod 755", program)
	}
	return fmt.Errorf("execute %s anew: %w", program, err)
}

// mapped lists the files other than program that are mapped into this process to be executed: the dynamic loader and the libraries.
func mapped(program string) ([]string, error) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil, fmt.Errorf("list the libraries: %w", err)
	}
	defer func() { _ = f.Close() }() // read only
	var files []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text()) // address, permissions, offset, device, inode, path
		if len(fields) < 6 || !strings.Contains(fields[1], "x") || !strings.HasPrefix(fields[5], "/") {
			continue
		}
		_, path, _ := strings.Cut(lines.Text(), "/")
		if path = "/" + path; path != program && !strings.HasSuffix(path, " (deleted)") && !slices.Contains(files, path) {
			files = append(files, path)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("list the libraries: %w", err)
	}
	return files, nil
}

// loader is the dynamic loader that the running program names, "" if it needs none.
func loader() (string, error) {
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		return "", fmt.Errorf("read the running program: %w", err)
	}
	defer func() { _ = f.Close() }() // read only
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			path, err := io.ReadAll(io.LimitReader(p.Open(), 4096))
			if err != nil {
				return "", fmt.Errorf("read the running program: %w", err)
			}
			return strings.TrimRight(string(path), "\x00"), nil
		}
	}
	return "", nil
}

// ruleset makes the Landlock rules; nil where there is no Landlock.
func ruleset(o Options, libraries []string, r *Report) (*landlock, error) {
	l, err := newLandlock(o.Socket == "")
	if err != nil {
		for _, m := range []Measure{FileAccess, DeviceControl, PortAccess, UnixSockets, Signals} {
			r.missing(m, "%v", err)
		}
		return nil, nil
	}
	interpreter, err := loader()
	if err != nil {
		return nil, err
	}
	// Execution is for what comes next; the second stage ends it.
	programs := []string{"/proc/self/exe"}
	if interpreter != "" {
		programs = append(programs, interpreter)
	}
	if err := l.allowAll(readFile|execute, programs...); err != nil {
		return nil, err
	}
	// What the C library, name look-up, TLS and the clock read, and libraries that others load when they are used.
	if err := l.allowAll(readFile|readDir, append(libraries,
		"/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache",
		"/etc/localtime", "/usr/share/zoneinfo", "/usr/share/locale", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom",
		"/sys/devices/system/cpu", "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
	)...); err != nil {
		return nil, err
	}
	if len(o.Ports) > 0 {
		if err := l.allowAll(readFile|readDir, "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
			"/run/systemd/resolve", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/gnutls"); err != nil {
			return nil, err
		}
	}
	for _, path := range o.Files {
		if err := l.allowSource(path, r); err != nil {
			return nil, err
		}
	}
	for _, path := range o.Devices {
		if err := l.allow(filepath.Dir(path), device); err != nil {
			return nil, err
		}
	}
	for _, path := range o.Nodes {
		if err := l.allow(path, device); err != nil {
			return nil, err
		}
	}
	if len(o.Nodes) > 0 { // what their drivers' libraries look up
		if err := l.allowAll(readFile|readDir, "/sys/dev/char", "/sys/devices", "/usr/share/libdrm", "/usr/share/drirc.d"); err != nil {
			return nil, err
		}
	}
	if o.Socket != "" {
		if err := l.allow(o.Socket, unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	for _, port := range o.Ports {
		if err := l.allowPort(port); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// closeOthers has all descriptors closed by execution but the standard ones and those to be inherited.
func closeOthers(inherit []int) error {
	if err := unix.CloseRange(3, ^uint(0)>>33, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("this kernel cannot close a range of descriptors: %w", err)
	}
	for _, fd := range inherit {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("keep descriptor %d: %w", fd, err)
		}
	}
	return nil
}

func limit(o Options, r *Report) error {
	limits := []struct {
		what  string
		which int
		value uint64
	}{
		{"memory", unix.RLIMIT_DATA, o.Memory},
		{"stack", unix.RLIMIT_STACK, stackBytes},
		{"open files", unix.RLIMIT_NOFILE, maxFiles},
		{"core dumps", unix.RLIMIT_CORE, 0},
		{"message queues", unix.RLIMIT_MSGQUEUE, 0},
	}
	for _, l := range limits {
		if err := lower(l.which, l.value); err != nil {
			return fmt.Errorf("limit %s: %w", l.what, err)
		}
	}
	r.on(Limits)
	if fd, regular := regularOutput(); regular {
		r.missing(NoFileWrites, "descriptor %d is a regular file, to which output goes", fd)
	} else {
		r.check(NoFileWrites, lower(unix.RLIMIT_FSIZE, 0))
	}
	// Should memory run out, this process is the first to go. Where it cannot be said, the kernel chooses by size.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0)
	return nil
}

// lower sets a limit for good, to value or to what it is if that is less.
func lower(which int, value uint64) error {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(which, &now); err != nil {
		return err
	}
	value = min(value, now.Max)
	// Through package syscall, which would otherwise give back the number of files on execution.
	return syscall.Setrlimit(which, &syscall.Rlimit{Cur: value, Max: value})
}

// regularOutput finds a standard output that is a regular file.
func regularOutput() (fd int, found bool) {
	for fd := 1; fd <= 2; fd++ {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			return fd, true
		}
	}
	return 0, false
}

// emptyNetwork moves the process into a network of its own with nothing in it. It doubles the filter, which allows no sockets.
func emptyNetwork(r *Report) {
	err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWIPC)
	if errors.Is(err, unix.EPERM) {
		r.missing(EmptyNetwork, "only root can make a network namespace")
		return
	}
	r.check(EmptyNetwork, err)
}

// Users. Each process started by root has one of its own, which no other has: processes of one user could look into one another.
const (
	firstUser = 0x53000000 // far above those of people and of services; process ids have at most 22 bits
	nobody    = 65534
)

// changeUser gives up root and every capability. Paths that the process needs but its new user may not read keep one capability, for
// reading, if Landlock says of what.
func changeUser(o Options, paths []string, landlocked bool, r *Report) error {
	if os.Getuid() != 0 && os.Geteuid() != 0 {
		if err := setCapabilities(0); err != nil {
			return err
		}
		r.on(OwnUser)
		r.Notes = append(r.Notes, "the user is the one that started it, since only root can change that")
		return nil
	}
	if o.Socket != "" {
		r.missing(OwnUser, "the server of its source lets in by user")
		return setCapabilities(0)
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keep capabilities for the moment: %w", err)
	}
	user, groups := firstUser+os.Getpid(), groupsOf(slices.Concat(o.Devices, o.Nodes))
	err := become(user, groups)
	if errors.Is(err, unix.EINVAL) { // no such user in this user namespace
		user = nobody
		err = become(user, groups)
	}
	if err != nil {
		if err := setCapabilities(0); err != nil {
			return err
		}
		r.missing(OwnUser, "root cannot become another user here: %v", err)
		return nil
	}
	if user != nobody {
		if err := lower(unix.RLIMIT_NPROC, maxThreads); err != nil {
			return fmt.Errorf("limit threads: %w", err)
		}
	}
	if path, closed := unreadable(paths); closed {
		if capability, ok := readingCapability(); ok && landlocked {
			r.Notes = append(r.Notes, path+" is private, so the process keeps the capability to read private files, which Landlock confines to those it needs")
			r.on(OwnUser)
			return keepCapability(capability)
		}
		r.Notes = append(r.Notes, path+" is private, and may not be read by the process's own user")
	}
	if err := setCapabilities(0); err != nil {
		return err
	}
	r.on(OwnUser)
	return nil
}

// become changes the user of this thread, and drops all groups but some. It goes past package syscall, which would change all threads: they
// end soon, and with the C library it could not.
func become(user int, groups []uint32) error {
	var first unsafe.Pointer
	if len(groups) > 0 {
		first = unsafe.Pointer(&groups[0])
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(first), 0); errno != 0 {
		return errno
	}
	id := uintptr(user)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, id, id, id); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, id, id, id); errno != 0 {
		return errno
	}
	return nil
}

// groupsOf gives the groups that may use the devices, such as video. Root's own is none.
func groupsOf(devices []string) []uint32 {
	var groups []uint32
	for _, path := range devices {
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil && st.Mode&0o060 != 0 && st.Gid != 0 && !slices.Contains(groups, st.Gid) {
			groups = append(groups, st.Gid)
		}
	}
	return groups
}

// unreadable finds a path that this thread may not read.
func unreadable(paths []string) (string, bool) {
	for _, path := range paths {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if errors.Is(err, unix.EACCES) {
			return path, true
		}
		if err == nil {
			_ = unix.Close(fd) // read only
		}
	}
	return "", false
}

// readingCapability gives the one this thread has of those that open private files. Containers often lack the first.
func readingCapability() (capability int, ok bool) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return 0, false
	}
	for _, capability := range []int{unix.CAP_DAC_READ_SEARCH, unix.CAP_DAC_OVERRIDE} {
		if data[0].Permitted&(1<<capability) != 0 {
			return capability, true
		}
	}
	return 0, false
}

// keepCapability drops all capabilities but one, which outlives execution.
func keepCapability(capability int) error {
	if err := setCapabilities(1 << capability); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(capability), 0, 0); err != nil {
		return fmt.Errorf("keep capability %d: %w", capability, err)
	}
	return nil
}

// setCapabilities leaves this thread the capabilities in set, which are below 32, and none to gain.
func setCapabilities(set uint32) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: set, Permitted: set, Inheritable: set}}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

// environment is that of the second stage.
func environment(o Options, r Report) ([]string, error) {
	report, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	// The runtime cannot read the limits of its control group from inside.
	env := append(slices.Clone(o.Env), envReport+"="+string(report), "GOMAXPROCS="+strconv.Itoa(runtime.GOMAXPROCS(0)))
	for _, name := range []string{"LD_LIBRARY_PATH", "GOTRACEBACK"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env, nil
}

// secondStage adds what execution would have undone, or would have been undone by.
func secondStage(o Options, report string) (Report, error) {
	var r Report
	if err := json.Unmarshal([]byte(report), &r); err != nil {
		return Report{}, fmt.Errorf("%s in the environment is not ours; take it out: %w", envReport, err)
	}
	if on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || on != 1 {
		return Report{}, fmt.Errorf("%s is in the environment, but the process is not confined; take it out", envReport)
	}
	if o.EndWithParent {
		if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0); err != nil {
			return r, fmt.Errorf("end with the parent: %w", err)
		}
	}
	r.check(NoDumps, unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	if err := unix.Prctl(unix.PR_SET_MDWE, unix.PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0); err != nil {
		r.missing(NoNewCode, "this kernel is older than that")
	} else {
		r.on(NoNewCode)
	}
	program, err := assemble(policy(o, os.Getpid()))
	if err != nil {
		return r, err
	}
	r.check(SystemCalls, install(program))
	return r, nil
}
