package notify

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type delivery struct {
	body, signature string
}

// receiver answers each delivery with the next of statuses, and with 204 when there is none left.
func receiver(t *testing.T, statuses ...int) (*httptest.Server, chan delivery) {
	t.Helper()
	got := make(chan delivery, 1000)
	answers := make(chan int, len(statuses))
	for _, s := range statuses {
		answers <- s
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s of %s, error %v", r.Method, r.Header.Get("Content-Type"), err)
		}
		status := http.StatusNoContent
		select {
		case status = <-answers:
		default:
		}
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		got <- delivery{string(body), r.Header.Get(SignatureHeader)}
	}))
	t.Cleanup(s.Close)
	return s, got
}

// start runs a webhook to s until the test ends.
func start(t *testing.T, s *httptest.Server, o Options) *Webhook {
	t.Helper()
	o.URL, o.Secret = s.URL+"/hook", []byte("shared")
	if o.TLS == nil {
		o.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig //nolint:forcetypeassert // it is one
	}
	w := New(o, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
	return w
}

func TestRun_MessagesArriveInOrderAndSigned(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	s, got := receiver(t)
	w := start(t, s, Options{Now: func() time.Time { return at }})
	for i := range 5 {
		w.Send(fmt.Appendf(nil, `{"n":%d}`, i))
	}
	for i := range 5 {
		d := <-got
		want := fmt.Sprintf(`{"n":%d}`, i)
		if d.body != want {
			t.Errorf("got %s, want %s", d.body, want)
		}
		if signature := Sign([]byte("shared"), at, []byte(want)); !hmac.Equal([]byte(d.signature), []byte(signature)) {
			t.Errorf("signed %s, want %s", d.signature, signature)
		}
	}
}

func TestRun_WhatIsNotTakenIsTriedAgain(t *testing.T) {
	s, got := receiver(t, http.StatusInternalServerError, http.StatusFound)
	w := start(t, s, Options{})
	w.Send([]byte(`"a"`))
	for range 3 { // a failure, an answer that points elsewhere, and success
		if d := <-got; d.body != `"a"` {
			t.Errorf("got %s", d.body)
		}
	}
}

func TestSetReceiver_GetsWhatTheOneBeforeDidNotTake(t *testing.T) {
	before, refused := receiver(t, http.StatusInternalServerError)
	after, got := receiver(t)
	w := start(t, before, Options{})
	w.Send([]byte(`"a"`))
	<-refused
	client := after.Client().Transport.(*http.Transport).TLSClientConfig //nolint:forcetypeassert // it is one
	w.SetReceiver(Receiver{URL: after.URL, Secret: []byte("another"), TLS: client})
	w.Send([]byte(`"b"`))
	for _, want := range []string{`"a"`, `"b"`} {
		d := <-got
		var seconds int64
		if _, err := fmt.Sscanf(d.signature, "t=%d,", &seconds); err != nil || d.body != want || d.signature != Sign([]byte("another"), time.Unix(seconds, 0), []byte(want)) {
			t.Errorf("got %s, signed %s, error %v", d.body, d.signature, err)
		}
	}
	w.SetReceiver(Receiver{})
	w.Send([]byte(`"c"`))
	if _, ok := w.next(); ok {
		t.Error("something waits for nobody")
	}
}

func TestSend_TheOldestGoesWhenTooManyWait(t *testing.T) {
	w := New(Options{Receiver: Receiver{URL: "https://desk.example"}}, slog.New(slog.DiscardHandler))
	for i := range maxWaiting + 10 {
		w.Send(fmt.Appendf(nil, "%d", i))
	}
	if m, ok := w.next(); !ok || string(m.body) != "10" || len(w.waiting) != maxWaiting {
		t.Errorf("first is %s of %d", m.body, len(w.waiting))
	}
}

func TestNext_WhatIsTooOldIsGivenUp(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	w := New(Options{Receiver: Receiver{URL: "https://desk.example"}, Now: func() time.Time { return at }}, slog.New(slog.DiscardHandler))
	w.Send([]byte("old"))
	at = at.Add(maxAge)
	w.Send([]byte("new"))
	at = at.Add(time.Second)
	if m, ok := w.next(); !ok || string(m.body) != "new" {
		t.Errorf("first is %q", m.body)
	}
}

func TestSign_IsWhatTheDocumentationSays(t *testing.T) {
	// printf '1800000000.{}' | openssl dgst -sha256 -hmac shared
	const want = "t=1800000000,v1=d4f9e33e547d5febe2df5ba378a27fe752f3e4c0c362e50e5d4f1a33fa41b6bf"
	if got := Sign([]byte("shared"), time.Unix(1_800_000_000, 0), []byte("{}")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
