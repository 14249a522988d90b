package onvif

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sightline/internal/challenge"
	"sightline/internal/reach"
)

const (
	probeID = "uuid:0a6dc791-2be6-4991-9af1-454778a1917a"
	match   = `<d:ProbeMatch><d:Types>dn:NetworkVideoTransmitter tds:Device</d:Types><d:Scopes>%s</d:Scopes><d:XAddrs>%s</d:XAddrs></d:ProbeMatch>`
)

var anyone = func(netip.Addr) bool { return true } //nolint:gochecknoglobals // a constant

// answer is what a camera sends that was probed.
func answer(id string, matches ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="` + nsEnvelope + `" xmlns:a="` + nsAddress + `" xmlns:d="` + nsProbe + `" xmlns:dn="` + nsNetwork + `">` +
		`<s:Header><a:RelatesTo>` + id + `</a:RelatesTo></s:Header><s:Body><d:ProbeMatches>` + strings.Join(matches, "") + `</d:ProbeMatches></s:Body></s:Envelope>`
}

func TestParseAnswer(t *testing.T) {
	from := netip.MustParseAddr("192.0.2.5")
	scopes := "onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/name/Yard%20Cam onvif://www.onvif.org/hardware/DX-4%07 onvif://www.onvif.org/name/Other"
	good := fmt.Sprintf(match, scopes, "http://[fe80::1]/onvif http://192.0.2.5/onvif/device_service")
	got, err := parseAnswer([]byte(answer(probeID, good)), probeID, from)
	if want := (Device{from, "http://192.0.2.5/onvif/device_service", "Yard Cam", "DX-4"}); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for name, test := range map[string]struct {
		text string
		want error
	}{
		"another probe's answer": {answer("uuid:1", good), ErrMalformed},
		"no device":              {answer(probeID), ErrMalformed},
		"too many devices":       {answer(probeID, strings.Repeat(good, maxMatches+1)), ErrMalformed},
		"not its own address":    {answer(probeID, fmt.Sprintf(match, "", "http://192.0.2.6/onvif")), ErrForeign},
		"a name":                 {answer(probeID, fmt.Sprintf(match, "", "http://camera.example/onvif")), ErrForeign},
		"a login before a host":  {answer(probeID, fmt.Sprintf(match, "", "http://192.0.2.5@192.0.2.6/onvif")), ErrForeign},
		"another scheme":         {answer(probeID, fmt.Sprintf(match, "", "file://192.0.2.5/etc/passwd")), ErrForeign},
		"a printer":              {strings.ReplaceAll(answer(probeID, good), "dn:NetworkVideoTransmitter", "dn:Printer"), ErrForeign},
		"no XML":                 {"HTTP/1.1 200 OK", ErrMalformed},
		"entities": {`<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>` +
			strings.Replace(answer(probeID, good), `<?xml version="1.0" encoding="UTF-8"?>`, "", 1), ErrMalformed},
		"an entity that nobody declared": {answer(probeID, fmt.Sprintf(match, "&b;", "http://192.0.2.5/")), ErrMalformed},
		"deep":                           {strings.Repeat("<a>", maxDepth+1), ErrMalformed},
		"full":                           {answer(probeID, strings.Repeat("<x/>", maxElements)), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseAnswer([]byte(test.text), probeID, from); !errors.Is(err, test.want) {
				t.Errorf("%+v, %v; want %v", got, err, test.want)
			}
		})
	}
}

func FuzzParseAnswer(f *testing.F) {
	from := netip.MustParseAddr("192.0.2.5")
	f.Add([]byte(answer(probeID, fmt.Sprintf(match, "onvif://www.onvif.org/name/a", "http://192.0.2.5/onvif"))))
	f.Add([]byte(`<!DOCTYPE x [<!ENTITY a "a">]><x>&a;</x>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseAnswer(data, probeID, from)
		if (err == nil) != (len(list) > 0) {
			t.Fatalf("%v with %v", list, err)
		}
		for _, d := range list {
			if u, err := own(from, d.Service, "http", "https"); err != nil || u.String() != d.Service {
				t.Fatalf("%+v: %v", d, err)
			}
		}
	})
}

// answered lets several answer a probe from an address of this machine, most of whom lie, and gives what a Finder that may reach allowed made of it.
func answered(t *testing.T, allowed func(netip.Addr) bool) (*Finder, []Device, error) {
	t.Helper()
	device, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() {
		defer close(served)
		buffer := make([]byte, 64<<10)
		n, peer, err := device.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		id := string(regexp.MustCompile(`MessageID>(uuid:[0-9a-f-]+)<`).FindSubmatch(buffer[:n])[1])
		for _, text := range []string{
			strings.Repeat("x", 60_000),
			answer(id, fmt.Sprintf(match, "", "http://127.0.0.2/onvif")),
			answer("uuid:0", fmt.Sprintf(match, "", "http://127.0.0.1/wrong")),
			answer(id, fmt.Sprintf(match, "onvif://www.onvif.org/hardware/True", "http://127.0.0.1/onvif")),
			answer(id, fmt.Sprintf(match, "", "http://127.0.0.1/onvif")),
		} {
			_, _ = device.WriteToUDPAddrPort([]byte(text), peer)
		}
		// The second probe comes when all that was said before it has been read, or will be.
		_, _, _ = device.ReadFromUDPAddrPort(buffer)
		cancel()
	}()
	f := &Finder{group: device.LocalAddr().(*net.UDPAddr).AddrPort(), allowed: allowed, usable: func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 }}
	list, err := f.Find(ctx)
	_ = device.Close()
	<-served
	return f, list, err
}

func TestFind_AnswersAreJudged(t *testing.T) {
	f, list, err := answered(t, anyone)
	if want := (Device{netip.MustParseAddr("127.0.0.1"), "http://127.0.0.1/onvif", "", "True"}); err != nil || len(list) != 1 || list[0] != want {
		t.Errorf("%+v, %v; want %+v", list, err, want)
	}
	f.usable = func(net.Interface) bool { return false }
	if _, err := f.Find(t.Context()); err == nil {
		t.Error("without a network nothing can be asked")
	}
}

func TestFind_WhoIsWhereNoCameraMayBeIsNotThere(t *testing.T) {
	if _, list, err := answered(t, NewFinder().allowed); err != nil || len(list) > 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestProfiles_WhoIsWhereNoCameraMayBeIsNotAsked(t *testing.T) {
	asked := false
	f := newFake(t)
	f.replace = func(s string) string { asked = true; return s }
	if _, err := NewAsker(time.Now).Profiles(t.Context(), f.URL, "operator", password); !errors.Is(err, reach.ErrForbidden) || asked {
		t.Errorf("%v, asked: %t", err, asked)
	}
}

// fake is a camera's services. It wants a digest by its own clock.
type fake struct {
	*httptest.Server
	t       *testing.T
	clock   time.Time
	httpAsk string                     // what it asks of HTTP
	replace func(answer string) string // lies
}

const password = "canary-Secret-4711"

func newFake(t *testing.T) *fake {
	f := &fake{t: t, clock: time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), replace: func(s string) string { return s }}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	question := string(body)
	say := func(status int, body string) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, f.replace(`<s:Envelope xmlns:s="`+nsEnvelope+`" xmlns:tt="`+nsSchema+`"><s:Body>`+body+`</s:Body></s:Envelope>`))
	}
	host, _, _ := net.SplitHostPort(r.Host)
	switch {
	case strings.Contains(question, password):
		f.t.Error("the password was sent")
	case strings.Contains(question, "GetSystemDateAndTime"):
		say(200, `<R:GetSystemDateAndTimeResponse xmlns:R="`+nsDevice+`"><R:SystemDateAndTime><tt:UTCDateTime><tt:Time><tt:Hour>4</tt:Hour><tt:Minute>5</tt:Minute><tt:Second>6</tt:Second></tt:Time>`+
			`<tt:Date><tt:Year>2001</tt:Year><tt:Month>2</tt:Month><tt:Day>3</tt:Day></tt:Date></tt:UTCDateTime></R:SystemDateAndTime></R:GetSystemDateAndTimeResponse>`)
	case f.httpAsk != "" && !f.answered(r):
		w.Header().Set("WWW-Authenticate", f.httpAsk)
		w.WriteHeader(http.StatusUnauthorized)
	case f.httpAsk == "" && !f.knows(question):
		say(400, `<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode></s:Code><s:Reason><s:Text>no</s:Text></s:Reason></s:Fault>`)
	case strings.Contains(question, "GetCapabilities"):
		say(200, `<GetCapabilitiesResponse><Capabilities><tt:Media><tt:XAddr>http://`+r.Host+`/media?a=1&amp;b=2</tt:XAddr></tt:Media></Capabilities></GetCapabilitiesResponse>`)
	case r.URL.Path != "/media":
		say(500, "")
	case strings.Contains(question, "GetProfiles"):
		say(200, `<GetProfilesResponse>`+
			`<Profiles token="one&lt;"><tt:Name>Main</tt:Name><tt:VideoEncoderConfiguration><tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>1920</tt:Width><tt:Height>1080</tt:Height></tt:Resolution>`+
			`<tt:RateControl><tt:FrameRateLimit>25</tt:FrameRateLimit></tt:RateControl></tt:VideoEncoderConfiguration></Profiles>`+
			`<Profiles token="two"><tt:Name>Sub</tt:Name></Profiles></GetProfilesResponse>`)
	case strings.Contains(question, "<ProfileToken>one&lt;</ProfileToken>"):
		say(200, `<GetStreamUriResponse><MediaUri><tt:Uri>rtsp://someone:else@`+host+`:554/main?x=1&amp;y=2#tls-verify=no</tt:Uri></MediaUri></GetStreamUriResponse>`)
	case strings.Contains(question, "<ProfileToken>two</ProfileToken>"):
		say(200, `<GetStreamUriResponse><MediaUri><tt:Uri>rtsp://`+host+`/sub</tt:Uri></MediaUri></GetStreamUriResponse>`)
	default:
		say(500, "")
	}
}

// knows tells whether a question has a good digest, of now by its own clock.
func (f *fake) knows(question string) bool {
	field := func(name string) string {
		m := regexp.MustCompile(`<\w:` + name + `(?: [^>]*)?>([^<]*)<`).FindStringSubmatch(question)
		if m == nil {
			return ""
		}
		return m[1]
	}
	nonce, _ := base64.StdEncoding.DecodeString(field("Nonce"))
	created, err := time.Parse(time.RFC3339, field("Created"))
	return err == nil && created.Sub(f.clock).Abs() < time.Second && field("Username") == "operator" && field("Password") == digest(nonce, field("Created"), password)
}

// answered tells whether a request answers what HTTP asked.
func (f *fake) answered(r *http.Request) bool {
	field := r.Header.Get("Authorization")
	if strings.HasPrefix(field, "Basic") {
		f.t.Error("the password was sent")
	}
	part := func(name string) string {
		m := regexp.MustCompile(name + `="?([^",]*)`).FindStringSubmatch(field)
		if m == nil {
			return ""
		}
		return m[1]
	}
	return field != "" && field == challenge.Pick([]string{f.httpAsk}).AnswerWith(url.UserPassword("operator", password), r.Method, r.RequestURI, part("cnonce"), count(part("nc")))
}

func count(hex string) (n int) {
	_, _ = fmt.Sscanf(hex, "%x", &n)
	return n
}

func TestProfiles(t *testing.T) {
	ours := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := &Asker{allowed: anyone, now: func() time.Time { return ours }}
	want := []Profile{
		{"Main", "H264", 1920, 1080, 25, "rtsp://127.0.0.1:554/main?x=1&y=2"},
		{"Sub", "", 0, 0, 0, "rtsp://127.0.0.1/sub"},
	}
	for _, asks := range []string{"", `Digest realm="cam", nonce="n0", qop="auth", algorithm=SHA-256`} {
		f := newFake(t)
		f.httpAsk = asks
		list, err := a.Profiles(t.Context(), f.URL+"/onvif/device_service", "operator", password)
		if err != nil || len(list) != 2 || list[0] != want[0] || list[1] != want[1] {
			t.Errorf("%q: %+v, %v", asks, list, err)
		}
		for _, login := range [][2]string{{"operator", "wrong"}, {"", ""}, {"operator", strings.Repeat("x", maxLogin+1)}} {
			if _, err := a.Profiles(t.Context(), f.URL, login[0], login[1]); !errors.Is(err, ErrLogin) {
				t.Errorf("%q: %v, want %v", asks, err, ErrLogin)
			}
		}
	}
}

func TestProfiles_ThoseWhoLie(t *testing.T) {
	a := &Asker{allowed: anyone, now: time.Now}
	ask := func(f *fake) error {
		_, err := a.Profiles(t.Context(), f.URL, "operator", password)
		if err != nil && strings.Contains(err.Error(), password) {
			t.Errorf("the password is told: %v", err)
		}
		return err
	}
	for name, test := range map[string]struct {
		replace func(string) string
		want    error
	}{
		"another host's media": {func(s string) string {
			return strings.Replace(s, "<tt:XAddr>http://127.0.0.1", "<tt:XAddr>http://127.0.0.2", 1)
		}, ErrForeign},
		"another host's stream": {func(s string) string { return strings.Replace(s, "@127.0.0.1:554", "@192.0.2.9:554", 1) }, ErrForeign},
		"a file as a stream": {func(s string) string {
			return strings.Replace(s, "rtsp://someone:else@127.0.0.1:554", "file://127.0.0.1", 1)
		}, ErrMalformed},
		"a huge answer":    {func(s string) string { return s + strings.Repeat(" ", maxMessage) }, ErrMalformed},
		"entities":         {func(s string) string { return `<!DOCTYPE x [<!ENTITY a "a">]>` + s }, ErrMalformed},
		"another document": {func(string) string { return "<html/>" }, ErrMalformed},
		"no profile":       {func(s string) string { return strings.ReplaceAll(s, "Profiles token", "Nothing token") }, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.replace = test.replace
			if name == "no profile" {
				f.replace = func(s string) string {
					return regexp.MustCompile(`<(/?)Profiles\b`).ReplaceAllString(s, "<${1}Nothing")
				}
			}
			if err := ask(f); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
	t.Run("one that wants the password itself", func(t *testing.T) {
		f := newFake(t)
		f.httpAsk = `Basic realm="cam"`
		if err := ask(f); !errors.Is(err, ErrLogin) {
			t.Errorf("%v, want %v", err, ErrLogin)
		}
	})
	t.Run("one that leads elsewhere", func(t *testing.T) {
		f := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusTemporaryRedirect))
		defer f.Close()
		if _, err := a.Profiles(t.Context(), f.URL, "", ""); !errors.Is(err, ErrMalformed) {
			t.Errorf("%v, want %v", err, ErrMalformed)
		}
	})
}

func TestProfiles_WhatIsNotAsked(t *testing.T) {
	f := newFake(t)
	a := NewAsker(time.Now)
	for _, service := range []string{f.URL, "http://169.254.169.254/", "http://[::ffff:127.0.0.1]/"} {
		if _, err := a.Profiles(t.Context(), service, "", ""); !errors.Is(err, reach.ErrForbidden) {
			t.Errorf("%s: %v", service, err)
		}
	}
	for _, service := range []string{"", "http://camera.example/", "ftp://192.0.2.5/", "http://user:" + password + "@camera/\n"} {
		if _, err := a.Profiles(t.Context(), service, "", ""); err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", service, err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`<s:Envelope xmlns:s="` + nsEnvelope + `"><s:Body><GetStreamUriResponse><MediaUri><Uri>rtsp://192.0.2.5/</Uri></MediaUri></GetStreamUriResponse></s:Body></s:Envelope>`))
	from := netip.MustParseAddr("192.0.2.5")
	f.Fuzz(func(t *testing.T, data []byte) {
		var stream struct {
			URI string `xml:"Body>GetStreamUriResponse>MediaUri>Uri"`
		}
		if unmarshal(data, &stream) != nil {
			return
		}
		if u, err := own(from, stream.URI, "rtsp", "rtsps"); err == nil && (u.Hostname() != "192.0.2.5" && u.Hostname() != "::ffff:192.0.2.5" || u.User != nil || u.Fragment != "") {
			t.Fatalf("%q becomes %s", stream.URI, u)
		}
	})
}
