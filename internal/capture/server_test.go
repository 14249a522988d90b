package capture_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"sightline/internal/capture"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/pipe"
	"sightline/internal/wire"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// server is the other end of a publish connection: it answers the clock and gives what comes in to the test.
type server struct {
	t     *testing.T
	conn  transport.Conn
	epoch media.Epoch

	hellos   chan wire.PublisherHello
	statuses chan wire.PublisherStatus
	configs  chan wire.Config
	units    chan unit
	stats    chan wire.PublisherStats
}

// unit is one access unit.
type unit struct {
	wire.MediaHeader
	data    []byte
	arrived media.Timestamp
}

// start runs a capture against a server until the test ends.
func start(t *testing.T, opts capture.Options, engine capture.Engine) *server {
	t.Helper()
	near, far := net.Pipe()
	s := &server{
		t: t, conn: pipe.New(far, wire.MaxMessageLen), epoch: media.NewEpoch(),
		hellos: make(chan wire.PublisherHello, 100), statuses: make(chan wire.PublisherStatus, 1000), configs: make(chan wire.Config, 100),
		units: make(chan unit, 10000), stats: make(chan wire.PublisherStats, 100),
	}
	c, err := capture.New(opts, engine, slog.New(slog.NewTextHandler(logWriter{t}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran, read := make(chan error, 1), make(chan struct{})
	go func() {
		ran <- c.Run(ctx, capture.Link{Once: true, Dial: func(context.Context) (transport.Conn, error) {
			return pipe.New(near, wire.MaxMessageLen), nil
		}})
	}()
	go func() { s.read(); close(read) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ran:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not end")
		}
		_ = s.conn.Close(transport.CodeNormal, "")
		<-read
	})
	return s
}

type logWriter struct{ t *testing.T }

func (w logWriter) Write(p []byte) (int, error) { w.t.Logf("%s", p); return len(p), nil }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (s *server) read() {
	var au []byte
	for {
		b, err := s.conn.ReadMessage()
		if err != nil {
			return
		}
		now := s.epoch.Now()
		switch wire.Type(b[0]) {
		case wire.TypeTimeReq:
			r, err := wire.ParseTimeReq(b)
			s.must(err)
			s.must(s.conn.WriteMessage(wire.AppendTimeResp(nil, wire.TimeResp{ID: r.ID, T1: r.T1, T2: now, T3: s.epoch.Now()})))
		case wire.TypeHello:
			var v wire.PublisherHello
			s.must(wire.ParseJSON(b, wire.TypeHello, &v))
			s.hellos <- v
		case wire.TypeStatus:
			var v wire.PublisherStatus
			s.must(wire.ParseJSON(b, wire.TypeStatus, &v))
			s.statuses <- v
		case wire.TypeStats:
			var v wire.PublisherStats
			s.must(wire.ParseJSON(b, wire.TypeStats, &v))
			select {
			case s.stats <- v:
			default: // the test has no interest
			}
		case wire.TypeConfig:
			v, err := wire.ParseConfig(b)
			s.must(err)
			s.configs <- v
		case wire.TypeMedia:
			h, p, err := wire.ParseMedia(b)
			s.must(err)
			if h.ChunkIndex == 0 {
				au = nil
			}
			au = append(au, p...)
			if h.ChunkIndex+1 == h.ChunkCount {
				s.units <- unit{h, au, now}
			}
		default:
			s.t.Errorf("message of type 0x%02x", b[0])
		}
	}
}

// must reports errors of the server's goroutine; those of a connection that is going away are nothing.
func (s *server) must(err error) {
	if err != nil && s.t.Context().Err() == nil {
		s.t.Errorf("server: %v", err)
	}
}

func (s *server) want(list ...wire.WantedRendition) {
	s.t.Helper()
	if err := s.conn.WriteMessage(wire.AppendJSON(nil, wire.TypeWant, wire.Want{Renditions: list})); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) askKey(id media.RenditionID) {
	s.t.Helper()
	if err := s.conn.WriteMessage(wire.AppendKeyReq(nil, wire.KeyReq{Rendition: id, Reason: wire.KeyStart})); err != nil {
		s.t.Fatal(err)
	}
}

// get waits for the next value.
func get[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

// state waits for a status of this state.
func (s *server) state(state media.State) wire.PublisherStatus {
	s.t.Helper()
	for {
		if v := get(s.t, string(state), s.statuses); v.State == state {
			return v
		}
	}
}
