package authority

import (
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

// Trust puts the authority in caFile into the stores of this system and of the Firefox and Chromium of this
// user, or takes it out of them. It may ask for the user's password by way of sudo. Where a store cannot be
// changed, the others are, and the error says what to do about it.
func Trust(caFile string, undo bool) error {
	data, err := os.ReadFile(caFile)
	if err != nil {
		return fmt.Errorf("no certificate authority to trust: %w: start the server once, or name its directory with --data-dir", err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return fmt.Errorf("%s holds no certificate: name the data directory of the server with --data-dir", caFile)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("certificate in %s: %w", caFile, err)
	}
	change := truststore.InstallFile
	if undo {
		change = truststore.UninstallFile
	}
	return errors.Join(trustSystem(caFile, change), trustBrowsers(caFile, cert, undo))
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
		return fmt.Errorf("browsers' stores: the program certutil is missing: install it (Debian and Ubuntu: apt install libnss3-tools; Fedora: dnf install nss-tools; macOS: brew install nss) and run this again")
	}
	if !undo && runtime.GOOS == "linux" {
		if err := makeChromiumStore(); err != nil {
			return fmt.Errorf("Chromium's store: %w", err)
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
