//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"sightline/internal/clock"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/ws"
	"sightline/internal/trust"
	"sightline/internal/wire"
)

// What is sent: the size of the pictures of 2.05 Mbit/s at 30 a second, and of a keyframe three times that.
const (
	frameRate  = 30
	deltaBytes = 2_050_000/8/frameRate - wire.MediaHeaderLen
	keyBytes   = 3 * deltaBytes
	interval   = time.Second / frameRate
)

// switched tells whether pictures are to be sent, as lines of "on" and "off" on r say, and answers each with the same word on w. The
// channel is closed at the end of r.
func switched(r io.Reader, w io.Writer) <-chan bool {
	c := make(chan bool)
	go func() {
		defer close(c)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			c <- lines.Text() == "on"
			_, _ = fmt.Fprintln(w, lines.Text()) // who asks is gone otherwise, and then r ends
		}
	}()
	return c
}

// publish sends pictures of nothing to the publisher's address of a stream, and keyframes when they are asked for.
func publish(ctx context.Context, url, ca, tokenFile string) error {
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return err
	}
	roots, err := trust.Pool(ca)
	if err != nil {
		return err
	}
	conn, err := ws.Dial(ctx, url, http.Header{"Authorization": {"Bearer " + strings.TrimSpace(string(token))}}, []string{wire.Subprotocol},
		&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots}, ws.Options{ReadLimit: wire.MaxMessageLen, IdleTimeout: 10 * time.Second})
	if err != nil {
		return err
	}
	p := &source{conn: conn, zero: time.Now(), answers: make(chan answer, 1), key: make(chan struct{}, 1)}
	goodbye := func(error) (transport.Code, string) { return transport.CodeNormal, "" }
	if err := transport.Converse(ctx, conn, goodbye, p.read, p.write); !errors.Is(err, errEnd) {
		return err
	}
	return nil
}

// errEnd is the end that was asked for.
var errEnd = errors.New("no more pictures are wanted")

// source is a publisher's session.
type source struct {
	conn    transport.Conn
	zero    time.Time
	sync    clock.Sync // owned by the writer
	answers chan answer
	key     chan struct{}
}

// answer is what the server said of its time, and when that was here.
type answer struct {
	wire.TimeResp
	at int64
}

// clockEvery is how often the server is asked for its time.
const clockEvery = 2 * time.Second

func (p *source) now() int64 { return time.Since(p.zero).Microseconds() }

func (p *source) read() error {
	for {
		b, err := p.conn.ReadMessage()
		if err != nil {
			return err
		}
		switch wire.Type(b[0]) {
		case wire.TypeTimeResp:
			r, err := wire.ParseTimeResp(b)
			if err != nil {
				return err
			}
			select {
			case p.answers <- answer{r, p.now()}:
			default: // another will come
			}
		case wire.TypeKeyReq:
			select {
			case p.key <- struct{}{}:
			default:
			}
		}
	}
}

func (p *source) write(ctx context.Context) error {
	var id uint16
	ask := func() error {
		id++
		return p.conn.WriteMessage(wire.AppendTimeReq(nil, wire.TimeReq{ID: id, T1: p.now()}))
	}
	for range 5 {
		if err := ask(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-p.answers:
			p.sync.Add(a.TimeResp, a.at)
		}
	}
	// A camera's own coding: the server can only pass on what there is.
	hello := wire.PublisherHello{Agent: "fanout/1", Source: "bench", Renditions: []wire.RenditionInfo{{
		ID: 1, Name: "720p", Codec: media.CodecH264.String(), Width: 1280, Height: 720, FrameRateMilli: frameRate * 1000,
		MinBitrateBps: 2_050_000, MaxBitrateBps: 2_050_000,
	}}}
	config := wire.Config{Codec: media.CodecH264, Rendition: 1, Width: 1280, Height: 720, FrameRateMilli: frameRate * 1000, CodecString: "avc1.42c01f"}
	for _, b := range [][]byte{
		wire.AppendJSON(nil, wire.TypeHello, hello),
		wire.AppendJSON(nil, wire.TypeStatus, wire.PublisherStatus{State: media.StateLive}),
		wire.AppendConfig(nil, config),
	} {
		if err := p.conn.WriteMessage(b); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	sending := switched(os.Stdin, os.Stdout)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	clockTick := time.NewTicker(clockEvery)
	defer clockTick.Stop()
	picture := make([]byte, keyBytes)
	for i := range picture {
		picture[i] = byte(rand.Uint32())
	}
	on, owed := false, true // a keyframe
	var message []byte
	for seq := uint32(0); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now, open := <-sending:
			if !open {
				return errEnd
			}
			on = now
			continue
		case <-p.key:
			owed = true
			continue
		case a := <-p.answers:
			p.sync.Add(a.TimeResp, a.at)
			continue
		case <-clockTick.C:
			if err := ask(); err != nil {
				return err
			}
			continue
		case <-tick.C:
		}
		if !on {
			continue
		}
		t := p.now()
		capture, _, ok := p.sync.At(t, t)
		if !ok {
			return errors.New("the server did not tell its time")
		}
		head := wire.MediaHeader{Rendition: 1, Seq: seq, DepDelta: 1, Capture: capture}
		au := picture[:deltaBytes]
		if owed {
			head.Flags, head.DepDelta, au = wire.FlagKey, 0, picture
			owed = false
		}
		seq++
		for i := range wire.Chunks(len(au)) {
			message = wire.AppendChunk(message[:0], head, au, i)
			if err := p.conn.WriteMessage(message); err != nil {
				return err
			}
		}
	}
}
