// Package notify carries messages to a web address of the operator's: in order, signed, and tried again until they are taken or
// too old. It knows nothing of what the messages say. Run owns its goroutine.
package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// SignatureHeader carries "t=<Unix seconds>,v1=<hex>": the HMAC-SHA256 (RFC 2104) under the shared secret of the seconds, a full
// stop and the body. A receiver that compares both, and the seconds with its clock, takes no foreign message and no old one.
const SignatureHeader = "Sightline-Signature"

const (
	// maxWaiting is how many messages wait at most; beyond it the oldest goes, and the log says so.
	maxWaiting = 256
	// maxAge is how long a message is tried.
	maxAge = 24 * time.Hour
	// attemptTimeout bounds one attempt.
	attemptTimeout        = 10 * time.Second
	firstRetry, lastRetry = time.Second, 5 * time.Minute
)

// Receiver is where messages go.
type Receiver struct {
	URL    string // https; empty: nobody is told
	Secret []byte // shared with the receiver
	// TLS is how the receiver is known; nil: by the system's authorities.
	TLS *tls.Config
}

// Options are what a Webhook needs.
type Options struct {
	Receiver
	Now func() time.Time // nil: time.Now
}

// Webhook sends messages. Send and SetReceiver are safe for concurrent use.
type Webhook struct {
	now     func() time.Time
	log     *slog.Logger
	wake    chan struct{} // capacity 1: there is something to send
	changed chan struct{} // capacity 1: to another receiver

	mu       sync.Mutex
	receiver Receiver     // guarded by mu
	client   *http.Client // knows the receiver; guarded by mu
	waiting  []message    // guarded by mu
	lost     int          // since last told; guarded by mu
}

type message struct {
	body  []byte
	since time.Time
}

// New makes a webhook that sends once it runs.
func New(o Options, log *slog.Logger) *Webhook {
	if o.Now == nil {
		o.Now = time.Now
	}
	w := &Webhook{now: o.Now, log: log, wake: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
	w.receiver, w.client = o.Receiver, clientFor(o.Receiver)
	return w
}

func clientFor(r Receiver) *http.Client {
	return &http.Client{
		Transport: &http.Transport{TLSClientConfig: r.TLS, MaxIdleConns: 1, IdleConnTimeout: time.Minute},
		Timeout:   attemptTimeout,
		// Whoever answers for another address gets no message of ours there.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// SetReceiver sends to another receiver from now on, what waits too, and at once. Where there is none, what waits is let go.
func (w *Webhook) SetReceiver(r Receiver) {
	w.mu.Lock()
	before := w.client
	w.receiver, w.client = r, clientFor(r)
	if r.URL == "" {
		w.waiting = nil
	}
	w.mu.Unlock()
	before.CloseIdleConnections()
	signal(w.changed)
}

// signal puts a token into c, which holds one, unless one is there.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Send takes body, a JSON text, to be sent. It never waits.
func (w *Webhook) Send(body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.receiver.URL == "" {
		return
	}
	w.waiting = append(w.waiting, message{body, w.now()})
	if len(w.waiting) > maxWaiting {
		w.waiting = w.waiting[1:]
		w.lost++
	}
	signal(w.wake)
}

// Run sends until ctx is done.
func (w *Webhook) Run(ctx context.Context) error {
	defer w.hangUp()
	retry := firstRetry
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.wake:
			if retry > firstRetry {
				continue // the receiver is away: the timer decides
			}
		case <-w.changed:
			retry = firstRetry
		case <-timer.C:
		}
		for m, ok := w.next(); ok; m, ok = w.next() {
			err := w.deliver(ctx, m.body)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				w.log.Warn("webhook did not take a message, trying again", "error", err, "after", retry)
				timer.Reset(retry*4/5 + rand.N(retry*2/5))
				retry = min(2*retry, lastRetry)
				break
			}
			retry = firstRetry
			w.sent(m)
		}
	}
}

// hangUp closes the connection that is kept to the receiver.
func (w *Webhook) hangUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.client.CloseIdleConnections()
}

// next is the oldest message that is worth sending.
func (w *Webhook) next() (message, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiting) > 0 && w.now().Sub(w.waiting[0].since) > maxAge {
		w.waiting = w.waiting[1:]
		w.lost++
	}
	if w.lost > 0 {
		w.log.Error("messages for the webhook were given up", "count", w.lost)
		w.lost = 0
	}
	if len(w.waiting) == 0 {
		return message{}, false
	}
	return w.waiting[0], true
}

// sent takes m from the queue, unless it was pushed out meanwhile.
func (w *Webhook) sent(m message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) > 0 && &w.waiting[0].body[0] == &m.body[0] {
		w.waiting = w.waiting[1:]
	}
}

func (w *Webhook) deliver(ctx context.Context, body []byte) error {
	w.mu.Lock()
	to, client := w.receiver, w.client
	w.mu.Unlock()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "sightline")
	r.Header.Set(SignatureHeader, Sign(to.Secret, w.now(), body))
	res, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("webhook: answered with %s", res.Status)
	}
	return nil
}

// Sign gives the value of SignatureHeader for body at a time.
func Sign(secret []byte, at time.Time, body []byte) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(seconds + "."))
	mac.Write(body)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
