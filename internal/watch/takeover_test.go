package watch_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/pipe"
	"sightline/internal/watch"
	"sightline/internal/wire"
)

// dialled is a place to connect to: the far ends of the connections that were opened, and how many attempts were given up.
type dialled struct {
	t       *testing.T
	away    bool // nothing answers
	open    chan *server
	givenUp atomic.Int32
}

func (d *dialled) dial(ctx context.Context, answered func()) (transport.Conn, error) {
	if d.away {
		<-ctx.Done()
		d.givenUp.Add(1)
		return nil, ctx.Err()
	}
	answered()
	near, far := net.Pipe()
	s := &server{t: d.t, conn: pipe.New(far, wire.MaxMessageLen), began: time.Now()}
	go s.read()
	d.open <- s
	return pipe.New(near, wire.MaxMessageLen), nil
}

// live has s send a status and a picture.
func (s *server) live() {
	s.send(append([][]byte{wire.AppendJSON(nil, wire.TypeStatus, wire.ViewerStatus{State: media.StateLive}), config(1, 0)}, s.unit(1, 0, 0, 0, 10)...)...)
}

// until lets time pass until s is there.
func (d *dialled) until(least, most time.Duration) *server {
	began := time.Now()
	s := <-d.open
	if took := time.Since(began); took < least || took > most {
		d.t.Errorf("connected after %v, want %v to %v", took, least, most)
	}
	synctest.Wait()
	return s
}

func TestViewer_ASecondConnectionTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialled{t: t, open: make(chan *server, 1)}
		first, v := connect(t, watch.Options{Dial: d.dial})
		first.live()
		first.hear(false)
		second := d.until(time.Second, 1500*time.Millisecond)
		v.Stats()
		second.live()
		if err := first.conn.WriteMessage(first.unit(1, 0, 1, 1, 10)[0]); err == nil {
			t.Error("the silent connection is still open")
		}
		if st := v.Stats(); st.Takeovers != 1 || st.Frames != 1 || st.MaxGap < 1000 {
			t.Errorf("got %+v", st)
		}
		for seq := range uint32(30) {
			time.Sleep(100 * time.Millisecond)
			second.send(second.unit(1, 0, seq+1, 1, 10)...)
		}
		if st := v.Stats(); st.Takeovers != 0 || st.Frames != 30 || st.Undecodable != 0 {
			t.Errorf("got %+v", st)
		}
		first.end()
		_ = second.conn.Close(transport.CodeNormal, "")
	})
}

func TestViewer_AttemptsThatNothingAnswersAreReplacedUntilTheFirstConnectionIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialled{t: t, away: true, open: make(chan *server, 1)}
		first, v := connect(t, watch.Options{Dial: d.dial})
		first.live()
		first.hear(false)
		time.Sleep(2500 * time.Millisecond)
		if d.givenUp.Load() < 8 {
			t.Errorf("%d attempts were replaced in a second and a half, want one each 100 ms", d.givenUp.Load())
		}
		first.hear(true)
		first.send(first.unit(1, 0, 1, 1, 10)...)
		synctest.Wait()
		before := d.givenUp.Load()
		for seq := range uint32(30) {
			time.Sleep(100 * time.Millisecond)
			first.send(first.unit(1, 0, seq+2, 1, 10)...)
		}
		if st := v.Stats(); st.Takeovers != 0 || st.Frames != 32 || d.givenUp.Load() > before+1 {
			t.Errorf("%d more attempts; %+v", d.givenUp.Load()-before, st)
		}
		first.end()
	})
}

func TestViewer_WhatComesDoesNotTellThatAnythingGetsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialled{t: t, open: make(chan *server, 1)}
		first, v := connect(t, watch.Options{Dial: d.dial})
		first.live()
		first.hear(false)
		time.Sleep(900 * time.Millisecond)
		first.send(first.unit(1, 0, 1, 1, 10)...)
		second := d.until(100*time.Millisecond, 600*time.Millisecond)
		first.send(first.unit(1, 0, 2, 1, 10)...)
		second.live()
		if st := v.Stats(); st.Takeovers != 1 || st.Frames != 4 {
			t.Errorf("got %+v", st)
		}
		first.end()
		_ = second.conn.Close(transport.CodeNormal, "")
	})
}
