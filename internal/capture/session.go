package capture

import (
	"context"
	"fmt"
	"maps"
	"slices"
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
	c     *Capture
	conn  transport.Conn
	group *errgroup.Group

	mu      sync.Mutex
	clock   clock.Sync
	streams map[media.RenditionID]*stream // all that were offered on this connection

	// Held while HELLO, CONFIG or an access unit is written, so that what belongs to a rendition never follows a HELLO that no longer has it.
	order     sync.Mutex
	announced map[media.RenditionID]media.Codec // in the last HELLO
	begun     map[media.RenditionID]bool        // had a CONFIG since they were announced
}

// serve speaks the publish protocol on conn until it or ctx ends, closes it, and gives the reason.
func (c *Capture) serve(ctx context.Context, conn transport.Conn) error {
	g, ctx := errgroup.WithContext(ctx)
	s := newSession(c, conn, g)
	g.Go(func() error {
		<-ctx.Done()
		_ = conn.Close(transport.CodeGoingAway, "the publisher stops")
		return nil
	})
	_, feed, _ := c.current()
	s.ready(ctx, c.offers(feed))
	g.Go(func() error { return s.report(ctx) })
	g.Go(s.read)
	err := g.Wait()
	for _, st := range s.streams {
		st.setWant(nil)
	}
	return err
}

func newSession(c *Capture, conn transport.Conn, group *errgroup.Group) *session {
	return &session{c: c, conn: conn, group: group, streams: map[media.RenditionID]*stream{}, begun: map[media.RenditionID]bool{}}
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
		s.mu.Lock()
		st := s.streams[k.Rendition]
		s.mu.Unlock()
		if st != nil {
			st.askKey()
		}
	}
	return nil
}

func (s *session) want(w wire.Want) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// First what starts, then what stops, so that a source that goes from one rendition to another is not put to rest between.
	listed := map[media.RenditionID]bool{}
	for i, r := range w.Renditions {
		if st := s.streams[r.ID]; st != nil {
			listed[r.ID] = true
			st.setWant(&w.Renditions[i])
		}
	}
	for id, st := range s.streams {
		if !listed[id] {
			st.setWant(nil)
		}
	}
}

// offer tells the server what there is of such a source.
func (s *session) offer(ctx context.Context, feed FeedInfo) error {
	offers := s.c.offers(feed)
	s.ready(ctx, offers)
	h := hello(s.c.opts, offers, feed)
	announced := map[media.RenditionID]media.Codec{}
	for _, r := range h.Renditions {
		announced[r.ID] = r.Media().Codec
	}
	s.order.Lock()
	defer s.order.Unlock()
	for id := range s.begun {
		if announced[id] != s.announced[id] {
			delete(s.begun, id)
		}
	}
	s.announced = announced
	return s.send(wire.AppendJSON(nil, wire.TypeHello, h))
}

// ready has a goroutine for each rendition offered, and stops those that no longer are.
func (s *session) ready(ctx context.Context, offers []offer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range offers {
		if s.streams[o.id] == nil {
			st := newStream(s.c, s, o.id, o.spec)
			s.streams[o.id] = st
			s.group.Go(func() error { return st.run(ctx) })
		}
	}
	for id, st := range s.streams {
		if !slices.ContainsFunc(offers, func(o offer) bool { return o.id == id }) {
			st.setWant(nil)
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
	if err := s.offer(ctx, feed); err != nil {
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
				if err := s.offer(ctx, feed); err != nil {
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
	s.mu.Lock()
	for _, id := range slices.Sorted(maps.Keys(s.streams)) {
		if r, ok := s.streams[id].takeStats(over); ok {
			stats.Renditions = append(stats.Renditions, r)
		}
	}
	s.mu.Unlock()
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
