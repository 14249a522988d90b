package load

import (
	"errors"
	"net"
	"os"
	"runtime"
	"testing"
)

func TestSearch_FindsWhereItBreaks(t *testing.T) {
	for _, c := range []struct{ first, most, breaks int }{
		{10, 20_000, 1}, {10, 20_000, 2}, {10, 20_000, 11}, {10, 20_000, 640}, {10, 20_000, 641}, {10, 1000, 1001}, {10, 1000, 5000}, {10, 4, 3}, {1, 1, 2},
	} {
		asked := 0
		got, err := search(c.first, c.most, func(n int) (bool, error) {
			if asked++; n < 1 || n > c.most {
				t.Fatalf("%+v: asked for %d", c, n)
			}
			return n < c.breaks, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want := min(c.breaks-1, c.most)
		if got > want || want-got > want/16 || want == c.most && got != want {
			t.Errorf("%+v: %d, want %d", c, got, want)
		}
		if asked > 25 {
			t.Errorf("%+v: asked %d times", c, asked)
		}
	}
}

func TestSearch_EndsWithTheError(t *testing.T) {
	bad := errors.New("bad")
	if _, err := search(10, 100, func(int) (bool, error) { return false, bad }); !errors.Is(err, bad) {
		t.Errorf("error %v", err)
	}
}

func TestBounds_SayWhichIsBroken(t *testing.T) {
	b := Bounds{FPS: 25, GapMS: 100, LatencyMS: 200}
	fine := Figures{FPSMedian: 30, Gap: Spread{P99: 40}, Age: Spread{P95: 20}}
	if why := b.broken(fine); why != "" {
		t.Errorf("broken: %s", why)
	}
	for name, spoil := range map[string]func(*Figures){
		"fps": func(f *Figures) { f.FPSMedian = 24.9 }, "gap": func(f *Figures) { f.Gap.P99 = 101 }, "latency": func(f *Figures) { f.Age.P95 = 201 },
	} {
		f := fine
		spoil(&f)
		if b.broken(f) == "" {
			t.Errorf("%s: not broken", name)
		}
	}
}

func TestListener_IsThisProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // of a test
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	p, err := Listener("127.0.0.1", port)
	if err != nil {
		t.Fatal(err)
	}
	if p.pid != os.Getpid() {
		t.Errorf("process %d, want %d", p.pid, os.Getpid())
	}
	if u := p.Meter()(); u == nil || u.Memory <= 0 {
		t.Errorf("usage %+v", u)
	}
	if _, err := Listener("192.0.2.1", port); !errors.Is(err, ErrNotHere) {
		t.Errorf("of another machine: error %v", err)
	}
	if u := (*Process)(nil).Meter()(); u != nil {
		t.Errorf("of nothing: %+v", u)
	}
}
