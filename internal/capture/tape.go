//go:build cgo

package capture

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sightline/internal/av"
	"sightline/internal/h264"
	"sightline/internal/media"
)

// tape is what file and live feeds share: a decoder, a pool of frames, and the packets since the last keyframe, which decoding can begin with at any time.
type tape struct {
	src    Source
	dec    *av.Decoder
	packet *av.Packet
	video  av.VideoInfo
	info   FeedInfo
	stall  time.Duration
	pool   *imagePool

	avcc    h264.AVCC // of a source whose H.264 has lengths and no start codes; LengthSize 0: it has
	headers []byte

	kept      []held
	keptBytes int
	broken    bool // the packets kept do not begin with a keyframe
	replay    int  // the first of those kept that NextUnit has not given
	decoding  bool // the decoder has seen what was kept
}

// held is a packet and when it came.
type held struct {
	packet *av.Packet
	at     time.Time
}

// newTape takes over dec, also when it fails.
func newTape(src Source, video av.VideoInfo, dec *av.Decoder) (*tape, error) {
	t := &tape{src: src, dec: dec, packet: av.NewPacket(), video: video, stall: minStall, pool: new(imagePool), broken: true}
	if rate := plausibleRate(video); rate > 0 {
		t.info.FrameRateMilli = rate
		t.stall = max(minStall, stallFrames*1000*time.Second/time.Duration(rate))
	}
	t.setSize(video.Width, video.Height)
	square := video.AspectNum == video.AspectDen
	switch {
	case video.Codec == "h264" && !video.Reorders && square:
		t.info.Native, t.headers = media.CodecH264, video.Headers
		if h264.IsAVCC(video.Headers) {
			avcc, err := h264.ParseAVCC(video.Headers)
			if err != nil {
				t.Close()
				return nil, explain(src, fmt.Errorf("%w: %w", av.ErrInvalidData, err))
			}
			t.avcc, t.headers = avcc, avcc.Headers
		}
	case video.Codec == "mjpeg" && square:
		t.info.Native = media.CodecJPEG
	}
	return t, nil
}

// Info implements Feed.
func (t *tape) Info() FeedInfo { return t.info }

// Headers implements Native.
func (t *tape) Headers() []byte { return t.headers }

// setSize notes the size of stored pictures; displayed ones have square pixels.
func (t *tape) setSize(w, h int) {
	t.info.Width, t.info.Height = w*t.video.AspectNum/t.video.AspectDen, h
}

func (t *tape) frame() *av.Frame {
	if img := t.pool.get(); img != nil {
		return img.(*av.Frame)
	}
	return av.NewFrame()
}

func (t *tape) recycle(img Image) {
	img.(*av.Frame).Unref()
	t.pool.put(img)
}

// picture takes note of the frame's size and makes a picture of it.
func (t *tape) picture(f *av.Frame, at time.Time) (*Picture, error) {
	if f.Width() < minSourceSide || f.Height() < minSourceSide {
		w, h := f.Width(), f.Height()
		t.recycle(f)
		return nil, fmt.Errorf("the source %s has pictures of %dx%d pixels; at least %dx%d are needed", t.src, w, h, minSourceSide, minSourceSide)
	}
	t.setSize(f.Width(), f.Height())
	return NewPicture(f, at, t.recycle), nil
}

// unit makes an access unit of a packet; nil if it is damaged.
func (t *tape) unit(p *av.Packet, at time.Time) *Unit {
	if t.avcc.LengthSize == 0 {
		return &Unit{Data: append([]byte(nil), p.Bytes()...), At: at}
	}
	data, err := t.avcc.AnnexB(p.Bytes())
	if err != nil {
		return nil
	}
	return &Unit{Data: data, At: at}
}

// keep holds on to the packet just read, which came at this time.
func (t *tape) keep(at time.Time) error {
	if t.packet.Key() {
		t.dropKept()
		t.broken = false
	}
	if t.broken {
		return nil
	}
	if t.keptBytes += t.packet.Size(); len(t.kept) >= maxKeptPackets || t.keptBytes > maxKeptBytes {
		t.dropKept()
		t.broken = true
		return nil
	}
	p, err := t.packet.Clone()
	if err != nil {
		return err
	}
	t.kept = append(t.kept, held{p, at})
	t.replay = len(t.kept)
	return nil
}

func (t *tape) dropKept() {
	for _, k := range t.kept {
		k.packet.Close()
	}
	clear(t.kept)
	t.kept, t.keptBytes, t.replay = t.kept[:0], 0, 0
}

// decode sends the packet just read to the decoder, after all that was kept if it has not seen that, and gives the newest picture that comes of it; nil if none
// does. Damage is no error: it is the part of a stream before its first keyframe, or what a network lost.
func (t *tape) decode() (*av.Frame, error) {
	if t.decoding {
		return t.send(t.packet)
	}
	t.dec.Flush()
	t.decoding = true
	if len(t.kept) == 0 {
		return t.send(t.packet)
	}
	var newest *av.Frame
	for _, k := range t.kept {
		frame, err := t.send(k.packet)
		if err != nil {
			return nil, err
		}
		if frame != nil {
			if newest != nil {
				t.recycle(newest)
			}
			newest = frame
		}
	}
	return newest, nil
}

func (t *tape) send(p *av.Packet) (*av.Frame, error) {
	if err := t.dec.Send(p); err != nil && !errors.Is(err, av.ErrInvalidData) {
		return nil, explain(t.src, err)
	}
	var newest *av.Frame
	for {
		frame := t.frame()
		if err := t.dec.Receive(frame); err != nil {
			t.recycle(frame)
			return newest, nil
		}
		if newest != nil {
			t.recycle(newest)
		}
		newest = frame
	}
}

// fromKept serves NextUnit what is there without reading: units that came before somebody wanted them, and for who begins to want pictures the
// newest one.
func (t *tape) fromKept(decode bool) (u *Unit, frame *av.Frame, at time.Time, err error) {
	if t.replay < len(t.kept) {
		k := t.kept[t.replay]
		t.replay++
		u, at = t.unit(k.packet, k.at), k.at
		if t.replay < len(t.kept) {
			return u, nil, at, nil
		}
	}
	if decode && !t.decoding && len(t.kept) > 0 {
		at = t.kept[len(t.kept)-1].at
		frame, err = t.decode()
	}
	return u, frame, at, err
}

// rest has the next call of NextUnit begin at the last keyframe.
func (t *tape) rest() { t.replay, t.decoding = 0, false }

// Close frees what the tape holds.
func (t *tape) Close() {
	t.dropKept()
	t.packet.Close()
	t.dec.Close()
	t.pool.close()
}

// liveInput is where a camera's packets come from.
type liveInput interface {
	// next waits for the next packet, puts it into p and says when it was captured. The error wraps av.ErrTimeout after limit, or av.ErrAgain.
	next(p *av.Packet, limit time.Duration) (time.Time, error)
	// explain makes a sentence of any other error of next.
	explain(err error) error
	Close()
}

// arrivals is what FFmpeg's libraries read: packets are stamped when they arrive.
type arrivals struct {
	*av.Input
	src Source
}

func (a arrivals) explain(err error) error { return explain(a.src, err) }

func (a arrivals) next(p *av.Packet, limit time.Duration) (time.Time, error) {
	err := a.Read(p, limit)
	return time.Now(), err
}

// liveFeed is a camera.
type liveFeed struct {
	*tape
	in     liveInput
	seen   bool      // a packet of use has come
	origin time.Time // the time 0 of its packets: when the first was captured
}

// Next implements Feed.
func (f *liveFeed) Next(ctx context.Context) (*Picture, error) {
	f.replay = len(f.kept)
	deadline := f.deadline()
	for {
		_, p, err := f.next(ctx, true, deadline)
		if p != nil || err != nil {
			return p, err
		}
	}
}

// NextUnit implements Native.
func (f *liveFeed) NextUnit(ctx context.Context, decode bool) (*Unit, *Picture, error) {
	return f.next(ctx, decode, f.deadline())
}

func (f *liveFeed) deadline() time.Time {
	if !f.seen {
		return time.Now().Add(firstPicture)
	}
	return time.Now().Add(f.stall)
}

func (f *liveFeed) next(ctx context.Context, decode bool, deadline time.Time) (*Unit, *Picture, error) {
	u, frame, at, err := f.fromKept(decode)
	if err == nil && u == nil && frame == nil {
		if at, err = f.read(ctx, deadline); err != nil {
			return nil, nil, err
		}
		f.packet.SetPTS(int64(at.Sub(f.origin) / time.Microsecond))
		if err := f.keep(at); err != nil {
			return nil, nil, err
		}
		if f.info.Native != 0 {
			u = f.unit(f.packet, at)
		}
		if decode {
			frame, err = f.decode()
		}
		f.decoding = decode
	}
	if err != nil || frame == nil {
		f.seen = f.seen || !decode && !f.broken
		return u, nil, err
	}
	f.seen = true
	if pts, ok := frame.PTS(); ok {
		at = f.origin.Add(time.Duration(pts) * time.Microsecond)
	}
	p, err := f.picture(frame, at)
	return u, p, err
}

// read waits for the next packet and says when it was captured.
func (f *liveFeed) read(ctx context.Context, deadline time.Time) (time.Time, error) {
	for {
		left := time.Until(deadline)
		var at time.Time
		var err error
		if left > 0 {
			at, err = f.in.next(f.packet, left)
		}
		switch {
		case err == nil && left > 0:
			if f.origin.IsZero() {
				f.origin = at
			}
			return at, nil
		case ctx.Err() != nil:
			return time.Time{}, ctx.Err()
		case errors.Is(err, av.ErrAgain) && left > 0:
			// A device that has nothing yet: waiting in it could not be ended, and its descriptor is not ours to poll.
			sleep(ctx, tapePoll)
		case left <= 0, errors.Is(err, av.ErrTimeout):
			limit := f.stall
			if !f.seen {
				limit = firstPicture
			}
			return time.Time{}, fmt.Errorf("the source %s sends %w: none for %v; check the camera and its network", f.src, ErrStalled, limit)
		default:
			return time.Time{}, f.in.explain(err)
		}
	}
}

// Rest implements Feed: it stays connected and keeps, undecoded, what came since the last keyframe.
func (f *liveFeed) Rest(ctx context.Context, wanted <-chan struct{}) error {
	defer f.rest()
	for {
		select {
		case <-wanted:
			return nil
		case <-ctx.Done():
			return nil
		default:
		}
		at, err := f.read(ctx, time.Now().Add(f.stall))
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		f.packet.SetPTS(int64(at.Sub(f.origin) / time.Microsecond))
		if err := f.keep(at); err != nil {
			return err
		}
	}
}

// Close implements Feed.
func (f *liveFeed) Close() {
	f.tape.Close()
	f.in.Close()
}

// fileFeed plays a file over and over at its own pace. Nothing is decoded while nobody watches.
type fileFeed struct {
	*tape
	in      *av.Input
	zero    time.Time     // when the file's time 0 is, or was; zero: with the next picture
	end     time.Duration // of the newest picture, on the file's time, later rounds added
	round   time.Duration // where this round began, on that time
	first   int64         // PTS of the first picture
	started bool
	drained bool
	frames  int // in this round
}

// Next implements Feed.
func (f *fileFeed) Next(ctx context.Context) (*Picture, error) {
	frame, err := f.nextFrame(ctx)
	if err != nil {
		return nil, err
	}
	pts, known := frame.PTS()
	at, err := f.pace(ctx, pts, known)
	if err != nil {
		f.recycle(frame)
		return nil, err
	}
	return f.picture(frame, at)
}

// NextUnit implements Native. It is called for files that reorder nothing, so that packets come in the order their pictures are shown.
func (f *fileFeed) NextUnit(ctx context.Context, decode bool) (*Unit, *Picture, error) {
	u, frame, at, err := f.fromKept(decode)
	if err != nil {
		return nil, nil, err
	}
	if u == nil && frame == nil {
		if err := f.readPacket(ctx); err != nil {
			return nil, nil, err
		}
		pts, known := f.packet.PTS()
		if at, err = f.pace(ctx, pts, known); err != nil {
			return nil, nil, err
		}
		if err := f.keep(at); err != nil {
			return nil, nil, err
		}
		u = f.unit(f.packet, at)
		if decode {
			if frame, err = f.decode(); err != nil {
				return nil, nil, err
			}
		}
		f.decoding = decode
	}
	if frame == nil {
		return u, nil, nil
	}
	p, err := f.picture(frame, at)
	return u, p, err
}

// readPacket reads the next packet, the first again after the last.
func (f *fileFeed) readPacket(ctx context.Context) error {
	for {
		err := f.in.Read(f.packet, f.stall)
		switch {
		case err == nil:
			f.frames++
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case f.frames == 0:
			return explain(f.src, err)
		}
		if err := f.rewind(ctx); err != nil { // the end, or damage that cannot be read past
			return err
		}
	}
}

// pace waits until the picture of this time in the file is due, and gives the time it then is.
func (f *fileFeed) pace(ctx context.Context, pts int64, known bool) (time.Time, error) {
	at := f.position(pts, known)
	now := time.Now()
	if f.zero.IsZero() || now.Sub(f.zero.Add(at)) > time.Second {
		f.zero = now.Add(-at) // the beginning, after a rest, or too slow a machine
	}
	sleep(ctx, f.zero.Add(at).Sub(now))
	return time.Now(), ctx.Err()
}

// position is when a picture is to be shown, on the file's time with rounds added.
func (f *fileFeed) position(pts int64, known bool) time.Duration {
	interval := 40 * time.Millisecond
	if f.info.FrameRateMilli > 0 {
		interval = 1000 * time.Second / time.Duration(f.info.FrameRateMilli)
	}
	at := f.end // without a time of its own a picture follows the last
	if known {
		if !f.started {
			f.first, f.started = pts, true
		}
		seconds := float64(pts-f.first) * float64(f.video.TickNum) / float64(f.video.TickDen)
		own := f.round + time.Duration(seconds*float64(time.Second))
		if own >= f.end-interval && own < f.end+10*time.Second {
			at = own
		}
	}
	f.end = at + interval
	return at
}

// nextFrame gives the next frame, from the beginning again after the last.
func (f *fileFeed) nextFrame(ctx context.Context) (*av.Frame, error) {
	for {
		frame := f.frame()
		err := f.dec.Receive(frame)
		if err == nil {
			f.frames++
			return frame, nil
		}
		f.recycle(frame)
		if errors.Is(err, av.ErrEOF) {
			if f.frames == 0 {
				return nil, because{fmt.Errorf("the source %s holds no picture that can be decoded; check that it is a video and whole", f.src), media.CauseUndecodable}
			}
			if err := f.rewind(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if !errors.Is(err, av.ErrAgain) {
			return nil, explain(f.src, err)
		}
		switch err := f.in.Read(f.packet, f.stall); {
		case err == nil:
			if err := f.dec.Send(f.packet); err != nil && !errors.Is(err, av.ErrInvalidData) {
				return nil, explain(f.src, err)
			}
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case f.drained:
			return nil, explain(f.src, err)
		default: // the end, or damage that cannot be read past: what the decoder still holds, then from the beginning
			f.drained = true
			if err := f.dec.Send(nil); err != nil && !errors.Is(err, av.ErrEOF) {
				return nil, explain(f.src, err)
			}
		}
	}
}

// rewind goes back to the first picture; in a file without an index that means opening it again.
func (f *fileFeed) rewind(ctx context.Context) error {
	if err := f.in.Rewind(); err == nil {
		f.dec.Flush()
	} else {
		in, dec, err := openInput(ctx, f.src)
		if err != nil {
			return err
		}
		f.dec.Close()
		f.in.Close()
		f.in, f.dec = in, dec
	}
	f.round, f.frames, f.drained = f.end, 0, false
	return nil
}

// Close implements Feed.
func (f *fileFeed) Close() {
	f.tape.Close()
	f.in.Close()
}

// Rest implements Feed. After it a file goes on from where it stood, or where it is passed on from the last keyframe, as if it were now.
func (f *fileFeed) Rest(ctx context.Context, wanted <-chan struct{}) error {
	select {
	case <-ctx.Done():
	case <-wanted:
	}
	f.zero = time.Time{}
	f.rest()
	now := time.Now()
	for i := range f.kept {
		f.kept[i].at = now
	}
	return nil
}
