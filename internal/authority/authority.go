// Package authority gives the server its certificates: from its own certificate authority, made in the data
// directory at first start, or from the operator's files. It also puts that authority into the stores that
// browsers trust. It knows x509 and files, and no HTTP. It starts no goroutines.
package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sightline/internal/datadir"
)

// The files of an Authority in the data directory.
const (
	caFile    = "ca.pem" // certificate and key in one file each would let them come from different makings
	caKeyFile = "ca-key.pem"
	leafFile  = "cert.pem"
)

const (
	caLifetime   = 10 * 365 * 24 * time.Hour
	leafLifetime = 90 * 24 * time.Hour
	renewBefore  = 30 * 24 * time.Hour
	backdate     = time.Hour // clients' clocks may be slow
)

// Source is where a TLS listener takes its certificate from.
type Source interface {
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

// Proven is a Source whose certificates are proven by calls over protocols of their own (RFC 7301).
type Proven interface {
	Protocols() []string
}

// TLSConfig is the one TLS policy of the server: TLS 1.3 only, HTTP/1.1 only (WebSockets need it), full records from
// the first byte, as a keyframe should not leave in small ones, and no resumption: it saves a signature and
// no round trip, and its tickets are good for a week (RFC 9325, section 3.4 wants a short life).
func TLSConfig(s Source) *tls.Config {
	protocols := []string{"http/1.1"}
	if p, ok := s.(Proven); ok {
		protocols = append(protocols, p.Protocols()...)
	}
	return &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		NextProtos:                  protocols,
		DynamicRecordSizingDisabled: true,
		SessionTicketsDisabled:      true,
		GetCertificate:              s.GetCertificate,
	}
}

// Authority is a certificate authority for one server, and that server's certificate. Safe for concurrent use.
type Authority struct {
	// static after construction
	dir    string
	now    func() time.Time
	ca     CA
	pem    []byte
	signer *ecdsa.PrivateKey
	names  names

	mu   sync.Mutex
	leaf *tls.Certificate
}

// Open reads the authority in dir, which it makes with mode 0700 where it does not exist, and makes the
// authority itself at first start. The server's certificate is for localhost, this machine's name and
// addresses, and hosts (names or IP addresses). It is kept in dir, and issued anew when less than 30 days of
// it are left or when it lacks a name.
func Open(dir string, hosts []string, now func() time.Time) (*Authority, error) {
	if err := datadir.Make(dir); err != nil {
		return nil, err
	}
	a := &Authority{dir: dir, now: now}
	if err := a.openCA(); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	local, err := localNames()
	if err != nil {
		return nil, fmt.Errorf("names of this machine: %w", err)
	}
	a.names = local.with(hosts)
	a.leaf = a.readLeaf()
	if _, err := a.GetCertificate(nil); err != nil {
		return nil, err
	}
	return a, nil
}

// openCA reads or makes the authority's key and certificate. The key comes first: the certificate, which is
// no secret, can be made again from it.
func (a *Authority) openCA() error {
	keyPEM, _, err := datadir.Secret(a.dir, caKeyFile, newKeyPEM)
	if err != nil {
		return err
	}
	if a.signer, err = parseKey(keyPEM); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(a.dir, caKeyFile), err)
	}
	data, _, err := datadir.File(a.dir, caFile, a.newCA)
	if err != nil {
		return err
	}
	if a.ca, err = ReadCA(a.dir); err != nil {
		return err
	}
	a.pem = data
	if public, ok := a.ca.cert.PublicKey.(*ecdsa.PublicKey); !ok || !public.Equal(a.signer.Public()) {
		return fmt.Errorf("%s does not belong to %s: %w", a.CAFile(), caKeyFile, errDamaged)
	}
	if !a.now().Before(a.ca.cert.NotAfter) {
		return fmt.Errorf("%s ended on %s: delete it and %s to have a new authority made, then run sightline trust", a.CAFile(), a.ca.cert.NotAfter.Format(time.DateOnly), caKeyFile)
	}
	return nil
}

var errDamaged = errors.New("restore it from a backup, or delete ca.pem, ca-key.pem and cert.pem to have a new authority made, then run sightline trust")

func newKeyPEM() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return keyPEM(key)
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func parseKey(data []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("no PEM block PRIVATE KEY in it: %w", errDamaged)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("its PKCS #8 contents cannot be read: %w", errDamaged)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it holds a %T, want an ECDSA key: %w", key, errDamaged)
	}
	return ec, nil
}

func newSerial() (*big.Int, error) {
	// RFC 5280, section 4.1.2.2: positive and at most 20 octets.
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
}

func (a *Authority) newCA() ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Sightline CA " + strings.ToLower(rand.Text()[:6])},
		NotBefore:             a.now().Add(-backdate),
		NotAfter:              a.now().Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.signer.Public(), a.signer)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// Fingerprint is that of the authority's certificate: see CA.Fingerprint.
func (a *Authority) Fingerprint() string { return a.ca.Fingerprint() }

// CAPEM is the authority's certificate, which is no secret.
func (a *Authority) CAPEM() []byte { return slices.Clone(a.pem) }

// CAFile is where the authority's certificate stands.
func (a *Authority) CAFile() string { return a.ca.file }

// GetCertificate returns the server's certificate with the authority's behind it, and renews it first when it
// is due. When renewing fails, a certificate that is still valid goes on.
func (a *Authority) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaf != nil && !a.due(a.leaf.Leaf) {
		return a.leaf, nil
	}
	leaf, err := a.issue()
	if err != nil {
		if a.leaf != nil && a.now().Before(a.leaf.Leaf.NotAfter) {
			return a.leaf, nil
		}
		return nil, fmt.Errorf("issue the server's certificate: %w", err)
	}
	a.leaf = leaf
	return leaf, nil
}

// due reports whether cert must be renewed.
func (a *Authority) due(cert *x509.Certificate) bool {
	now := a.now()
	if cert.NotAfter.Equal(a.ca.cert.NotAfter) { // nothing can be issued that lasts longer
		return !now.Before(cert.NotAfter)
	}
	return now.Before(cert.NotBefore) || !now.Before(cert.NotAfter.Add(-renewBefore))
}

// readLeaf reads the certificate of an earlier start. It returns nil for one that is missing, damaged, due,
// of another authority, or lacks a name: that one is issued anew.
func (a *Authority) readLeaf() *tls.Certificate {
	path := filepath.Join(a.dir, leafFile)
	leaf, err := tls.LoadX509KeyPair(path, path)
	if err != nil || a.due(leaf.Leaf) || !a.names.within(leaf.Leaf) {
		return nil
	}
	// The chain must be what issue makes. A signature by our key alone is not enough: the authority's
	// certificate may have been made anew from it, under another name.
	if len(leaf.Certificate) != 2 || !bytes.Equal(leaf.Certificate[1], a.ca.cert.Raw) || leaf.Leaf.CheckSignatureFrom(a.ca.cert) != nil {
		return nil
	}
	return &leaf
}

func (a *Authority) issue() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	notAfter := a.now().Add(leafLifetime)
	if notAfter.After(a.ca.cert.NotAfter) {
		notAfter = a.ca.cert.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Sightline server"},
		NotBefore:    a.now().Add(-backdate),
		NotAfter:     notAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     a.names.dns,
		IPAddresses:  a.names.ips,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.ca.cert, key.Public(), a.signer)
	if err != nil {
		return nil, err
	}
	text, err := keyPEM(key)
	if err != nil {
		return nil, err
	}
	for _, cert := range [][]byte{der, a.ca.cert.Raw} {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})...)
	}
	// A running server goes on without the file: the next start would only issue another certificate.
	_ = datadir.Replace(a.dir, leafFile, text)
	leaf, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, err
	}
	return &leaf, nil
}

// names are what a certificate is for, without duplicates.
type names struct {
	dns []string
	ips []net.IP
}

// localNames are the names under which this machine reaches itself and its neighbours reach it.
func localNames() (names, error) {
	n := names{dns: []string{"localhost"}, ips: []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}}
	var hosts []string
	if host, err := os.Hostname(); err == nil { // a machine without a name is reached by address
		hosts = append(hosts, host)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return names{}, err
	}
	for _, addr := range addrs {
		// Link-local addresses need a zone, which no certificate can hold.
		if ipnet, ok := addr.(*net.IPNet); ok && !ipnet.IP.IsLinkLocalUnicast() {
			hosts = append(hosts, ipnet.IP.String())
		}
	}
	return n.with(hosts), nil
}

// with adds hosts, each a DNS name or an IP address. What can stand in no certificate is left out.
func (n names) with(hosts []string) names {
	n.dns, n.ips = slices.Clone(n.dns), slices.Clone(n.ips)
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			if !slices.ContainsFunc(n.ips, ip.Equal) {
				n.ips = append(n.ips, ip)
			}
			continue
		}
		h = strings.ToLower(strings.TrimSuffix(h, "."))
		if isDNSName(h) && !slices.Contains(n.dns, h) {
			n.dns = append(n.dns, h)
		}
	}
	return n
}

func isDNSName(s string) bool {
	return s != "" && len(s) <= 253 && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_' && r != '*'
	}) < 0
}

// within reports whether cert is for all of n.
func (n names) within(cert *x509.Certificate) bool {
	for _, name := range n.dns {
		if !slices.Contains(cert.DNSNames, name) {
			return false
		}
	}
	for _, ip := range n.ips {
		if !slices.ContainsFunc(cert.IPAddresses, ip.Equal) {
			return false
		}
	}
	return true
}
