// Package witness tells a syslog receiver each line of the audit record, so that somebody else can say what the
// record was. It never holds the record up: what the receiver does not take in time is dropped and counted. It knows
// nothing of what a line means. Its one goroutine is the caller's: the one that calls Run.
package witness

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"sightline/internal/audit"
	"sightline/internal/trust"
)

// Queue is how many lines wait for the receiver at most: the size of the subscription to run with.
const Queue = 4096

const (
	dialTimeout  = 5 * time.Second
	writeTimeout = 5 * time.Second
	firstPause   = time.Second // between two attempts to connect
	longestPause = 30 * time.Second
)

// Options say who the receiver is.
type Options struct {
	Network string // "unix": datagrams to the socket at Address; "tcp" or "tls": Address is host:port
	Address string
	CA      string // path of PEM certificates that vouch for a TLS receiver; "": the system's
}

// Witness sends lines. Make one with New.
type Witness struct {
	opts  Options
	tls   *tls.Config // nil without TLS
	host  string
	lines *audit.Subscription
	log   *slog.Logger

	conn net.Conn // nil while there is none
	told uint64   // of the dropped lines, how many the receiver knows of
}

// New makes a witness that sends what lines delivers.
func New(o Options, lines *audit.Subscription, log *slog.Logger) (*Witness, error) {
	w := &Witness{opts: o, lines: lines, log: log, host: "-"}
	if name, err := os.Hostname(); err == nil {
		w.host = word(name)
	}
	if o.Network != "tls" {
		return w, nil
	}
	w.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		roots, err := trust.Pool(o.CA)
		if err != nil {
			return nil, fmt.Errorf("audit.syslog-ca: %w", err)
		}
		w.tls.RootCAs = roots
	}
	return w, nil
}

// Run sends lines until the record ends and all of them are sent, or until ctx ends. A receiver that is away is tried
// again and again meanwhile. A line that was being sent when a connection broke is sent anew.
func (w *Witness) Run(ctx context.Context) {
	defer func() {
		if w.conn != nil {
			_ = w.conn.Close() // what it took is all that is known
		}
	}()
	defer w.lines.Close()
	for {
		select {
		case e, open := <-w.lines.Entries():
			if !open {
				return
			}
			if err := w.deliver(ctx, e); err != nil {
				w.log.Warn("audit lines were not sent to the syslog receiver", "address", w.opts.Address,
					"lines", 1+len(w.lines.Entries()), "error", err)
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// deliver sends e, however long that takes; its error is ctx's.
func (w *Witness) deliver(ctx context.Context, e audit.Entry) error {
	failing := false
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := w.send(ctx, e)
		if err == nil {
			if failing {
				w.log.Info("syslog receiver takes audit lines again", "address", w.opts.Address)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !failing {
			failing = true
			w.log.Warn("syslog receiver does not take audit lines", "address", w.opts.Address, "error", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send makes one attempt, which leaves no connection when it fails.
func (w *Witness) send(ctx context.Context, e audit.Entry) error {
	if w.conn == nil {
		conn, err := w.dial(ctx)
		if err != nil {
			return err
		}
		w.conn = conn
	}
	stop := context.AfterFunc(ctx, func() { _ = w.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err := w.write(severity(e), e.Time, audit.Head{Seq: e.Seq, Hash: e.Hash}.String()+" "+e.Line)
	if lost := w.lines.Dropped(); err == nil && lost > w.told {
		w.log.Warn("audit lines were dropped on their way to the syslog receiver", "address", w.opts.Address, "lines", lost-w.told)
		err = w.write(severityWarning, e.Time, strconv.FormatUint(lost-w.told, 10)+" lines before or after this one were dropped")
		if err == nil {
			w.told = lost
		}
	}
	if err != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
	return err
}

func (w *Witness) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	switch w.opts.Network {
	case "unix":
		return new(net.Dialer).DialContext(ctx, "unixgram", w.opts.Address)
	case "tls":
		return (&tls.Dialer{Config: w.tls}).DialContext(ctx, "tcp", w.opts.Address)
	case "tcp":
		return new(net.Dialer).DialContext(ctx, "tcp", w.opts.Address)
	}
	return nil, errors.New("no such network: " + w.opts.Network)
}

// Numbers of RFC 5424, section 6.2.1.
const (
	facilityAudit   = 13
	severityWarning = 4
	severityNotice  = 5
	severityInfo    = 6
)

func severity(e audit.Entry) int {
	switch e.Verdict {
	case audit.Refused:
		return severityWarning
	case audit.Granted:
		return severityNotice
	}
	return severityInfo
}

// write sends one message of RFC 5424: a datagram, or on a stream with its length before it (RFC 6587, section 3.4.1;
// RFC 5425, section 4.3).
func (w *Witness) write(severity int, at time.Time, text string) error {
	message := fmt.Appendf(nil, "<%d>1 %s %s sightline %d audit - %s",
		facilityAudit*8+severity, at.UTC().Format("2006-01-02T15:04:05.000000Z"), w.host, os.Getpid(), text)
	if w.opts.Network != "unix" {
		message = append(strconv.AppendInt(nil, int64(len(message)), 10), append([]byte{' '}, message...)...)
	}
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := w.conn.Write(message)
	return err
}

// word makes name fit to stand between spaces.
func word(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c <= ' ' || c > '~' {
			b[i] = '-'
		}
	}
	if len(b) == 0 {
		return "-"
	}
	return string(b[:min(len(b), 255)])
}
