package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sightline/internal/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHistogram_IsExactToOnePartIn64(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 127, 128, 129, 1000, 33_333, 1_000_000, 100_000_000} {
		d *= time.Microsecond
		var h histogram
		h.add(d)
		got := h.read().quantile(0.5)
		want := float64(d.Microseconds()) / 1000
		if off := got - want; off > want/64 || off < -want/64 {
			t.Errorf("%s is told as %.4f ms", d, got)
		}
	}
}

func TestHistogram_QuantilesOfAHundred(t *testing.T) {
	var h histogram
	before := h.read()
	for i := range 100 {
		h.add(time.Duration(i) * time.Microsecond)
	}
	c := h.read()
	c.since(before)
	if s := c.spread(); s != (Spread{P50: 0.050, P95: 0.095, P99: 0.099, Max: 0.099}) {
		t.Errorf("got %+v", s)
	}
	c.since(h.read())
	if s := c.spread(); s != (Spread{}) {
		t.Errorf("of nothing: %+v", s)
	}
}

func TestParseTrace(t *testing.T) {
	trace, err := ParseTrace(strings.NewReader("# train\n2 1000\n\n0.5 64\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   time.Duration
		want float64
	}{{0, 1e6}, {1999 * time.Millisecond, 1e6}, {2 * time.Second, 64e3}, {2500 * time.Millisecond, 1e6}} {
		if got := trace.at(c.at); got != c.want {
			t.Errorf("after %s it carries %.0f bit/s, want %.0f", c.at, got, c.want)
		}
	}
	for _, bad := range []string{"", "1", "1 2 3", "0 100", "-1 100", "1 0", "NaN 100", "1 NaN", "1 1e99", "x 5"} {
		if _, err := ParseTrace(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is taken for a trace", bad)
		}
	}
}

func TestFailures_OfOneKindAreOne(t *testing.T) {
	g := group{failures: map[string]uint64{}}
	for port := range 3 {
		g.failed(fmt.Errorf("websocket: %w", &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: port}, Err: errors.New("timeout")}))
	}
	if g.failures["read tcp: timeout"] != 3 || len(g.failures) != 1 {
		t.Errorf("got %v", g.failures)
	}
}

func TestRungs_TheLargestFirstAndEachOnce(t *testing.T) {
	got := Rungs(Figures{Rungs: map[string]int{"720p": 3, noRung: 1}}, Figures{Rungs: map[string]int{"368p": 1, "1080p": 2, "720p": 1}})
	if want := []string{"1080p", "720p", "368p", noRung}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFindLimit_EndsWhereNobodyGetsAPicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := New(Options{Dial: func(context.Context) (transport.Conn, error) { return nil, errors.New("no room") }})
		done := make(chan struct{})
		go func() { c.Run(ctx); close(done) }()
		began := time.Now()
		l, err := c.FindLimit(ctx, Search{First: 10, Most: 1000, Hold: time.Second})
		if err == nil || !strings.Contains(err.Error(), "no room") || l.Viewers != 0 {
			t.Errorf("got %+v, %v", l, err)
		}
		if took := time.Since(began); took > 2*admitLimit { // of the bubble
			t.Errorf("it took %s", took)
		}
		cancel()
		<-done
	})
}

func FuzzParseTrace(f *testing.F) {
	f.Add("2 1000\n0.5 64\n", int64(3))
	f.Add("# nothing\n", int64(0))
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		trace, err := ParseTrace(strings.NewReader(text))
		if err != nil {
			return
		}
		if bps := trace.at(time.Duration(max(0, seconds)%1e6) * time.Second); !(bps >= 1000 && bps <= 1e11) {
			t.Errorf("%q carries %f bit/s", text, bps)
		}
	})
}

// message is a connection on which one message of 125 bytes after the other is there at once.
type message struct{ transport.Conn }

func (message) ReadMessage() ([]byte, error)       { return make([]byte, 125), nil }
func (message) Close(transport.Code, string) error { return nil }

func TestPath_TakesTheTimeThatItsTraceSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPath(message{})
		p.trace = Trace{{For: time.Hour, Bps: 1000}}
		began := time.Now()
		for range 10 {
			if _, err := p.ReadMessage(); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("10,000 bits at 1000 bit/s took %s", took)
		}
	})
}

func TestPath_StalledOneReadsNothingUntilItIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalled := make(chan struct{})
		p := newPath(message{})
		p.stalled = stalled
		if _, err := p.ReadMessage(); err != nil {
			t.Fatal(err)
		}
		close(stalled)
		read := make(chan struct{})
		go func() { _, _ = p.ReadMessage(); close(read) }()
		synctest.Wait()
		select {
		case <-read:
			t.Fatal("it reads")
		default:
		}
		_ = p.Close(transport.CodeNormal, "")
		<-read
	})
}

func TestCrowd_RefusalsAreCountedAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := New(Options{Dial: func(context.Context) (transport.Conn, error) { return nil, errors.New("no room") }})
		from := c.Mark()
		c.Want(Plain, 3)
		done := make(chan struct{})
		go func() { c.Run(ctx); close(done) }()
		time.Sleep(again + again/2) // of the bubble: each has tried twice
		if f := c.Since(from); len(f) != 1 || f[0].Wanted != 3 || f[0].Viewers != 0 || f[0].Failures["no room"] != 6 {
			t.Errorf("got %+v", f)
		}
		c.Want(Plain, 0)
		synctest.Wait()
		mark := c.Mark()
		time.Sleep(10 * again)
		if mark2 := c.Mark(); mark2.groups[Plain].failures["no room"] != mark.groups[Plain].failures["no room"] {
			t.Error("who is not wanted any more tries on")
		}
		cancel()
		<-done
	})
}
