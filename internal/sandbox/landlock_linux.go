//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights that Landlock can take, each probed: versions of the kernel add to them.
const (
	readFile = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readDir  = unix.LANDLOCK_ACCESS_FS_READ_DIR
	execute  = unix.LANDLOCK_ACCESS_FS_EXECUTE
	device   = readFile | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV

	// ofFile are the rights that a rule over a file, not a directory, may give.
	ofFile = execute | readFile | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV |
		unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX

	lastFileRight = unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
	tcpRights     = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
)

// ruleNetPort is LANDLOCK_RULE_NET_PORT, with portRule its argument, struct landlock_net_port_attr.
const ruleNetPort = 2

type portRule struct {
	allowed uint64
	port    uint64
}

// landlock is a ruleset in the making. Its descriptor is closed by execution.
type landlock struct {
	fd      int
	handled unix.LandlockRulesetAttr
	open    bool // abstract sockets are left out
}

func createRuleset(attr *unix.LandlockRulesetAttr) (int, error) {
	fd, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr), 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// supports asks the kernel for a ruleset over one right.
func supports(attr unix.LandlockRulesetAttr) bool {
	fd, err := createRuleset(&attr)
	if err != nil {
		return false
	}
	_ = unix.Close(fd) // holds nothing
	return true
}

// newLandlock makes a ruleset that takes every right this kernel knows, but with abstract sockets only if they are to be taken too.
func newLandlock(abstract bool) (*landlock, error) {
	if !supports(unix.LandlockRulesetAttr{Handled_access_fs: readFile}) {
		return nil, errors.New("this kernel has no Landlock, or it is not switched on (lsm=landlock,…)")
	}
	l := landlock{open: !abstract}
	for right := uint64(1); right <= lastFileRight; right <<= 1 {
		if supports(unix.LandlockRulesetAttr{Handled_access_fs: right}) {
			l.handled.Handled_access_fs |= right
		}
	}
	if supports(unix.LandlockRulesetAttr{Handled_access_net: tcpRights}) {
		l.handled.Handled_access_net = tcpRights
	}
	for _, scope := range []uint64{unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, unix.LANDLOCK_SCOPE_SIGNAL} {
		if supports(unix.LandlockRulesetAttr{Scoped: scope}) && (abstract || scope != unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET) {
			l.handled.Scoped |= scope
		}
	}
	var err error
	if l.fd, err = createRuleset(&l.handled); err != nil {
		return nil, fmt.Errorf("make a Landlock ruleset: %w", err)
	}
	return &l, nil
}

// report records what restrict has achieved.
func (l *landlock) report(r *Report) {
	r.on(FileAccess)
	for _, x := range []struct {
		m  Measure
		ok bool
	}{
		{DeviceControl, l.handled.Handled_access_fs&unix.LANDLOCK_ACCESS_FS_IOCTL_DEV != 0},
		{PortAccess, l.handled.Handled_access_net != 0},
		{UnixSockets, l.handled.Scoped&unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET != 0},
		{Signals, l.handled.Scoped&unix.LANDLOCK_SCOPE_SIGNAL != 0},
	} {
		switch {
		case x.ok:
			r.on(x.m)
		case x.m == UnixSockets && l.open:
			r.missing(x.m, "the source is behind one")
		default:
			r.missing(x.m, "the Landlock of this kernel is older than that")
		}
	}
}

// allow gives rights over path, and over all beneath it if it is a directory. It returns an error that wraps fs.ErrNotExist if there is no
// such path.
func (l *landlock) allow(path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { _ = unix.Close(fd) }() // O_PATH: nothing to lose
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= ofFile
	}
	if rights &= l.handled.Handled_access_fs; rights == 0 {
		return nil // nothing of it was taken
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(l.fd), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return &fs.PathError{Op: "allow", Path: path, Err: errno}
	}
	return nil
}

// allowAll gives rights over those of the paths that exist and that this user can reach: the rules give no leave that files' modes do not.
func (l *landlock) allowAll(rights uint64, paths ...string) error {
	for _, path := range paths {
		if err := l.allow(path, rights); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// allowSource gives leave to read path, or the directory it will be in.
func (l *landlock) allowSource(path string, r *Report) error {
	err := l.allow(path, readFile|readDir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(path)
	if dir == "/" {
		r.Notes = append(r.Notes, path+" is not there, and can be read only by a new process once it is")
		return nil
	}
	switch err := l.allow(dir, readFile|readDir); {
	case errors.Is(err, fs.ErrNotExist):
		r.Notes = append(r.Notes, path+" is not there, and can be read only by a new process once it is")
		return nil
	case err != nil:
		return err
	}
	r.Notes = append(r.Notes, path+" is not there, so its directory may be read until it is")
	return nil
}

// allowPort gives leave to connect to a TCP port.
func (l *landlock) allowPort(port uint16) error {
	if l.handled.Handled_access_net == 0 {
		return nil
	}
	rule := portRule{allowed: unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, port: uint64(port)}
	_, _, errno := unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(l.fd), ruleNetPort, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("allow port %d: %w", port, errno)
	}
	return nil
}

// restrict puts the rules into force for this thread and whatever it becomes.
func (l *landlock) restrict() error {
	if _, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(l.fd), 0, 0); errno != 0 {
		return errno
	}
	return nil
}
