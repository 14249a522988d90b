package load

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Listener is the process that listens on a port of this machine. The error is ErrNotHere if host is another machine, or none is found.
func Listener(host string, port uint16) (*Process, error) {
	if !local(host) {
		return nil, ErrNotHere
	}
	sockets := map[string]bool{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(table)) {
			// proc(5): number, local address and port in hexadecimal, remote, state (0A: listens), …, and tenth the socket's inode.
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				sockets["socket:["+f[9]+"]"] = true
			}
		}
	}
	files, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil || len(sockets) == 0 {
		return nil, ErrNotHere
	}
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && sockets[to] {
			pid, err := strconv.Atoi(strings.Split(file, "/")[2])
			if err == nil {
				return &Process{pid}, nil
			}
		}
	}
	return nil, ErrNotHere
}

// local reports whether host is this machine.
func local(host string) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host == "localhost"
	}
	if ip.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == ip {
			return true
		}
	}
	return false
}

// ticksPerSecond is the unit of times in /proc, USER_HZ, which is 100 on every Linux that Go runs on.
const ticksPerSecond = 100

func (p *Process) used() (u used) {
	if p == nil {
		return u
	}
	u.at = time.Now()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return u
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // ended meanwhile
		}
		// proc(5): behind the name in brackets come state, parent, …, and 12th and 13th the ticks in user and kernel mode.
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(f) < 13 {
			continue
		}
		user, _ := strconv.Atoi(string(f[11])) // the kernel's own digits
		system, _ := strconv.Atoi(string(f[12]))
		cpu := time.Duration(user+system) * time.Second / ticksPerSecond
		switch own := strconv.Itoa(p.pid); {
		case strings.Split(file, "/")[2] == own:
			u.cpu, u.known = cpu, true
		case string(f[1]) == own:
			u.capture += cpu
		}
	}
	return u
}

// memory is what it holds, in MB.
func (p *Process) memory() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.pid))
	if err != nil {
		return 0
	}
	f := bytes.Fields(b)
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(string(f[1]))
	return float64(pages*os.Getpagesize()) / 1e6
}
