// Package sandbox takes from a process every right it does not need to read one camera, so that a decoder taken over by what
// the camera sent can do nothing with it. It knows system calls and paths, and neither cameras nor servers. It starts no
// goroutines.
//
// # How
//
// Enter is called first thing in main. It limits the thread it runs on (own user, no new privileges, resource limits, Landlock,
// an empty network) and then executes the same program again, so that every thread of the new process is born limited: Go has
// started threads before main, and the C library more. Called in the new process, Enter adds what can only be done there (a
// seccomp filter over all threads, no dumps, no new executable memory) and returns.
//
// Every mechanism is probed and what this kernel lacks is reported, never passed over in silence.
package sandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Options say what the process needs. Everything else is taken away.
type Options struct {
	// Require makes Enter fail where a measure that the sandbox rests on (see Report.Complete) is missing.
	Require bool
	// Env is the whole environment inside, as KEY=value. Enter adds what the dynamic loader and the Go runtime need.
	Env []string
	// Inherit are the descriptors from 3 up that stay open.
	Inherit []int
	// Files are files or directories to read. One that is not there yet opens its directory instead.
	Files []string
	// Devices are device nodes to read, write and control. Their directory is opened rather than the nodes alone, because a
	// device that was pulled out comes back as another node; their modes keep the others closed.
	Devices []string
	// Nodes are device nodes as Devices, but they alone, for what may be asked in Requests: the types of ioctl requests (bits 8 to 15), beside those of video
	// devices.
	Nodes    []string
	Requests []uint8
	// Socket is a Unix stream socket to connect to. Its server may let in by user, so the process keeps the one that started it; and since a name of the
	// abstract kind may be tried first, only an empty network keeps the process from others of that kind. Empty: none.
	Socket string
	// Ports are the TCP ports to connect to. With none the process has no network at all.
	Ports []uint16
	// Datagrams allows UDP, for looking up names and for RTP. It needs Ports.
	Datagrams bool
	// Memory bounds what the process can allocate, in bytes; 0 is DefaultMemory.
	Memory uint64
	// EndWithParent has the process told to terminate when the one that started it is gone.
	EndWithParent bool
}

// DefaultMemory is what a process may allocate when Options do not say, in bytes. Three renditions of the test pattern took 320 MB in
// 1080p and 635 MB in 2160p on two cores, thread stacks included; more cores mean more threads.
const DefaultMemory = 3 << 29

func (o Options) validate() error {
	if o.Datagrams && len(o.Ports) == 0 {
		return errors.New("sandbox: datagrams without a port to connect to")
	}
	for _, kv := range o.Env {
		if name, _, ok := strings.Cut(kv, "="); !ok || name == "" || strings.ContainsRune(kv, 0) {
			return errors.New("sandbox: an environment variable is not of the form KEY=value")
		}
	}
	for _, fd := range o.Inherit {
		if fd < 3 || fd >= maxFiles {
			return fmt.Errorf("sandbox: descriptor %d cannot be inherited, want 3 to %d", fd, maxFiles-1)
		}
	}
	return nil
}

// The limits that do not depend on the source.
const (
	maxFiles   = 256
	maxThreads = 512
	stackBytes = 2 << 20 // of each thread that does not ask for another size
)

// Measure is one thing that confines the process.
type Measure string

// The measures, in the order in which they are taken.
const (
	Descriptors   Measure = "descriptors"    // none inherited but those asked for
	Limits        Measure = "limits"         // memory, files, threads, no core dumps
	NoFileWrites  Measure = "no-file-writes" // not a byte to any regular file, even one that is open
	EmptyNetwork  Measure = "empty-network"  // a network namespace with nothing in it
	OwnUser       Measure = "own-user"       // not root, and no capability
	NoPrivileges  Measure = "no-privileges"  // no new privileges by executing anything
	FileAccess    Measure = "file-access"    // Landlock: the files named, for reading
	DeviceControl Measure = "device-control" // Landlock: ioctl on the devices named alone
	PortAccess    Measure = "port-access"    // Landlock: TCP to the ports named alone
	Signals       Measure = "signals"        // Landlock: none to a process outside
	UnixSockets   Measure = "unix-sockets"   // Landlock: no abstract socket outside
	NoDumps       Measure = "no-dumps"       // others cannot look into the process
	NoNewCode     Measure = "no-new-code"    // memory that was writable never becomes executable
	SystemCalls   Measure = "system-calls"   // seccomp: those on the list alone
)

// essential measures are those without which a taken-over process could read or harm what is not its own.
func essential() []Measure {
	return []Measure{Limits, OwnUser, NoPrivileges, FileAccess, SystemCalls}
}

// Lack is a measure that could not be taken.
type Lack struct {
	Measure Measure `json:"measure"`
	Why     string  `json:"why"` // a clause without a full stop
}

// Report tells what confines the process.
type Report struct {
	On      []Measure `json:"on"`
	Missing []Lack    `json:"missing,omitempty"`
	Notes   []string  `json:"notes,omitempty"` // what is wider open than usual, and why
}

func (r *Report) on(m Measure) { r.On = append(r.On, m) }

func (r *Report) missing(m Measure, why string, args ...any) {
	r.Missing = append(r.Missing, Lack{m, fmt.Sprintf(why, args...)})
}

// check records m as taken if err is nil, as missing otherwise.
func (r *Report) check(m Measure, err error) {
	if err != nil {
		r.missing(m, "%v", err)
		return
	}
	r.on(m)
}

// Complete tells whether the measures that the sandbox rests on are all taken. Those that double another one may be missing.
func (r Report) Complete() bool { return r.lacking() == nil }

// lacking is an error that names the first essential measure that is missing.
func (r Report) lacking() error {
next:
	for _, m := range essential() {
		for _, on := range r.On {
			if on == m {
				continue next
			}
		}
		for _, lack := range r.Missing {
			if lack.Measure == m {
				return fmt.Errorf("%w: %s: %s", ErrIncomplete, m, lack.Why)
			}
		}
		return fmt.Errorf("%w: %s", ErrIncomplete, m)
	}
	return nil
}

// String is the report as a sentence for people. It names no paths, since whoever may watch may read it.
func (r Report) String() string {
	why := make([]string, len(r.Missing))
	for i, lack := range r.Missing {
		why[i] = fmt.Sprintf("%s (%s)", lack.Measure, lack.Why)
	}
	missing := strings.Join(why, ", ")
	switch err := r.lacking(); {
	case len(r.On) == 0 && len(r.Missing) == 0:
		return "Not confined."
	case err != nil && missing == "":
		return "Confined in part, without all that the sandbox rests on."
	case err != nil:
		return "Confined in part, without " + missing + "."
	case missing != "":
		return "Confined, but without " + missing + "."
	}
	return "Confined."
}

// LogValue implements slog.LogValuer.
func (r Report) LogValue() slog.Value {
	on := make([]string, len(r.On))
	for i, m := range r.On {
		on[i] = string(m)
	}
	attrs := []slog.Attr{slog.String("on", strings.Join(on, " "))}
	for _, lack := range r.Missing {
		attrs = append(attrs, slog.String("missing_"+string(lack.Measure), lack.Why))
	}
	if len(r.Notes) > 0 {
		attrs = append(attrs, slog.String("notes", strings.Join(r.Notes, "; ")))
	}
	return slog.GroupValue(attrs...)
}

// ErrIncomplete is wrapped by Enter's error when Options.Require asks for more than this system has.
var ErrIncomplete = errors.New("the sandbox that is required cannot be made here")

// Enter confines this process to what o allows. It has to be called before anything else is started, since it executes the program
// anew with the same arguments; it returns in the new process, where Inside is true. After an error the process is in no state to go
// on: end it. What the system lacks is no error unless o.Require is set.
func Enter(o Options) (Report, error) {
	if err := o.validate(); err != nil {
		return Report{}, err
	}
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	r, err := enter(o)
	if err != nil {
		return r, fmt.Errorf("enter the sandbox: %w", err)
	}
	if o.Require {
		return r, r.lacking()
	}
	return r, nil
}
