// Package acme gives the server certificates of an authority that is asked over the network (RFC 8555). It knows nothing of what
// the server serves. Its one goroutine is the caller's: the one that calls Run.
package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"sightline/internal/trust"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Options say which authority to ask for which names.
type Options struct {
	// Dir is where account and certificates are kept, made with mode 0700.
	Dir     string
	Domains []string
	Email   string // "" for none
	// Directory is the authority's URL; "" for Let's Encrypt's. CA is a file of certificates by which it is known; "" for
	// those of the system.
	Directory, CA string
}

// Certificates are proven by TLS-ALPN-01 (RFC 8737) on the server's
// own port, so that no other is needed. Run asks for them and renews them when a third of their life is left; one that cannot
// be renewed goes on to its end. Safe for concurrent use.
type Certificates struct {
	// static after construction
	manager *autocert.Manager
	domains []string
	log     *slog.Logger

	mu    sync.Mutex
	given map[string]*tls.Certificate // by domain; guarded by mu
}

const (
	// lookEvery is how often renewed certificates are taken over, firstRetry to lastRetry how long a domain waits whose
	// certificate was refused: authorities bound how often they are asked.
	lookEvery             = 10 * time.Minute
	firstRetry, lastRetry = 10 * time.Second, time.Hour
)

// New asks nobody: Run does. Whoever calls it has agreed to the authority's terms.
func New(o Options, log *slog.Logger) (*Certificates, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("directory of certificates: %w", err)
	}
	client := &acme.Client{DirectoryURL: o.Directory, UserAgent: "sightline"}
	if o.CA != "" {
		roots, err := trust.Pool(o.CA)
		if err != nil {
			return nil, fmt.Errorf("certificates of the ACME authority: %w", err)
		}
		client.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	}
	return &Certificates{
		manager: &autocert.Manager{
			Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(o.Dir), HostPolicy: autocert.HostWhitelist(o.Domains...),
			Client: client, Email: o.Email,
		},
		domains: o.Domains, log: log, given: map[string]*tls.Certificate{},
	}, nil
}

// Run asks for the certificates and has them renewed until ctx is done. An order that is under way then is left to itself: the
// library cannot be told to end it, and it ends within minutes. The listener must answer meanwhile, since the authority
// calls it to see that the names are the server's.
func (a *Certificates) Run(ctx context.Context) error {
	retry := firstRetry
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		var err error
		taken := make(chan error, 1)
		go func() { taken <- a.take() }()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err = <-taken:
		}
		if err != nil {
			a.log.Error("no certificate from the ACME authority, asking again later", "error", err, "after", retry)
			timer.Reset(retry)
			retry = min(2*retry, lastRetry)
			continue
		}
		retry = firstRetry
		timer.Reset(lookEvery)
	}
}

// take asks for what is missing and takes over what was renewed.
func (a *Certificates) take() error {
	var errs []error
	for _, domain := range a.domains {
		// A client of today's: the authority is asked for an ECDSA key.
		certificate, err := a.manager.GetCertificate(&tls.ClientHelloInfo{
			ServerName: domain, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
			SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, SupportedCurves: []tls.CurveID{tls.CurveP256},
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("certificate for %s: %w", domain, err))
			continue
		}
		a.mu.Lock()
		fresh := a.given[domain] == nil || !a.given[domain].Leaf.Equal(certificate.Leaf)
		a.given[domain] = certificate
		a.mu.Unlock()
		if fresh {
			a.log.Info("certificate of the ACME authority", "domain", domain, "not_after", certificate.Leaf.NotAfter)
		}
	}
	return errors.Join(errs...)
}

// Protocols lists what the listener offers in TLS for the authority's own calls.
func (a *Certificates) Protocols() []string { return []string{acme.ALPNProto} }

// GetCertificate returns the certificate for the name that the client wants. A name that is not among the domains, one whose
// certificate is not here yet, and none at all are refused. It never waits for the authority, whose own calls it answers.
func (a *Certificates) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if !slices.Contains(a.domains, name) {
		return nil, fmt.Errorf("no certificate for %.80q", name)
	}
	if slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
		return a.manager.GetCertificate(hello)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if certificate := a.given[name]; certificate != nil {
		return certificate, nil
	}
	return nil, fmt.Errorf("the certificate for %s is still being asked for", name)
}
