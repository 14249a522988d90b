package viewer_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/ws"
	"sightline/internal/viewer"
	"sightline/internal/wire"
)

// sink is a viewer whose network takes everything at once, and a connection that costs nothing.
type sink struct {
	crowd    *crowd
	said     chan []byte   // what the viewer says
	gone     chan struct{} // closed by Close
	close    sync.Once
	received atomic.Uint32 // bytes of messages
	acks     [2][]byte     // said in turns: who takes one has done with the other
}

// crowd is many sinks of one stream.
type crowd struct {
	sinks []*sink
	left  atomic.Int64  // sinks that are still to get the picture
	whole chan struct{} // all have it
	epoch media.Epoch
	pub   *hub.Publisher
	// config and chunks are those of all pictures, which are one.
	config *hub.Config
	chunks [][]byte
	seq    uint32
	at     [2]media.Timestamp // when the last two were published
	// timed has the viewers tell when pictures arrived. A machine that is slow looks like a slow network then.
	timed bool
}

// pictureBytes is how large a picture is, and mostBps what the viewers could use at best, so that the window never closes.
const pictureBytes, mostBps = 1000, 1e12

func (s *sink) ReadMessage() ([]byte, error) {
	select {
	case b := <-s.said:
		return b, nil
	case <-s.gone:
		return nil, transport.ErrClosed
	}
}

func (s *sink) Watch(*ws.Poller, func([]byte, error)) bool { return false }

func (s *sink) WriteMessage(p []byte) error {
	s.received.Add(uint32(len(p)))
	return nil
}

func (s *sink) WriteFramed(p []byte) error {
	s.received.Add(uint32(ws.PayloadLen(p)))
	if wire.Type(ws.FramePayload(p)[0]) == wire.TypeMedia && s.crowd.left.Add(-1) == 0 {
		s.crowd.whole <- struct{}{}
	}
	return nil
}

func (s *sink) TryWriteFramed(p []byte) (sent, whole bool) {
	return s.WriteFramed(p) == nil, true
}

func (s *sink) Flush() error { return nil }

func (s *sink) Prefetch() {}

func (s *sink) Close(transport.Code, string) error {
	s.close.Do(func() { close(s.gone) })
	return nil
}

// newCrowd has n viewers watch, each of whom has a first picture.
func newCrowd(tb testing.TB, n int, timed bool) *crowd {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	tb.Cleanup(func() { cancel(); running.Wait() })
	c := &crowd{whole: make(chan struct{}, 1), epoch: media.NewEpoch(), timed: timed}
	h := hub.New(hub.Options{MaxViewers: n}, c.epoch.Now)
	h.Declare("door")
	var err error
	if c.pub, err = h.Publish("door"); err != nil {
		tb.Fatal(err)
	}
	picture := media.Rendition{ID: 1, Codec: media.CodecJPEG, Width: 16, Height: 16, MinBitrateBps: 1, MaxBitrateBps: mostBps}
	c.pub.SetRenditions([]media.Rendition{picture})
	c.pub.SetStatus(media.StateLive, "", "fine")
	err = c.pub.Configure(1, hub.Config{Rendition: picture}, func(hub.Config) []byte {
		return frame(wire.AppendConfig(nil, wire.Config{Codec: media.CodecJPEG, Rendition: 1, Width: 16, Height: 16}))
	})
	if err != nil {
		tb.Fatal(err)
	}
	c.config, _, _ = c.pub.Stamp(1, 0)
	c.chunks = [][]byte{frame(wire.AppendChunk(nil, wire.MediaHeader{Rendition: 1, Flags: wire.FlagKey}, make([]byte, pictureBytes), 0))}
	c.left.Store(int64(n))
	c.publish() // who comes gets it
	fan := viewer.NewFan()
	running.Go(func() { fan.Run(ctx) })
	for range n {
		s := &sink{crowd: c, said: make(chan []byte), gone: make(chan struct{})}
		c.sinks = append(c.sinks, s)
		running.Go(func() {
			_ = viewer.Serve(ctx, "door", s, h, viewer.Options{Epoch: c.epoch, Fan: fan}, slog.New(slog.DiscardHandler))
		})
		s.said <- hello("jpeg")
	}
	<-c.whole
	tick := time.NewTicker(50 * time.Millisecond) // the rate is measured over no less
	defer tick.Stop()
	for range 4 {
		<-tick.C
		c.picture()
		c.acknowledge()
	}
	return c
}

// publish publishes a picture.
func (c *crowd) publish() {
	now := c.epoch.Now()
	c.pub.Publish(&hub.AccessUnit{Config: c.config, Key: true, Seq: c.seq, Capture: now, Received: now, Bytes: pictureBytes, Chunks: c.chunks})
	c.seq++
	c.at[0], c.at[1] = c.at[1], now
}

// picture brings one picture to all.
func (c *crowd) picture() {
	c.left.Store(int64(len(c.sinks)))
	c.publish()
	<-c.whole
}

// acknowledge has all viewers acknowledge what came before the last picture. They may only so often in a second.
func (c *crowd) acknowledge() {
	var arrival media.Timestamp
	if c.timed {
		arrival = c.at[0]
	}
	for _, s := range c.sinks {
		s.acks[0], s.acks[1] = s.acks[1], s.acks[0]
		s.acks[0] = wire.AppendFeedback(s.acks[0][:0], wire.Feedback{
			Rendition: 1, Seq: c.seq - 2, Arrival: arrival, Received: s.received.Load() - uint32(ws.PayloadLen(c.chunks[0])),
		})
		s.said <- s.acks[0]
	}
}

func TestFan_AllocatesNothingForAViewerAndPicture(t *testing.T) {
	const viewers = 100
	c := newCrowd(t, viewers, false)
	pictures := func() {
		for range 6 {
			c.picture()
		}
		c.acknowledge()
	}
	// The pictures themselves, and what each session does once a second.
	if n := testing.AllocsPerRun(10, pictures); n > viewers/2 {
		t.Errorf("%v allocations to bring six pictures to %d viewers, want less than %d", n, viewers, viewers/2)
	}
}

// BenchmarkFan is all that is done for a picture between the publisher and the sockets.
func BenchmarkFan(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("%d viewers", n), func(b *testing.B) {
			c := newCrowd(b, n, true)
			b.ReportAllocs()
			for b.Loop() {
				c.picture()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/viewer")
		})
	}
}
