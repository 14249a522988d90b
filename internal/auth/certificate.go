package auth

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"sightline/internal/media"
)

// Certificates is the policy for the TLS certificates that publishers show beside their tokens. It does not change once in use.
type Certificates struct {
	Roots *x509.CertPool // who issues them
	// Required tells that nobody publishes without one.
	Required bool
	// Streams tells by a certificate's name what may be published with it. None: with any of them whatever the token allows.
	Streams map[string][]Pattern
	// WithoutToken lets a certificate publish what Streams names it with without a token beside it.
	WithoutToken bool
}

// CertificatePrefix begins the subjects and IDs of those whom certificates speak for without a token. They last for as long as the
// certificate does, so that what is revoked of them is never forgotten.
const CertificatePrefix = "certificate:"

// Certified gives whom the certificate shown[0] speaks for that came without a token: who may publish what c names it with. Its
// ID has the Thumbprint. The error wraps ErrMissing where certificates alone are worth nothing, else it is Bind's or that of Options.Check.
func (a *Authenticator) Certified(c *Certificates, shown []*x509.Certificate, s media.StreamID) (Principal, error) {
	if c == nil || !c.WithoutToken || len(shown) == 0 {
		return Principal{}, fmt.Errorf("connection: %w", ErrMissing)
	}
	cert := shown[0]
	name, listed := c.nameFor(cert, s)
	if !listed && len(c.Streams) == 0 { // it would be worth everything
		return Principal{}, fmt.Errorf("connection: %w", ErrMissing)
	}
	thumbprint := Thumbprint(cert)
	p, err := a.Bind(Principal{
		Subject: CertificatePrefix + name, ID: CertificatePrefix + thumbprint, Kind: KindPublish, Certificate: thumbprint,
		Grants: []Grant{{Actions: []Action{Publish}, Streams: c.Streams[name]}}, Issued: cert.NotBefore, Expires: cert.NotAfter,
	}, c, shown, Publish, s)
	if err == nil {
		err = a.check(p, "")
	}
	if err != nil {
		return Principal{}, err
	}
	return p, nil
}

// Thumbprint is the name that tokens know a certificate by: x5t#S256 (RFC 8705, section 3.1).
func Thumbprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Bind judges what p may do over its connection, on which the certificate shown[0] was shown with those that it comes with, and
// its key proven; none where none was shown. It returns p, whose leave lasts no longer than the certificate it needs. action and s
// are "" where none is concerned. A nil c trusts no authority. The error wraps ErrNoCertificate, ErrBadCertificate,
// ErrExpiredCertificate or ErrOtherCertificate.
func (a *Authenticator) Bind(p Principal, c *Certificates, shown []*x509.Certificate, action Action, s media.StreamID) (Principal, error) {
	bound := p.Certificate != ""
	publishing := c != nil && action == Publish
	switch {
	case !bound && !publishing, len(shown) == 0 && !bound && !c.Required:
		return p, nil
	case c == nil || len(shown) == 0:
		return Principal{}, fmt.Errorf("connection: %w", ErrNoCertificate)
	}
	cert := shown[0]
	intermediates := x509.NewCertPool()
	for _, more := range shown[1:] {
		intermediates.AddCert(more)
	}
	_, err := cert.Verify(x509.VerifyOptions{
		Roots: c.Roots, Intermediates: intermediates, CurrentTime: a.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	invalid := x509.CertificateInvalidError{}
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return Principal{}, fmt.Errorf("certificate: %w", ErrExpiredCertificate)
	case err != nil:
		return Principal{}, fmt.Errorf("certificate: %w", ErrBadCertificate) // the cause may quote it
	case bound && p.Certificate != Thumbprint(cert):
		return Principal{}, fmt.Errorf("token of another certificate: %w", ErrOtherCertificate)
	case publishing && len(c.Streams) > 0 && !c.isFor(cert, s):
		return Principal{}, fmt.Errorf("certificate for other streams: %w", ErrOtherCertificate)
	}
	if cert.NotAfter.Before(p.Expires) {
		p.Expires = cert.NotAfter
	}
	return p, nil
}

// nameFor is the first of cert's names that is listed with s: its DNS names, or where it has none its subject's common name.
func (c *Certificates) nameFor(cert *x509.Certificate, s media.StreamID) (name string, listed bool) {
	names := cert.DNSNames
	if len(names) == 0 {
		names = []string{cert.Subject.CommonName}
	}
	i := slices.IndexFunc(names, func(name string) bool {
		return slices.ContainsFunc(c.Streams[name], func(p Pattern) bool { return p.Matches(s) })
	})
	if i < 0 {
		return "", false
	}
	return names[i], true
}

func (c *Certificates) isFor(cert *x509.Certificate, s media.StreamID) bool {
	_, listed := c.nameFor(cert, s)
	return listed
}
