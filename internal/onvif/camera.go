package onvif

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // UsernameToken Profile 1.0 has no other
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"sightline/internal/challenge"
	"sightline/internal/reach"
)

const (
	// askTime is how long a camera may take for all that it is asked.
	askTime = 8 * time.Second
	// maxProfiles is how many ways to have its video a camera is asked for.
	maxProfiles = 8
	// maxLogin is the longest name and password, in bytes.
	maxLogin = 256
)

// Profile is one way to have a camera's video.
type Profile struct {
	Name   string `json:"name"`
	Coding string `json:"coding"` // as the camera calls it: H264, H265, JPEG
	Width  int    `json:"width"`
	Height int    `json:"height"`
	FPS    int    `json:"fps"`
	Source string `json:"source"` // where it is played, without a login
}

// Asker asks cameras. Safe for concurrent use.
type Asker struct {
	allowed func(netip.Addr) bool
	now     func() time.Time
}

// NewAsker makes an Asker. now is the time of day.
func NewAsker(now func() time.Time) *Asker { return &Asker{allowed: reach.Allowed, now: now} }

// ParseService reads the address of a device service, which has its host as a number, and leaves out a login. The error is for whoever typed it, and
// does not repeat it.
func ParseService(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("the camera's address is no URL")
	}
	address, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return nil, errors.New("the camera's address must have a number, such as http://192.168.1.20/onvif/device_service")
	}
	return own(address.Unmap(), text, "http", "https")
}

// Profiles asks the camera whose device service is at that address for its profiles, in the camera's order. The error wraps ErrLogin, ErrForeign,
// ErrMalformed or reach.ErrForbidden, or is one of the network's, and holds no password.
func (a *Asker) Profiles(ctx context.Context, service, name, password string) ([]Profile, error) {
	if len(name) > maxLogin || len(password) > maxLogin {
		return nil, fmt.Errorf("%w: at most %d bytes each", ErrLogin, maxLogin)
	}
	u, err := ParseService(service)
	if err != nil {
		return nil, err
	}
	address, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return nil, err
	}
	c := &camera{address: address.Unmap(), name: name, password: password, now: a.now}
	if !a.allowed(c.address) {
		return nil, fmt.Errorf("%s: %w", c.address, reach.ErrForbidden)
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	dialer := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(address); err != nil || !a.allowed(to.Addr().Unmap()) {
			return fmt.Errorf("%s: %w", address, reach.ErrForbidden)
		}
		return nil
	}}
	transport := &http.Transport{DialContext: dialer.DialContext, MaxResponseHeaderBytes: 16 << 10, ForceAttemptHTTP2: false}
	defer transport.CloseIdleConnections()
	c.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a status that is not taken
	}
	return c.profiles(ctx, u)
}

// camera is one that is being asked. One goroutine uses it.
type camera struct {
	client         *http.Client
	address        netip.Addr
	name, password string
	now            func() time.Time
	ahead          time.Duration // of its clock, before ours
	met            *challenge.Challenge
}

func (c *camera) profiles(ctx context.Context, device *url.URL) ([]Profile, error) {
	// Its clock is asked for first, and of nobody's name: a digest with the time of another clock is refused by cameras as a repeated one.
	var clock struct {
		UTC struct {
			Hour   int `xml:"Time>Hour"`
			Minute int `xml:"Time>Minute"`
			Second int `xml:"Time>Second"`
			Year   int `xml:"Date>Year"`
			Month  int `xml:"Date>Month"`
			Day    int `xml:"Date>Day"`
		} `xml:"Body>GetSystemDateAndTimeResponse>SystemDateAndTime>UTCDateTime"`
	}
	if err := c.ask(ctx, device, false, `<GetSystemDateAndTime xmlns="`+nsDevice+`"/>`, &clock); err != nil {
		return nil, err
	}
	if t := clock.UTC; t.Year > 0 {
		c.ahead = time.Date(t.Year, time.Month(t.Month), t.Day, t.Hour, t.Minute, t.Second, 0, time.UTC).Sub(c.now())
	}
	var able struct {
		Media string `xml:"Body>GetCapabilitiesResponse>Capabilities>Media>XAddr"`
	}
	if err := c.ask(ctx, device, true, `<GetCapabilities xmlns="`+nsDevice+`"><Category>Media</Category></GetCapabilities>`, &able); err != nil {
		return nil, err
	}
	media, err := own(c.address, able.Media, "http", "https")
	if err != nil {
		return nil, err
	}
	var all struct {
		List []struct {
			Token string `xml:"token,attr"`
			Name  string `xml:"Name"`
			Video struct {
				Encoding string `xml:"Encoding"`
				Width    int    `xml:"Resolution>Width"`
				Height   int    `xml:"Resolution>Height"`
				FPS      int    `xml:"RateControl>FrameRateLimit"`
			} `xml:"VideoEncoderConfiguration"`
		} `xml:"Body>GetProfilesResponse>Profiles"`
	}
	if err := c.ask(ctx, media, true, `<GetProfiles xmlns="`+nsMedia+`"/>`, &all); err != nil {
		return nil, err
	}
	var list []Profile
	for _, p := range all.List[:min(len(all.List), maxProfiles)] {
		var stream struct {
			URI string `xml:"Body>GetStreamUriResponse>MediaUri>Uri"`
		}
		if err := c.ask(ctx, media, true, `<GetStreamUri xmlns="`+nsMedia+`"><StreamSetup><Stream xmlns="`+nsSchema+`">RTP-Unicast</Stream>`+
			`<Transport xmlns="`+nsSchema+`"><Protocol>RTSP</Protocol></Transport></StreamSetup><ProfileToken>`+escaped(p.Token)+`</ProfileToken></GetStreamUri>`, &stream); err != nil {
			return nil, err
		}
		source, err := own(c.address, stream.URI, "rtsp", "rtsps")
		if err != nil {
			return nil, err
		}
		v := p.Video
		list = append(list, Profile{clean(p.Name), clean(v.Encoding), max(v.Width, 0), max(v.Height, 0), max(v.FPS, 0), source.String()})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: it has no profile of its video", ErrMalformed)
	}
	return list, nil
}

// ask sends one question, with the login if that is to go along, and reads the answer.
func (c *camera) ask(ctx context.Context, to *url.URL, login bool, question string, answer any) error {
	status, header, data, err := c.post(ctx, to, login, question)
	if err == nil && status == http.StatusUnauthorized && c.name != "" {
		if c.met = challenge.Pick(header.Values("WWW-Authenticate")); c.met != nil {
			status, _, data, err = c.post(ctx, to, login, question)
		}
	}
	if err != nil {
		return err
	}
	var fault struct {
		Codes  []string `xml:"Body>Fault>Code>Subcode>Value"`
		Deeper []string `xml:"Body>Fault>Code>Subcode>Subcode>Value"`
		Reason string   `xml:"Body>Fault>Reason>Text"`
	}
	if status == http.StatusOK {
		return unmarshal(data, answer)
	}
	if err := unmarshal(data, &fault); err == nil {
		for _, code := range append(fault.Codes, fault.Deeper...) {
			if _, word, _ := strings.Cut(code, ":"); word == "NotAuthorized" || word == "FailedAuthentication" {
				return ErrLogin
			}
		}
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return ErrLogin
	}
	return fmt.Errorf("%w: status %d, %q", ErrMalformed, status, clean(fault.Reason))
}

// post sends one question as it is.
func (c *camera) post(ctx context.Context, to *url.URL, login bool, question string) (int, http.Header, []byte, error) {
	security := ""
	if login && c.name != "" {
		security = c.token()
	}
	message := `<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="` + nsEnvelope + `"><e:Header>` + security + `</e:Header><e:Body>` + question + `</e:Body></e:Envelope>`
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader([]byte(message)))
	if err != nil {
		return 0, nil, nil, fmt.Errorf("ask %s: %w", c.address, err)
	}
	request.Header.Set("Content-Type", "application/soap+xml; charset=utf-8")
	if c.met != nil {
		field := c.met.Answer(url.UserPassword(c.name, c.password), http.MethodPost, to.RequestURI())
		if strings.HasPrefix(field, "Basic ") {
			return 0, nil, nil, fmt.Errorf("%w: it wants the password as it is, which whoever stands between could read", ErrLogin)
		}
		request.Header.Set("Authorization", field)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return 0, nil, nil, fmt.Errorf("ask %s: %w", c.address, err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxMessage+1))
	if err != nil {
		return 0, nil, nil, fmt.Errorf("read what %s answers: %w", c.address, err)
	}
	if len(data) > maxMessage {
		return 0, nil, nil, fmt.Errorf("%w: more than %d bytes", ErrMalformed, maxMessage)
	}
	return response.StatusCode, response.Header, data, nil
}

// token is a header with a digest of the password, good for one question (UsernameToken Profile 1.0 section 3.1).
func (c *camera) token() string {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	created := c.now().Add(c.ahead).UTC().Format("2006-01-02T15:04:05.000Z")
	return `<s:Security e:mustUnderstand="true" xmlns:s="` + nsSecurity + `"><s:UsernameToken><s:Username>` + escaped(c.name) + `</s:Username>` +
		`<s:Password Type="` + typeDigest + `">` + digest(nonce[:], created, c.password) + `</s:Password>` +
		`<s:Nonce>` + base64.StdEncoding.EncodeToString(nonce[:]) + `</s:Nonce>` +
		`<u:Created xmlns:u="` + nsUtility + `">` + created + `</u:Created></s:UsernameToken></s:Security>`
}

// digest is Base64(SHA-1(nonce + created + password)).
func digest(nonce []byte, created, password string) string {
	h := sha1.New() //nolint:gosec // as above
	_, _ = h.Write(append(append(nonce, created...), password...))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
