package load

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"sightline/internal/transport"
)

// Step is one part of a Trace: for so long, a network takes so many bit/s.
type Step struct {
	For time.Duration
	Bps float64
}

// Trace is what a network carries over time; after its last step it begins anew.
type Trace []Step

// ParseTrace reads a trace of one step a line: seconds and kbit/s, as in "2.5 800". Empty lines and those that begin with # are
// skipped. The error names the line.
func ParseTrace(r io.Reader) (Trace, error) {
	var trace Trace
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		bad := fmt.Errorf("line %d: %.80q is no step of a trace: write seconds and kbit/s, such as \"2.5 800\"", n, lines.Text())
		if len(fields) != 2 {
			return nil, bad
		}
		seconds, err1 := strconv.ParseFloat(fields[0], 64)
		kbps, err2 := strconv.ParseFloat(fields[1], 64)
		// Slower than 1 kbit/s is a network that has stopped; a day is longer than anybody measures.
		if err1 != nil || err2 != nil || !(seconds >= 0.001 && seconds <= 86400) || !(kbps >= 1 && kbps <= 1e8) {
			return nil, bad
		}
		trace = append(trace, Step{For: time.Duration(seconds * float64(time.Second)), Bps: kbps * 1000})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the trace: %w", err)
	}
	if len(trace) == 0 {
		return nil, fmt.Errorf("the trace is empty: write lines of seconds and kbit/s, such as \"2.5 800\"")
	}
	return trace, nil
}

// at is what the network carries after so long, bit/s.
func (t Trace) at(elapsed time.Duration) float64 {
	var whole time.Duration
	for _, s := range t {
		whole += s.For
	}
	elapsed %= whole
	for _, s := range t {
		if elapsed -= s.For; elapsed < 0 {
			return s.Bps
		}
	}
	return t[len(t)-1].Bps
}

const (
	// packet is how many bytes TCP sends at a time, and lossPause how long everything stands still where one is lost: what a
	// retransmission takes on a path of 50 ms.
	packet    = 1448
	lossPause = 100 * time.Millisecond
)

// path is a connection over a network that is worse than the one there is. It takes its time over reading, so that what is on the
// way backs up to the server as behind a real bottleneck.
type path struct {
	transport.Conn
	trace   Trace           // nil: no limit
	loss    float64         // the part of packets lost
	stalled <-chan struct{} // nothing is read any more once it is closed; nil: never

	once   sync.Once
	closed chan struct{}

	// Owned by the reader.
	began, free time.Time // when the first message came, and when the network has room for the next
}

func newPath(conn transport.Conn) *path { return &path{Conn: conn, closed: make(chan struct{})} }

// ReadMessage implements transport.Conn.
func (p *path) ReadMessage() ([]byte, error) {
	select {
	case <-p.stalled:
		<-p.closed
	default:
	}
	b, err := p.Conn.ReadMessage()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if p.began.IsZero() {
		p.began, p.free = now, now
	}
	if now.After(p.free) {
		p.free = now
	}
	if p.trace != nil {
		p.free = p.free.Add(time.Duration(float64(len(b)) * 8 / p.trace.at(now.Sub(p.began)) * float64(time.Second)))
	}
	for range (len(b) + packet - 1) / packet {
		if rand.Float64() < p.loss { //nolint:gosec // no secret is drawn
			p.free = p.free.Add(lossPause)
		}
	}
	if wait := p.free.Sub(now); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.closed:
		}
	}
	return b, nil
}

// Close implements transport.Conn.
func (p *path) Close(code transport.Code, reason string) error {
	p.once.Do(func() { close(p.closed) })
	return p.Conn.Close(code, reason)
}
