package capture

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"sightline/internal/media"
	"sightline/internal/rtsp"
)

// rtspOptions are those of an rtsp: or rtsps: source.
type rtspOptions struct {
	udp         bool
	fingerprint string // SHA-256 of the camera's certificate; empty: somebody must vouch for it
}

// parseFingerprint reads a SHA-256 in hexadecimal digits, with colons or without.
func parseFingerprint(s string) (string, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(b) != sha256.Size {
		return "", errors.New("tls-fingerprint is the SHA-256 of the camera's certificate, 64 hexadecimal digits")
	}
	return string(b), nil
}

// errFingerprint is the end of a connection to a camera with another certificate.
var errFingerprint = errors.New("another certificate")

// rtspClient says how to play src.
func rtspClient(src Source) (rtsp.Options, error) {
	u, err := url.Parse(src.secret)
	if err != nil { // it has been parsed before
		return rtsp.Options{}, fmt.Errorf("the source %s has an address that cannot be read", src)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: src.trustAnyone} //nolint:gosec // the operator says so, of this camera alone
	if want := src.rtsp.fingerprint; want != "" {
		config.InsecureSkipVerify = true // the fingerprint says more than an authority
		config.VerifyConnection = func(s tls.ConnectionState) error {
			if got := sha256.Sum256(s.PeerCertificates[0].Raw); string(got[:]) != want {
				return errFingerprint
			}
			return nil
		}
	}
	return rtsp.Options{URL: u, UDP: src.rtsp.udp, TLS: config, Agent: "sightline-capture", Control: src.control()}, nil
}

// errLosing is a camera of which too much is lost on the way to show anything.
var errLosing = fmt.Errorf("%w that are whole", ErrStalled)

// explainRTSP makes one sentence of what went wrong with src: what, where, what to do.
func explainRTSP(src Source, err error) error {
	var status *rtsp.StatusError
	var unverified *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, errLosing):
		return fmt.Errorf("the source %s sends %w: too much is lost on the way; check the network, or let it come over TCP and with a keyframe each second", src, err)
	case errors.Is(err, rtsp.ErrRefused):
		return fmt.Errorf("the source %s %w; correct them in the source's address", src, ErrRefused)
	case errors.Is(err, rtsp.ErrChallenge):
		return fmt.Errorf("the source %s asks for credentials in a way that is not known here; set it to Digest or Basic", src)
	case errors.Is(err, rtsp.ErrNotFound):
		return because{fmt.Errorf("the source %s does not exist there; check the path", src), media.CauseNotFound}
	case errors.Is(err, rtsp.ErrNoVideo):
		return fmt.Errorf("the source %s has %w; set the camera to H.264, H.265 or JPEG", src, err)
	case errors.Is(err, rtsp.ErrRedirect):
		return fmt.Errorf("the source %s sends us on to an address that is not followed; give the one it should be", src)
	case errors.Is(err, rtsp.ErrTransport):
		return fmt.Errorf("the source %s sends its pictures in no way that is known here; set the camera to RTP over TCP, by unicast", src)
	case errors.Is(err, rtsp.ErrClosed):
		return because{fmt.Errorf("the source %s ends the stream; check the camera", src), media.CauseBrokenOff}
	case errors.Is(err, rtsp.ErrMalformed):
		return fmt.Errorf("the source %s does not speak RTSP as it should; check address and port", src)
	case errors.As(err, &status):
		return fmt.Errorf("the source %s answers %s with status %d; check the path and the camera", src, status.Method, status.Status)
	case errors.Is(err, errFingerprint):
		return fmt.Errorf("the source %s has another certificate than the one whose fingerprint its address gives; if the camera has a new one, correct it there", src)
	case errors.As(err, &unverified) && len(unverified.UnverifiedCertificates) > 0:
		return fmt.Errorf("the source %s has a certificate that nobody vouches for; if it is the camera's, add #tls-fingerprint=%s to its address", src, fingerprint(unverified.UnverifiedCertificates[0]))
	case errors.Is(err, rtsp.ErrDatagrams):
		return fmt.Errorf("the source %s sends datagrams only, which this process may not receive unasked; add #transport=udp to its address", src)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the source %s sends us on to a port where this process may not connect; give the address that it should be", src)
	}
	return explainNetwork(src, err)
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
