package authority

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// Hosts lists all names and addresses under which this machine may be called: localhost, its own name and addresses, and extra.
func Hosts(extra []string) ([]string, error) {
	local, err := localNames()
	if err != nil {
		return nil, fmt.Errorf("list this machine's addresses: %w", err)
	}
	n := local.with(extra)
	hosts := append([]string(nil), n.dns...)
	for _, ip := range n.ips {
		hosts = append(hosts, ip.String())
	}
	return hosts, nil
}

// HostName is hostport without its port, if it has one, and without the brackets of an IPv6 address.
func HostName(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return strings.Trim(hostport, "[]")
	}
	return host
}

// Named tells whether hostport, as a request gives it, is one of hosts, at whatever port.
func Named(hosts []string, hostport string) bool {
	host := HostName(hostport)
	return slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, host) })
}
