package rtsp

import (
	"context"
	"slices"
	"sync"
	"time"

	"sightline/internal/challenge"
)

// Run plays and calls give for each access unit, one at a time, until ctx ends, and then returns nil, or until the camera or the network fails. It ends the session.
// give must not wait: datagrams are lost meanwhile.
func (c *Client) Run(ctx context.Context, give func(Unit)) error {
	defer c.Close()
	c.media.Lock()
	c.give = give
	c.media.Unlock()
	m, err := c.request(ctx, "PLAY", c.control, "Range: npt=0.000-")
	if err == nil {
		err = refusal("PLAY", m)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	running, cancel := context.WithCancelCause(ctx)
	var group sync.WaitGroup
	start := func(f func(context.Context) error) {
		group.Go(func() { cancel(f(running)) })
	}
	start(func(context.Context) error { return c.listen() })
	start(c.report)
	if c.udp != nil {
		c.udp.open()
		start(func(context.Context) error { return c.udp.listen(c.udp.rtp, channelRTP, c.packet) })
		start(func(context.Context) error { return c.udp.listen(c.udp.rtcp, channelRTCP, c.packet) })
	}
	<-running.Done()
	past := time.Unix(1, 0)
	_ = c.conn.SetReadDeadline(past) // ends the reading, and leaves the connection for a last word
	if c.udp != nil {
		c.udp.interrupt(past)
	}
	group.Wait()
	if ctx.Err() == nil {
		return context.Cause(running)
	}
	_ = c.conn.SetDeadline(time.Now().Add(goodbye))
	if _, err := c.write("TEARDOWN", c.control); err == nil {
		c.drain()
	}
	return nil
}

// drain waits for the end of what the camera says, so that what it is told is not lost with the connection.
func (c *Client) drain() {
	for {
		f, err := c.frames.next()
		if err != nil || f.message != nil {
			return
		}
	}
}

// listen reads the connection.
func (c *Client) listen() error {
	for {
		f, err := c.frames.next()
		if err != nil {
			return err
		}
		if f.message == nil {
			err = c.inband(f)
		} else {
			err = c.heard(f.message)
		}
		if err != nil {
			return err
		}
	}
}

// heard takes in a message while playing.
func (c *Client) heard(m *message) error {
	if m.status == 0 {
		if m.method == "REDIRECT" || m.method == "TEARDOWN" {
			return ErrClosed
		}
		c.writing.Lock()
		defer c.writing.Unlock()
		return c.send("RTSP/1.0 501 Not Implemented\r\nCSeq: " + printable(m.header.Get("CSeq")) + "\r\n\r\n")
	}
	switch m.status {
	case 401: // the nonce is too old: the next sign of life has the new one
		c.writing.Lock()
		defer c.writing.Unlock()
		c.met = challenge.Pick(m.header["Www-Authenticate"])
	case 454: // session not found
		return ErrClosed
	}
	return nil
}

// report sends signs of life and receiver reports.
func (c *Client) report(ctx context.Context) error {
	alive := time.NewTicker(c.life / 3) // one may get lost, or ask for new credentials
	defer alive.Stop()
	reports := time.NewTicker(reportInterval)
	defer reports.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-alive.C:
			method := "OPTIONS"
			if slices.Contains(c.public, "GET_PARAMETER") {
				method = "GET_PARAMETER"
			}
			_, err = c.write(method, c.control)
		case now := <-reports.C:
			c.media.Lock()
			err = c.tell(now, false)
			c.media.Unlock()
		}
		if err != nil {
			return err
		}
	}
}

// tell sends a receiver report, with keyframe also a wish for one. The caller holds media.
func (c *Client) tell(now time.Time, keyframe bool) error {
	if c.reception.received == 0 {
		return nil
	}
	b := c.reception.write(c.own, now, keyframe)
	if c.udp != nil {
		c.udp.tell(b)
		return nil
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.send(string(append([]byte{'$', c.channel[channelRTCP], 0, byte(len(b))}, b...)))
}

// The places of media and control among ports, and among channels, where these are also the ones that are asked for.
const (
	channelRTP  = 0
	channelRTCP = 1
)

// inband takes in an interleaved packet.
func (c *Client) inband(f frame) error {
	if i := slices.Index(c.channel[:], f.channel); i >= 0 && c.udp == nil {
		return c.packet(i, f.packet, time.Now())
	}
	return nil
}

// packet takes in a packet of media or control, which it keeps no part of. Those that make no sense are left out, as if they had been lost. The error is
// ErrClosed when the source says that it ends.
func (c *Client) packet(channel int, b []byte, came time.Time) error {
	c.media.Lock()
	defer c.media.Unlock()
	if c.give == nil {
		return nil
	}
	switch channel {
	case channelRTCP:
		r, leaves, bye := parseControl(b)
		if r.ssrc == c.reception.ssrc || c.reception.received == 0 {
			c.timeline.report(r, came)
			c.reception.heard(r, came)
		}
		if bye && leaves == c.reception.ssrc && c.reception.received > 0 {
			return ErrClosed
		}
	case channelRTP:
		p, err := parsePacket(b, came)
		if err != nil || p.kind != c.track.payload {
			return nil
		}
		if c.reception.received > 0 && p.ssrc != c.reception.ssrc { // another source takes over, with other times and numbers
			c.order = order{window: c.order.window}
			c.timeline = timeline{rate: c.timeline.rate}
			c.reception = reception{rate: c.reception.rate}
			c.assembler.cut()
		}
		c.reception.see(p)
		c.order.put(p, func(p packet, lost int) { c.assembler.put(p, lost, c.unit) })
		c.lost(came)
	}
	return nil
}

// unit gives one to the caller of Run.
func (c *Client) unit(u unit) {
	c.give(Unit{Data: u.data, Key: u.key, Captured: c.timeline.capture(u.ts, u.came)})
}

// lost notes whether there is a hole in the pictures, and asks the camera for a keyframe where it makes one on request.
func (c *Client) lost(now time.Time) {
	hole := c.assembler.waiting && c.assembler.begun
	c.losing.Store(hole)
	if hole && c.track.feedback && now.Sub(c.asked) > pliInterval {
		c.asked = now
		_ = c.tell(now, true) // a connection that fails is noticed by who reads it
	}
}
