package capture

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sightline/internal/challenge"
	"sightline/internal/media"
	"sightline/internal/reach"
)

const (
	httpTimeout  = 5 * time.Second // to connect, and to begin with an answer
	maxRedirects = 5
	restPoll     = 2 * time.Second // between snapshots while nobody watches: whether the camera is there
)

// httpOptions are those of an http: or https: source.
type httpOptions struct{ rate rate } // of snapshots

// parseNetworkOptions reads what stands behind the # of a network source, which is not sent to the camera.
func parseNetworkOptions(src *Source, fragment string) error {
	query, err := url.ParseQuery(fragment)
	if err != nil {
		return errors.New("options behind # are written as tls-verify=no&fps=5")
	}
	src.http.rate = rate{5, 1}
	web := strings.HasPrefix(src.scheme, "http")
	known := []string{"tls-verify=no"}
	if web {
		known = append(known, "fps=5")
	} else {
		known = append(known, "tls-fingerprint=…", "transport=udp")
	}
	for key, values := range query {
		value := values[0]
		switch {
		case len(values) > 1:
			return fmt.Errorf("%.20q is given twice behind #", key)
		case key == "tls-verify" && value == "no":
			src.trustAnyone = true
		case key == "fps" && web:
			if src.http.rate, err = parseRate(value); err == nil && src.http.rate.milli() > 30_000 {
				err = errors.New("fps behind # is of snapshots, at most 30")
			}
		case key == "transport" && value == "udp" && src.scheme == "rtsps":
			err = errors.New("datagrams are not encrypted; leave transport=udp out")
		case key == "transport" && (value == "tcp" || value == "udp") && !web:
			src.rtsp.udp = value == "udp"
		case key == "tls-fingerprint" && !web:
			src.rtsp.fingerprint, err = parseFingerprint(value)
		default:
			err = fmt.Errorf("unknown option behind #, known are %s", strings.Join(known, ", "))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// httpCamera asks one camera for pictures. One goroutine uses it.
type httpCamera struct {
	src    Source
	url    *url.URL // without credentials
	user   *url.Userinfo
	client *http.Client
	met    *challenge.Challenge // what the camera asked last time
}

func newHTTPCamera(src Source) (*httpCamera, error) {
	u, err := url.Parse(src.secret)
	if err != nil { // it has been parsed before
		return nil, fmt.Errorf("the source %s has an address that cannot be read", src)
	}
	c := &httpCamera{src: src, user: u.User}
	u.User = nil
	c.url = u
	c.client = &http.Client{
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: httpTimeout, Control: src.control()}).DialContext,
			TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: src.trustAnyone}, //nolint:gosec // the operator says so, of this camera alone
			TLSHandshakeTimeout:   httpTimeout,
			ResponseHeaderTimeout: httpTimeout,
			MaxIdleConnsPerHost:   1,
			DisableCompression:    true,
			ReadBufferSize:        64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// get asks for the source's address. Credentials are sent when the camera asks for them, and to nobody else.
func (c *httpCamera) get(ctx context.Context) (*http.Response, error) {
	at, asked := c.url, false
	for range maxRedirects {
		own := at.Scheme == c.url.Scheme && at.Host == c.url.Host
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
		if err != nil {
			return nil, c.explain(err)
		}
		req.Header.Set("User-Agent", "sightline-capture")
		if c.met != nil && c.user != nil && own {
			req.Header.Set("Authorization", c.met.Answer(c.user, req.Method, at.RequestURI()))
		}
		resp, err := c.client.Do(req)
		if err != nil {
			return nil, c.explain(err)
		}
		switch code := resp.StatusCode; {
		case code == http.StatusOK:
			return resp, nil
		case code == http.StatusUnauthorized && !asked && own && c.user != nil:
			asked = true
			if c.met = challenge.Pick(resp.Header.Values("WWW-Authenticate")); c.met == nil {
				c.drop(resp)
				return nil, fmt.Errorf("the source %s asks for credentials in a way that is not known here; set it to Digest or Basic", c.src)
			}
			c.drop(resp)
		case code == http.StatusUnauthorized, code == http.StatusForbidden:
			c.met = nil
			c.drop(resp)
			return nil, fmt.Errorf("the source %s %w; correct them in the source's address", c.src, ErrRefused)
		case code == http.StatusNotFound:
			c.drop(resp)
			return nil, because{fmt.Errorf("the source %s does not exist there; check the path", c.src), media.CauseNotFound}
		case code >= 300 && code < 400 && resp.Header.Get("Location") != "":
			next, err := resp.Location()
			c.drop(resp)
			if err != nil || next.Scheme != "https" && next.Scheme != "http" || at.Scheme == "https" && next.Scheme == "http" {
				return nil, fmt.Errorf("the source %s sends us on to an address that is not followed; give the one it should be", c.src)
			}
			next.User = nil
			at = next
		default:
			c.drop(resp)
			return nil, fmt.Errorf("the source %s answers with status %d; check the path and the camera", c.src, code)
		}
	}
	return nil, fmt.Errorf("the source %s sends us on and on; give the address that it should be", c.src)
}

// drop ends an answer that is not wanted, and keeps its connection if the rest is short.
func (c *httpCamera) drop(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // to go on with the connection, if it can be
	_ = resp.Body.Close()
}

// explain makes a sentence of what the network says.
func (c *httpCamera) explain(err error) error { return explainNetwork(c.src, err) }

// explainNetwork makes a sentence of what the network says about src, without its address, which may have a password in its query.
func explainNetwork(src Source, err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var op *net.OpError
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, reach.ErrForbidden):
		return fmt.Errorf("the source %s leads to this machine or to its own link, where a camera that is added on a page may not be; add it in the configuration file", src)
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &invalid):
		return because{fmt.Errorf("the source %s has a certificate that nobody vouches for; add #tls-verify=no to its address if you trust the network to it", src), media.CauseUnverified}
	case errors.As(err, &timeout) && timeout.Timeout():
		return because{fmt.Errorf("the source %s does not answer; check address, network and whether the camera is on", src), media.CauseSilent}
	case errors.As(err, &dns):
		return because{fmt.Errorf("the source %s has a name that is not known; check it", src), media.CauseUnknownName}
	case errors.As(err, &op) && op.Op == "dial":
		return because{fmt.Errorf("the source %s does not accept connections; check address, port and whether the camera is on", src), media.CauseClosed}
	}
	return because{fmt.Errorf("the source %s breaks the connection off; check the camera", src), media.CauseBrokenOff}
}

// snapshot reads one JPEG.
func (c *httpCamera) snapshot(ctx context.Context, buf []byte) ([]byte, error) {
	resp, err := c.get(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return c.body(resp, buf)
}

func (c *httpCamera) body(resp *http.Response, buf []byte) ([]byte, error) {
	if kind := mediaType(resp); kind != "image/jpeg" {
		return nil, fmt.Errorf("the source %s answers with %.40q and no longer with a JPEG; check it", c.src, kind)
	}
	j := newJPEGReader(resp.Body)
	j.buf = buf
	block, err := j.next()
	if err != nil {
		return nil, c.explain(err)
	}
	_, _ = io.CopyN(io.Discard, j.r, 4<<10) // to go on with the connection
	return block, nil
}

func (c *httpCamera) close() { c.client.CloseIdleConnections() }

// mediaType is what an answer says it is, in lower case.
func mediaType(resp *http.Response) string {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil { // cameras are careless with the parameters
		kind, _, _ = strings.Cut(resp.Header.Get("Content-Type"), ";")
	}
	return strings.ToLower(strings.TrimSpace(kind))
}
