package authority

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// ACMEOptions say which authority to ask for which names.
type ACMEOptions struct {
	// Dir is where account and certificates are kept, made with mode 0700.
	Dir     string
	Domains []string
	Email   string // "" for none
	// Directory is the authority's URL; "" for Let's Encrypt's. CA is a file of certificates by which it is known; "" for
	// those of the system.
	Directory, CA string
}

// ACME is certificates that an authority gives over the network (RFC 8555), proven by TLS-ALPN-01 (RFC 8737) on the server's
// own port, so that no other is needed. They are asked for when a first client names a domain and renewed when a third of
// their life is left; one that cannot be renewed goes on to its end. Safe for concurrent use.
type ACME struct {
	manager *autocert.Manager
	domains []string
}

// NewACME asks nobody yet. Whoever calls it has agreed to the authority's terms.
func NewACME(o ACMEOptions) (*ACME, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("directory of certificates: %w", err)
	}
	client := &acme.Client{DirectoryURL: o.Directory, UserAgent: "sightline"}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("certificates of the ACME authority: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificates of the ACME authority: %s holds none: name a PEM file", filepath.Clean(o.CA))
		}
		client.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	}
	return &ACME{
		manager: &autocert.Manager{
			Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(o.Dir), HostPolicy: autocert.HostWhitelist(o.Domains...),
			Client: client, Email: o.Email,
		},
		domains: o.Domains,
	}, nil
}

// errNoName is what a client gets that does not say which name it wants.
var errNoName = errors.New("the client names no server")

// GetCertificate returns the certificate for the name that the client wants. A name that is not among the domains, and none at
// all, are refused.
func (a *ACME) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if name == "" {
		return nil, errNoName
	}
	if !slices.Contains(a.domains, name) {
		return nil, fmt.Errorf("no certificate for %.80q", name)
	}
	return a.manager.GetCertificate(hello)
}
