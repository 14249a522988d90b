package authority

import "fmt"

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
