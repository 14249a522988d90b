// Package trust reads the certificates of those whom a TLS peer is known by.
package trust

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
)

// Pool reads a file of certificates in PEM form. One that holds none is an error: an empty pool trusts nobody, and would only
// be noticed at the first connection.
func Pool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return pool, nil
}
