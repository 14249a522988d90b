//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

// rtspCamera is a network camera of which each connection is broken in one way: an answer, the description in it, the packets, or how they are put into the
// connection.
type rtspCamera struct {
	clip []byte // H.264 in Annex B
	f    *feeder
}

// The ways.
const (
	breakAnswer = iota
	breakDescription
	breakPackets
	breakConnection
	waysToBreak
)

// number counts a connection as one input, made from base.
func (f *feeder) number(base string) int {
	f.take(map[string][]byte{base: nil})
	return f.count() - 1
}

func (c *rtspCamera) serve(ctx context.Context, l net.Listener) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		conns.Go(func() {
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			c.converse(ctx, conn)
			_ = conn.Close() // there is nothing more to say
		})
	}
}

// converse answers one client until it has enough, which is no error here.
func (c *rtspCamera) converse(ctx context.Context, conn net.Conn) {
	n := c.f.number("clip.h264")
	way := n % waysToBreak
	r := rand.New(rand.NewPCG(uint64(crc32.ChecksumIEEE([]byte(c.f.stream))), uint64(n)))
	broken := r.IntN(4) // of the answers
	reader := textproto.NewReader(bufio.NewReader(conn))
	for i := 0; ; i++ {
		line, err := reader.ReadLine()
		if err != nil {
			return
		}
		header, err := reader.ReadMIMEHeader()
		if err != nil {
			return
		}
		method, _, _ := strings.Cut(line, " ")
		answer := c.answer(r, way, method, header.Get("CSeq"))
		if way == breakAnswer && i == broken {
			answer = mutant(answer, c.f.stream+"/answer", n)
		}
		if _, err := conn.Write(answer); err != nil || method == "TEARDOWN" {
			return
		}
		if method == "PLAY" {
			go func() { _, _ = io.Copy(io.Discard, conn) }() // until conn is closed
			c.play(ctx, conn, r, way)
			return
		}
	}
}

func (c *rtspCamera) answer(r *rand.Rand, way int, method, seq string) []byte {
	head := "RTSP/1.0 200 OK\r\nCSeq: " + seq + "\r\n"
	switch method {
	case "OPTIONS":
		head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n"
	case "SETUP":
		head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=01020304\r\nSession: 12345678;timeout=60\r\n"
	case "PLAY":
		head += "Session: 12345678\r\nRange: npt=0-\r\nRTP-Info: url=rtsp://camera/track1;seq=1;rtptime=0\r\n"
	case "DESCRIBE":
		body := c.description()
		if way == breakDescription {
			body = mutant(body, c.f.stream+"/sdp", int(r.Int32()))
		}
		return append(fmt.Appendf(nil, "%sContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n", head, len(body)), body...)
	}
	return []byte(head + "\r\n")
}

// units are the NAL units of the clip.
func (c *rtspCamera) units() [][]byte {
	var units [][]byte
	for _, u := range bytes.Split(c.clip, []byte{0, 0, 1}) {
		if u = bytes.TrimRight(u, "\x00"); len(u) > 0 {
			units = append(units, u)
		}
	}
	return units
}

func (c *rtspCamera) description() []byte {
	var sets []string
	for _, u := range c.units() {
		if kind := u[0] & 0x1f; (kind == 7 || kind == 8) && len(sets) < 2 {
			sets = append(sets, base64.StdEncoding.EncodeToString(u))
		}
	}
	return fmt.Appendf(nil, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"+
		"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=%s\r\na=framerate:12\r\na=control:track1\r\n", strings.Join(sets, ","))
}

// play sends the clip once.
func (c *rtspCamera) play(ctx context.Context, conn net.Conn, r *rand.Rand, way int) {
	const perSecond, mtu = 50, 1200
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	seq, ts := uint16(1), uint32(0)
	send := func(marker bool, payload ...byte) error {
		p := []byte{0x80, 96, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}
		if marker {
			p[1] |= 0x80
		}
		binary.BigEndian.PutUint16(p[2:], seq)
		binary.BigEndian.PutUint32(p[4:], ts)
		seq++
		p = append(p, payload...)
		if way == breakPackets && r.IntN(3) == 0 {
			p = mutant(p, c.f.stream+"/rtp", int(r.Int32()))
		}
		framed := append(binary.BigEndian.AppendUint16([]byte{'$', byte(0)}, uint16(len(p))), p...) // RFC 2326 section 10.12
		if way == breakConnection && r.IntN(5) == 0 {
			framed = mutant(framed, c.f.stream+"/frame", int(r.Int32()))
		}
		_, err := conn.Write(framed)
		return err
	}
	for _, u := range c.units() {
		var errs []error
		picture := u[0]&0x1f <= 5
		if len(u) <= mtu {
			errs = append(errs, send(picture, u...))
		} else { // in parts, RFC 6184 section 5.8
			for rest, first := u[1:], byte(0x80); len(rest) > 0; first = 0 {
				part := rest[:min(mtu, len(rest))]
				rest = rest[len(part):]
				last := byte(0)
				if len(rest) == 0 {
					last = 0x40
				}
				errs = append(errs, send(last != 0, append([]byte{u[0]&0xe0 | 28, first | last | u[0]&0x1f}, part...)...))
			}
		}
		if errors.Join(errs...) != nil {
			return
		}
		if !picture {
			continue
		}
		ts += 90_000 / perSecond
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
