package capture

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"sightline/internal/clock"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/wire"
)

const (
	firstClockRequests = 5
	clockInterval      = 2 * time.Second
	statsInterval      = time.Second
)

// session is one connection to the server.
type session struct {
	c       *Capture
	conn    transport.Conn
	streams []*stream // rendition n is streams[n-1]

	mu    sync.Mutex
	clock clock.Sync
}

// serve speaks the publish protocol on conn until it or ctx ends, closes it, and gives the reason.
func (c *Capture) serve(ctx context.Context, conn transport.Conn) error {
	s := &session{c: c, conn: conn}
	for i, spec := range c.opts.Renditions {
		s.streams = append(s.streams, newStream(c, s, media.RenditionID(i+1), spec))
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		<-ctx.Done()
		_ = conn.Close(transport.CodeGoingAway, "the publisher stops")
		return nil
	})
	g.Go(func() error { return s.report(ctx) })
	g.Go(s.read)
	for _, st := range s.streams {
		g.Go(func() error { return st.run(ctx) })
	}
	err := g.Wait()
	for _, st := range s.streams {
		st.setWant(nil)
	}
	return err
}

// read takes in what the server says.
func (s *session) read() error {
	for {
		b, err := s.conn.ReadMessage()
		if err != nil {
			return err
		}
		arrived := s.c.micros(time.Now())
		if err := s.handle(b, arrived); err != nil {
			_ = s.conn.Close(transport.CodeMalformed, err.Error())
			return err
		}
	}
}

func (s *session) handle(b []byte, arrived int64) error {
	switch wire.Type(b[0]) {
	case wire.TypeTimeResp:
		r, err := wire.ParseTimeResp(b)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.clock.Add(r, arrived)
		s.mu.Unlock()
	case wire.TypeWant:
		var w wire.Want
		if err := wire.ParseJSON(b, wire.TypeWant, &w); err != nil {
			return err
		}
		s.want(w)
	case wire.TypeKeyReq:
		k, err := wire.ParseKeyReq(b)
		if err != nil {
			return err
		}
		if i := int(k.Rendition) - 1; i >= 0 && i < len(s.streams) {
			s.streams[i].askKey()
		}
	}
	return nil
}

func (s *session) want(w wire.Want) {
	listed := make([]*wire.WantedRendition, len(s.streams))
	for i, r := range w.Renditions {
		if n := int(r.ID) - 1; n >= 0 && n < len(listed) {
			listed[n] = &w.Renditions[i]
		}
	}
	// First what starts, then what stops, so that a source that goes from one rendition to another is not put to rest between.
	for n, want := range listed {
		if want != nil {
			s.streams[n].setWant(want)
		}
	}
	for n, want := range listed {
		if want == nil {
			s.streams[n].setWant(nil)
		}
	}
}

// report asks for the time and tells what there is, what the source does and how encoding goes.
func (s *session) report(ctx context.Context) error {
	var id uint16
	askTime := func() error {
		id++
		return s.send(wire.AppendTimeReq(nil, wire.TimeReq{ID: id, T1: s.c.micros(time.Now())}))
	}
	for range firstClockRequests {
		if err := askTime(); err != nil {
			return err
		}
	}
	status, feed, changed := s.c.current()
	if err := s.send(wire.AppendJSON(nil, wire.TypeHello, hello(s.c.opts, feed))); err != nil {
		return err
	}
	if err := s.send(wire.AppendJSON(nil, wire.TypeStatus, status)); err != nil {
		return err
	}
	clocks, stats := time.NewTicker(clockInterval), time.NewTicker(statsInterval)
	defer clocks.Stop()
	defer stats.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-clocks.C:
			if err := askTime(); err != nil {
				return err
			}
		case now := <-stats.C:
			if err := s.sendStats(now.Sub(last)); err != nil {
				return err
			}
			last = now
		case <-changed:
			before := feed
			status, feed, changed = s.c.current()
			if feed != before {
				if err := s.send(wire.AppendJSON(nil, wire.TypeHello, hello(s.c.opts, feed))); err != nil {
					return err
				}
			}
			if err := s.send(wire.AppendJSON(nil, wire.TypeStatus, status)); err != nil {
				return err
			}
		}
		if status.State == media.StateEnded {
			return ErrEnded
		}
	}
}

func (s *session) sendStats(over time.Duration) error {
	stats := wire.PublisherStats{Renditions: []wire.RenditionStats{}}
	for _, st := range s.streams {
		if r, ok := st.takeStats(over); ok {
			stats.Renditions = append(stats.Renditions, r)
		}
	}
	return s.send(wire.AppendJSON(nil, wire.TypeStats, stats))
}

func (s *session) send(b []byte) error {
	if err := s.conn.WriteMessage(b); err != nil {
		return fmt.Errorf("send message 0x%02x: %w", b[0], err)
	}
	return nil
}

// epoch maps t onto the server's epoch; ok is false until the server's clock is known.
func (s *session) epoch(t time.Time) (ts media.Timestamp, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ts, _, ok = s.clock.At(s.c.micros(t), s.c.micros(time.Now()))
	return ts, ok
}
