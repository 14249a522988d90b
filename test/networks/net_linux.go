package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The addresses. The server is behind the delay; slow and fast are the viewers behind the router.
const (
	serverIP = "10.77.1.1"
	slow     = "slow"
	fast     = "fast"
)

// network is three or four namespaces: server, router and viewers. All shaping and dropping is done by the router, so
// that no host's own queue holds its sender back; the delay is made by this process, between server and router.
type network struct {
	prefix string
	tuns   []*os.File
}

func (n *network) ns(name string) string { return n.prefix + name }

func command(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// in runs a command line within a namespace.
func (n *network) in(ctx context.Context, name, line string) error {
	return command(ctx, append([]string{"ip", "netns", "exec", n.ns(name)}, strings.Fields(line)...)...)
}

// newNetwork builds it with the given round trip. Close it in any case.
func newNetwork(ctx context.Context, rtt time.Duration) (*network, error) {
	n := &network{prefix: fmt.Sprintf("sl%d-", os.Getpid()%10000)}
	for _, name := range []string{"server", "router", slow, fast} {
		if err := command(ctx, "ip", "netns", "add", n.ns(name)); err != nil {
			return n, err
		}
		if err := n.in(ctx, name, "ip link set lo up"); err != nil {
			return n, err
		}
	}
	for _, name := range []string{"server", "router"} {
		tun, err := openTun(n.ns(name), "delay")
		if err != nil {
			return n, err
		}
		n.tuns = append(n.tuns, tun)
	}
	go carry(n.tuns[0], n.tuns[1], rtt/2)
	go carry(n.tuns[1], n.tuns[0], rtt/2)
	lines := []struct{ name, line string }{
		{"server", "ip addr add " + serverIP + "/24 dev delay"},
		{"server", "ip link set delay up"},
		{"server", "ip route add default dev delay"},
		{"router", "ip addr add 10.77.1.254/24 dev delay"},
		{"router", "ip link set delay up"},
		{"router", "sysctl -qw net.ipv4.ip_forward=1"},
	}
	for i, viewer := range []string{slow, fast} {
		subnet := fmt.Sprintf("10.77.%d.", i+2)
		if err := command(ctx, "ip", "link", "add", viewer, "netns", n.ns("router"), "type", "veth",
			"peer", "name", "up", "netns", n.ns(viewer)); err != nil {
			return n, err
		}
		lines = append(lines, []struct{ name, line string }{
			{"router", "ip addr add " + subnet + "1/24 dev " + viewer},
			{"router", "ip link set " + viewer + " up"},
			{viewer, "ip addr add " + subnet + "2/24 dev up"},
			{viewer, "ip link set dev up up"},
			{viewer, "ip route add default via " + subnet + "1"},
		}...)
	}
	for _, l := range lines {
		if err := n.in(ctx, l.name, l.line); err != nil {
			return n, err
		}
	}
	return n, nil
}

// rate limits the way to the slow viewer: so many bit/s through a first-in-first-out buffer of so many bytes.
func (n *network) rate(ctx context.Context, bps, buffer int) error {
	burst := max(2000, bps/8/250) // 4 ms of the rate, but more than one packet
	return n.in(ctx, "router", fmt.Sprintf("tc qdisc replace dev %s root tbf rate %dbit burst %d limit %d", slow, bps, burst, buffer))
}

// carried is how many bytes the slow viewer's link has carried, headers included.
func (n *network) carried(ctx context.Context) (int, error) {
	out, err := exec.CommandContext(ctx, "ip", "netns", "exec", n.ns("router"), "tc", "-s", "-j", "qdisc", "show", "dev", slow).Output()
	if err != nil {
		return 0, fmt.Errorf("read what the link carried: %w", err)
	}
	var qdiscs []struct {
		Bytes int `json:"bytes"`
	}
	if err := json.Unmarshal(out, &qdiscs); err != nil || len(qdiscs) == 0 {
		return 0, fmt.Errorf("read what the link carried: %w in %q", err, out)
	}
	return qdiscs[0].Bytes, nil
}

// drop drops packets to the slow viewer: so great a share of them, at random.
func (n *network) drop(ctx context.Context, share float64) error {
	return n.in(ctx, "router", fmt.Sprintf("iptables -A FORWARD -o %s -m statistic --mode random --probability %g -j DROP", slow, share))
}

// cut cuts the slow viewer off, both ways, or joins it again.
func (n *network) cut(ctx context.Context, off bool) error {
	verb := "-D"
	if off {
		verb = "-I"
	}
	return errors.Join(
		n.in(ctx, "router", fmt.Sprintf("iptables %s FORWARD -o %s -j DROP", verb, slow)),
		n.in(ctx, "router", fmt.Sprintf("iptables %s FORWARD -i %s -j DROP", verb, slow)))
}

// reset takes all limits away.
func (n *network) reset(ctx context.Context) error {
	_ = n.in(ctx, "router", "tc qdisc del dev "+slow+" root") // an error says that there is none
	return n.in(ctx, "router", "iptables -F FORWARD")
}

// Close takes the namespaces away, and everything in them: programs that were left behind too.
func (n *network) Close() error {
	var errs []error
	for _, tun := range n.tuns {
		errs = append(errs, tun.Close())
	}
	for _, name := range []string{"server", "router", slow, fast} {
		if _, err := os.Stat("/run/netns/" + n.ns(name)); err == nil {
			pids, err := exec.Command("ip", "netns", "pids", n.ns(name)).Output()
			errs = append(errs, err)
			for _, pid := range strings.Fields(string(pids)) {
				id, err := strconv.Atoi(pid)
				if err == nil {
					_ = syscall.Kill(id, syscall.SIGKILL) // it may have ended meanwhile
				}
			}
			errs = append(errs, command(context.Background(), "ip", "netns", "del", n.ns(name)))
		}
	}
	return errors.Join(errs...)
}
