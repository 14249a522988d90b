// Package onvif finds cameras on the networks that this machine is on, by WS-Discovery, and asks one for the addresses of its video, as ONVIF
// Profile S has it. It plays no video.
//
// Whatever answers is a stranger. It is heard on its own address alone: all other addresses that it claims, of its services and of its video,
// must be that one, and reach must allow it. Answers are bounded in size, number and time. A password never leaves this machine as it is: it goes
// into a digest that holds a nonce of ours and the time (Web Services Security, UsernameToken Profile 1.0), or into an answer to HTTP's Digest.
package onvif

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

var (
	// ErrLogin is wrapped by the error of a question that a camera answers to nobody with this name and password.
	ErrLogin = errors.New("it refuses this user name and password")
	// ErrForeign is wrapped by the error of a camera that names an address that is not its own.
	ErrForeign = errors.New("it names another address than its own")
	// ErrMalformed is wrapped by the error of an answer that is not what ONVIF has there.
	ErrMalformed = errors.New("it does not answer as an ONVIF camera does")
)

// Bounds of what a stranger makes us hold. Real answers are some kilobytes, of some hundred elements.
const (
	maxMessage  = 256 << 10 // bytes of an answer over HTTP
	maxElements = 8_000
	maxDepth    = 32
	maxWords    = 64 // characters of a name
)

// namespaces of what is sent. What is read has them in its struct tags.
const (
	nsEnvelope = "http://www.w3.org/2003/05/soap-envelope"
	nsAddress  = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	nsProbe    = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
	nsNetwork  = "http://www.onvif.org/ver10/network/wsdl"
	nsDevice   = "http://www.onvif.org/ver10/device/wsdl"
	nsMedia    = "http://www.onvif.org/ver10/media/wsdl"
	nsSchema   = "http://www.onvif.org/ver10/schema"
	nsSecurity = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	nsUtility  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	typeDigest = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
)

// unmarshal reads one SOAP envelope into v. The error wraps ErrMalformed.
func unmarshal(data []byte, v any) error {
	if err := bound(data); err != nil {
		return err
	}
	d := xml.NewDecoder(bytes.NewReader(data))
	for {
		token, err := d.Token()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if start.Name != (xml.Name{Space: nsEnvelope, Local: "Envelope"}) {
			return fmt.Errorf("%w: no SOAP envelope", ErrMalformed)
		}
		if err := d.DecodeElement(v, &start); err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return nil
	}
}

// bound looks through a document before anything is made of it: no document type, which is where entities are declared and which SOAP forbids (SOAP
// 1.2 section 5), and neither deep nor full beyond reason.
func bound(data []byte) error {
	d := xml.NewDecoder(bytes.NewReader(data))
	depth, elements := 0, 0
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		switch token.(type) {
		case xml.Directive:
			return fmt.Errorf("%w: a document type in SOAP", ErrMalformed)
		case xml.StartElement:
			depth++
			elements++
		case xml.EndElement:
			depth--
		}
		if depth > maxDepth || elements > maxElements {
			return fmt.Errorf("%w: more elements than any answer has", ErrMalformed)
		}
	}
}

// escaped is text as it stands in XML.
func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a builder takes everything
	return b.String()
}

// clean is what is shown of a text of a stranger's.
func clean(s string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.TrimSpace(s)))
	return string(runes[:min(len(runes), maxWords)])
}

// own reads an address that a camera at from names: of one of these schemes, with that very host and no login. The error wraps ErrForeign or
// ErrMalformed.
func own(from netip.Addr, text string, schemes ...string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Opaque != "" || strings.ContainsFunc(text, unicode.IsControl) {
		return nil, fmt.Errorf("%w: its address is not one of %s", ErrMalformed, strings.Join(schemes, ", "))
	}
	if host, err := netip.ParseAddr(u.Hostname()); err != nil || host.Unmap() != from {
		return nil, fmt.Errorf("%w: %s", ErrForeign, clean(u.Host))
	}
	u.User, u.Fragment, u.RawFragment = nil, "", "" // a fragment is where our own options stand
	return u, nil
}
