package httpd

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// remote is the address of whoever asks: of the socket, and behind proxies that are believed, of the last hop that is none of
// them. What stands before that hop in X-Forwarded-For may be anybody's invention. It is "" only for a socket without address.
func (s *Server) remote(r *http.Request) string {
	socket, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	addr := socket.Addr().Unmap()
	var hops []string
	for _, line := range r.Header.Values("X-Forwarded-For") {
		hops = append(hops, strings.Split(line, ",")...)
	}
	for _, hop := range slices.Backward(hops) {
		if !s.isProxy(addr) {
			break
		}
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		addr = next.Unmap()
	}
	return addr.String()
}

func (s *Server) isProxy(addr netip.Addr) bool {
	return slices.ContainsFunc(s.access.Load().Proxies, func(p netip.Prefix) bool { return p.Contains(addr.WithZone("")) })
}
