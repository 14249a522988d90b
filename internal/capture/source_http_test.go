//go:build cgo

package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/challenge"
)

// mjpegHandler sends parts until the viewer goes, numbered by their grey.
func mjpegHandler(t *testing.T, length bool) http.HandlerFunc {
	pictures := [][]byte{stillJPEG(t, 128, 96, 50), stillJPEG(t, 128, 96, 200)}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", `multipart/x-mixed-replace; boundary=--a b`) // as wrong as cameras have it
		for n := 0; ; n++ {
			p := pictures[n%2]
			head := "--a b\r\nContent-Type: image/jpeg\r\n"
			if length {
				head += fmt.Sprintf("Content-Length: %d\r\n", len(p))
			}
			if _, err := fmt.Fprintf(w, "%s\r\n%s\r\n", head, p); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

// digest asks for Digest credentials of user:hunter2 and checks the answer with the formula of RFC 7616.
func digest(algorithm string, next http.HandlerFunc) http.HandlerFunc {
	field := regexp.MustCompile(`(\w+)="?([^",]+)"?`)
	var count atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		got := map[string]string{}
		for _, m := range field.FindAllStringSubmatch(r.Header.Get("Authorization"), -1) {
			got[m[1]] = m[2]
		}
		asks := `Digest realm="cam", qop="auth,auth-int", nonce="n0nce", algorithm=` + algorithm
		want := challenge.Pick([]string{asks}).AnswerWith(url.UserPassword("user", "hunter2"), r.Method, r.RequestURI, got["cnonce"], int(count.Load())+1)
		if r.Header.Get("Authorization") != want {
			w.Header().Add("WWW-Authenticate", `Basic realm="cam"`)
			w.Header().Add("WWW-Authenticate", asks)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		count.Add(1)
		next(w, r)
	}
}

func basic(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "user" || password != "hunter2" {
			w.Header().Set("WWW-Authenticate", `Basic realm="cam"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

func snapshotHandler(t *testing.T, asked *atomic.Int64) http.HandlerFunc {
	picture := stillJPEG(t, 128, 96, 90)
	return func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "image/jpeg")
		_, _ = w.Write(picture)
	}
}

func withUser(server, user, rest string) string {
	return strings.Replace(server, "://", "://"+user+"@", 1) + rest
}

func TestHTTP_MotionJPEG(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"with lengths": mjpegHandler(t, true), "without": mjpegHandler(t, false),
		"basic": basic(mjpegHandler(t, true)), "digest": digest("MD5", mjpegHandler(t, true)),
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			src, err := ParseSource(withUser(server.URL, "user:hunter2", "/video.mjpg?x=hunter2"))
			if err != nil {
				t.Fatal(err)
			}
			feed, err := NewLibav().Open(t.Context(), src)
			if err != nil {
				t.Fatal(err)
			}
			defer feed.Close()
			await(t, feed, 50)
			await(t, feed, 200)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			unit, picture, err := feed.(Native).NextUnit(ctx, true)
			if err != nil {
				t.Fatal(err)
			}
			defer picture.Release()
			if luma := lumaOf(t, picture); !bytes.Equal(unit.Data, stillJPEG(t, 128, 96, 50)) && !near(luma, 200) {
				t.Errorf("a unit that the camera did not send, with luma %d", luma)
			}
			unit, picture, err = feed.(Native).NextUnit(ctx, false)
			if err != nil || picture != nil || unit == nil {
				t.Errorf("%v %v %v, want a unit alone", unit, picture, err)
			}
			server.CloseClientConnections()
			for range 10 {
				if _, err = feed.Next(ctx); err != nil {
					break
				}
			}
			if err == nil || !strings.Contains(err.Error(), "breaks the connection off") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v, want that the connection is broken off, without the password", err)
			}
		})
	}
}

func TestHTTP_SnapshotsAreAskedForAtTheirRate(t *testing.T) {
	for _, algorithm := range []string{"MD5", "SHA-256", "MD5-sess"} {
		t.Run(algorithm, func(t *testing.T) {
			var asked atomic.Int64
			server := httptest.NewServer(digest(algorithm, snapshotHandler(t, &asked)))
			t.Cleanup(server.Close)
			feed := openSource(t, NewLibav(), withUser(server.URL, "user:hunter2", "/snapshot.jpg#fps=20"))
			if info := feed.Info(); info.FrameRateMilli != 20_000 {
				t.Errorf("%+v", info)
			}
			nextLuma(t, feed)
			began := time.Now()
			for range 20 {
				if luma, _ := nextLuma(t, feed); !near(luma, 90) {
					t.Fatalf("luma %d", luma)
				}
			}
			if d := time.Since(began); d < 700*time.Millisecond {
				t.Errorf("20 snapshots at 20 a second took %v", d)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			before := asked.Load()
			if err := feed.Rest(ctx, nil); err != nil {
				t.Fatal(err)
			}
			if n := asked.Load() - before; n > 2 {
				t.Errorf("%d snapshots in half a second of rest", n)
			}
			nextLuma(t, feed) // a rest ends with a new picture
		})
	}
}

func TestHTTP_RefusalsAreSentencesWithoutSecrets(t *testing.T) {
	var asked atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/private", basic(snapshotHandler(t, &asked)))
	mux.HandleFunc("/private-digest", digest("MD5", snapshotHandler(t, &asked)))
	mux.HandleFunc("/bearer", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	plain := httptest.NewServer(mux)
	t.Cleanup(plain.Close)
	for _, tc := range []struct{ address, want string }{
		{withUser(plain.URL, "user:wrong-hunter2", "/private"), "refuses the user name or password"},
		{withUser(plain.URL, "user:wrong-hunter2", "/private-digest"), "refuses the user name or password"},
		{plain.URL + "/private", "refuses the user name or password"},
		{withUser(plain.URL, "user:hunter2", "/bearer"), "in a way that is not known here"},
		{plain.URL + "/none?password=hunter2", "does not exist there; check the path"},
		{plain.URL + "/broken?password=hunter2", "answers with status 503"},
		{plain.URL + "/loop?password=hunter2", "on and on"},
		{plain.URL + "/file?password=hunter2", "not followed"},
		{withUser(server.URL, "user:hunter2", "/private"), "nobody vouches for; add #tls-verify=no"},
		{"http://user:hunter2@127.0.0.1:1/x?y=hunter2", "does not accept connections"},
	} {
		src, err := ParseSource(tc.address)
		if err != nil {
			t.Fatal(err)
		}
		feed, err := NewLibav().Open(t.Context(), src)
		if err == nil {
			feed.Close()
			t.Errorf("%s opens", tc.address)
			continue
		}
		if !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q and no password", tc.address, err, tc.want)
		}
		if refused := strings.Contains(tc.want, "refuses"); errors.Is(err, ErrRefused) != refused {
			t.Errorf("%s: ErrRefused is %t", tc.address, !refused)
		}
	}
	nextLuma(t, openSource(t, NewLibav(), withUser(server.URL, "user:hunter2", "/private#tls-verify=no")))
}

func TestHTTP_CredentialsStayWithTheirServer(t *testing.T) {
	var leaked atomic.Bool
	var asked atomic.Int64
	show := snapshotHandler(t, &asked)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			leaked.Store(true)
		}
		if r.URL.Path == "/asks" {
			w.Header().Set("WWW-Authenticate", `Basic realm="fishing"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		show(w, r)
	}))
	t.Cleanup(other.Close)
	server := httptest.NewServer(basic(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	nextLuma(t, openSource(t, NewLibav(), withUser(server.URL, "user:hunter2", "/shows")))
	src, err := ParseSource(withUser(server.URL, "user:hunter2", "/asks"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewLibav().Open(t.Context(), src); !errors.Is(err, ErrRefused) {
		t.Errorf("%v, want ErrRefused", err)
	}
	if leaked.Load() {
		t.Error("another server was given the credentials")
	}
}

func TestHTTP_SilenceIsAStall(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=f")
		_, _ = w.Write(append([]byte("--f\r\n\r\n"), stillJPEG(t, 128, 96, 60)...))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	feed := openSource(t, NewLibav(), server.URL+"/x")
	nextLuma(t, feed)
	began := time.Now()
	_, err := feed.Next(t.Context())
	if !errors.Is(err, ErrStalled) || errors.Is(err, ErrPaused) {
		t.Fatalf("%v, want ErrStalled alone", err)
	}
	if d := time.Since(began); d < time.Second {
		t.Errorf("told after %v, want 2 s", d)
	}
}

func TestHTTP_OtherMediaIsForTheLibraries(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "video/mp2t")
		_, _ = w.Write(make([]byte, 100))
	}))
	t.Cleanup(server.Close)
	src, err := ParseSource(server.URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	if feed, err := openHTTP(t.Context(), src); feed != nil || err != nil {
		t.Errorf("%v, %v, want neither", feed, err)
	}
}

// Who named a camera on a page must not learn what this machine alone can reach, and still less have FFmpeg's libraries connect to it.
func TestGuarded_LeadsNeitherHereNorToTheLibraries(t *testing.T) {
	asked := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	t.Cleanup(server.Close)
	for _, address := range []string{server.URL + "/x", strings.Replace(server.URL, "http", "rtsp", 1) + "/x"} {
		src, err := ParseSource(address)
		if err != nil {
			t.Fatal(err)
		}
		var feed Feed
		if src.Scheme() == "http" {
			feed, err = openHTTP(t.Context(), src.Guarded())
		} else {
			feed, err = openRTSP(t.Context(), src.Guarded())
		}
		if feed != nil || err == nil || !strings.Contains(err.Error(), "leads to this machine") {
			t.Errorf("%s: %v, %v", address, feed, err)
		}
	}
	if len(asked) > 0 {
		t.Errorf("asked for %s", <-asked)
	}
}

func TestHTTP_BadOptionsAreSentences(t *testing.T) {
	for address, want := range map[string]string{
		"http://h/x#fps=100":                      "at most 30",
		"http://h/x#fps=a":                        "want frames a second",
		"http://h/x#speed=1":                      "known are tls-verify=no, fps=5",
		"rtsp://h/x#fps=5":                        "known are tls-verify=no, tls-fingerprint=…, transport=udp",
		"https://h/x#tls-verify=no&tls-verify=no": "given twice",
		"https://u:hunter2@h/x#tls-verify=maybe;": "are written as",
	} {
		if _, err := ParseSource(address); !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}
