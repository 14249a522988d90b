package authority

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/smallstep/truststore"
)

// CA is the certificate of an authority, without its key.
type CA struct {
	file string
	cert *x509.Certificate
}

// ReadCA reads the certificate of the authority in a data directory, and makes nothing. The error says how to
// get one.
func ReadCA(dir string) (CA, error) {
	file := filepath.Join(dir, caFile)
	data, err := os.ReadFile(file)
	if err != nil {
		return CA{}, fmt.Errorf("no certificate authority: %w: start the server once, or name its data directory with --data-dir", err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return CA{}, fmt.Errorf("%s holds no certificate: %w", file, errDamaged)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return CA{}, fmt.Errorf("%s: %w: %w", file, err, errDamaged)
	}
	return CA{file, cert}, nil
}

// Name is what certificate managers list the authority as.
func (c CA) Name() string { return c.cert.Subject.CommonName }

// Fingerprint is the SHA-256 of the certificate, as browsers show it: upper-case hexadecimal pairs with colons
// between.
func (c CA) Fingerprint() string {
	sum := sha256.Sum256(c.cert.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// Trust puts the authority into the stores of this system and of the Firefox and Chromium of this user, or
// takes it out of them. It may ask for the user's password by way of sudo. Where one store cannot be changed,
// the others are, and the error says what to do about it.
func (c CA) Trust(undo bool) error {
	change := truststore.InstallFile
	if undo {
		change = truststore.UninstallFile
	}
	return errors.Join(trustSystem(c.file, change), trustBrowsers(c.file, c.cert, undo))
}

func trustSystem(caFile string, change func(string, ...truststore.Option) error) error {
	err := change(caFile)
	if err == nil || errors.Is(err, truststore.ErrNotFound) || errors.Is(err, truststore.ErrTrustNotFound) {
		return nil // not found: it was taken out before
	}
	return fmt.Errorf("system store: %w%s: run this as an administrator, or import %s by hand", err, output(err), caFile)
}

// trustBrowsers changes the NSS databases that Firefox, and on Linux Chromium, keep for this user. On Windows
// and in Safari and Chrome on macOS the system's store counts.
func trustBrowsers(caFile string, cert *x509.Certificate, undo bool) error {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		return nil
	}
	nss, err := truststore.NewNSSTrust()
	if err != nil {
		return errors.New("browsers' stores: the program certutil is missing: install it (Debian and Ubuntu: apt install libnss3-tools; Fedora: dnf install nss-tools; macOS: brew install nss) and run this again")
	}
	if !undo && runtime.GOOS == "linux" {
		if err := makeChromiumStore(); err != nil {
			return fmt.Errorf("store of Chromium: %w", err)
		}
	}
	if nss.PreCheck() != nil {
		return nil // no browser of this user has a store
	}
	switch {
	case undo:
		err = nss.Uninstall(caFile, cert)
	case !nss.Exists(cert):
		err = nss.Install(caFile, cert)
	}
	if err != nil {
		return fmt.Errorf("browsers' stores: %w%s: close the browsers and run this again, or import %s by hand", err, output(err), caFile)
	}
	return nil
}

// makeChromiumStore makes the NSS database that Chromium reads on Linux, which it does not make itself.
func makeChromiumStore() error {
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(home, ".pki", "nssdb")
	if _, err := os.Stat(filepath.Join(dir, "cert9.db")); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if out, err := exec.Command("certutil", "-N", "--empty-password", "-d", "sql:"+dir).CombinedOutput(); err != nil {
		return fmt.Errorf("make %s: %w: %s", dir, err, firstLine(out))
	}
	return nil
}

// output is what a failed program said, for the end of a sentence.
func output(err error) string {
	var failed *truststore.CmdError
	if !errors.As(err, &failed) || len(failed.Out()) == 0 {
		return ""
	}
	return " (" + firstLine(failed.Out()) + ")"
}

func firstLine(out []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}
