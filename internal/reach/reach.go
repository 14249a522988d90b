// Package reach says which addresses somebody may have this machine connect to who names them on a page rather than in its
// configuration: not this machine itself, nothing that is only meant for neighbours on a link, such as the metadata services of
// clouds, and no groups. Every address that a connection is really made to is looked at, so that neither a name that changes its
// address nor a redirection leads elsewhere. The package opens no connections.
package reach

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrForbidden is wrapped by the error of a connection that is not made.
var ErrForbidden = errors.New("an address that may not be reached")

// translated is where networks of IPv6 alone reach those of IPv4 (RFC 6052 section 2.1).
var translated = netip.MustParsePrefix("64:ff9b::/96") //nolint:gochecknoglobals // a constant

// Allowed tells whether a may be reached.
func Allowed(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	if translated.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	zero := netip.MustParsePrefix("0.0.0.0/8") // this machine, to some systems
	compatible := netip.MustParsePrefix("::/96")
	return a.IsValid() && a.IsGlobalUnicast() && a != broadcast && !zero.Contains(a) && !compatible.Contains(a)
}

// Control is a net.Dialer's: it lets connections be made to allowed addresses alone. The error wraps ErrForbidden.
func Control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !Allowed(ap.Addr()) {
		return fmt.Errorf("%s: %w", address, ErrForbidden)
	}
	return nil
}
