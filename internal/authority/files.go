package authority

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// checkEvery is how often at most the operator's files are looked at.
const checkEvery = time.Second

// KeyPair is the operator's own certificate, read again when its files change. Safe for concurrent use.
type KeyPair struct {
	// static after construction
	certFile, keyFile string
	now               func() time.Time
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamp   [2]fileStamp // of the files when they were last read, well or not
	checked time.Time
}

// fileStamp tells one state of a file from another.
type fileStamp struct {
	modified time.Time
	size     int64
}

// Files reads the operator's certificate chain and key, PEM files, and fails when they cannot be used.
func Files(certFile, keyFile string, now func() time.Time, log *slog.Logger) (*KeyPair, error) {
	k := &KeyPair{certFile: certFile, keyFile: keyFile, now: now, log: log}
	var err error
	if k.stamp, err = k.stat(); err != nil {
		return nil, fmt.Errorf("tls files: %w", err)
	}
	if k.current, err = k.load(); err != nil {
		return nil, err
	}
	k.checked = now()
	return k, nil
}

// GetCertificate returns the certificate, read anew when a file has changed. Files that cannot be used change
// nothing: the certificate read before goes on, and the log says why, once for each change.
func (k *KeyPair) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if now.Sub(k.checked).Abs() < checkEvery {
		return k.current, nil
	}
	k.checked = now
	stamp, err := k.stat()
	if err == nil && stamp == k.stamp {
		return k.current, nil
	}
	changed := stamp != k.stamp
	k.stamp = stamp
	var fresh *tls.Certificate
	if err == nil {
		fresh, err = k.load()
	}
	switch {
	case err == nil:
		k.current = fresh
		k.log.Info("certificate files read again", "cert", k.certFile, "not_after", fresh.Leaf.NotAfter)
	case changed:
		k.log.Error("changed certificate files cannot be used: the certificate read before goes on", "cert", k.certFile, "key", k.keyFile, "error", err)
	}
	return k.current, nil
}

// stat gives zero stamps for files that cannot be found, so that this is a change too.
func (k *KeyPair) stat() (stamp [2]fileStamp, err error) {
	for i, path := range []string{k.certFile, k.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return [2]fileStamp{}, err
		}
		stamp[i] = fileStamp{info.ModTime(), info.Size()}
	}
	return stamp, nil
}

func (k *KeyPair) load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(k.certFile, k.keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s cannot be used: %w", k.certFile, k.keyFile, err)
	}
	if end := pair.Leaf.NotAfter; !k.now().Before(end) {
		return nil, fmt.Errorf("certificate %s ended on %s: put a renewed one in its place", k.certFile, end.Format(time.DateOnly))
	}
	return &pair, nil
}
