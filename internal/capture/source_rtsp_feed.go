//go:build cgo

package capture

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sightline/internal/av"
	"sightline/internal/rtsp"
)

// maxBacklog is how long an access unit may wait for who reads: one who is further behind goes on from the next keyframe.
const maxBacklog = time.Second

// rtspInput is a camera that is played in a goroutine of its own, which ends with Close. It implements liveInput.
type rtspInput struct {
	src    Source
	client *rtsp.Client
	cancel context.CancelFunc
	player sync.WaitGroup
	ready  chan struct{} // holds a token while there may be something to take

	mu      sync.Mutex
	queue   []arrived
	bytes   int
	waiting bool  // for a keyframe, after too much was in the queue
	err     error // why nothing follows
}

type arrived struct {
	rtsp.Unit
	at time.Time
}

// openRTSP plays a network camera. It waits for the first keyframe, since much of what is to be known of the stream is only in there.
func openRTSP(ctx context.Context, src Source) (Feed, error) {
	opts, err := rtspClient(src)
	if err != nil {
		return nil, err
	}
	client, err := rtsp.Open(ctx, opts)
	if err != nil {
		return nil, explainRTSP(src, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	in := &rtspInput{src: src, client: client, cancel: cancel, ready: make(chan struct{}, 1)}
	in.player.Go(func() { in.end(client.Run(ctx, in.put)) })
	feed, err := in.meet(ctx)
	if err != nil {
		in.Close()
		return nil, err
	}
	return feed, nil
}

// meet makes the feed, once the first picture has told its size.
func (in *rtspInput) meet(ctx context.Context) (Feed, error) {
	dec, err := av.NewDecoder(map[rtsp.Codec]string{rtsp.H264: "h264", rtsp.H265: "hevc", rtsp.JPEG: "mjpeg"}[in.client.Video().Codec], true)
	if err != nil {
		return nil, explain(in.src, err)
	}
	video, err := in.learn(ctx, dec)
	if err != nil {
		dec.Close()
		return nil, err
	}
	if rate := in.client.Video().FrameRateMilli; rate > 0 {
		video.RateNum, video.RateDen = rate, 1000
	}
	t, err := newTape(in.src, video, dec)
	if err != nil {
		return nil, err
	}
	return &liveFeed{tape: t, in: in}, nil
}

// learn decodes the first keyframe that can be, and leaves it in the queue.
func (in *rtspInput) learn(ctx context.Context, dec *av.Decoder) (av.VideoInfo, error) {
	frame := av.NewFrame()
	defer frame.Close()
	defer dec.Flush()
	late := time.Now().Add(firstPicture)
	var damage error
	for {
		u, err := in.take(time.Until(late))
		switch {
		case ctx.Err() != nil:
			return av.VideoInfo{}, ctx.Err()
		case errors.Is(err, av.ErrTimeout) && damage != nil:
			return av.VideoInfo{}, fmt.Errorf("the source %s sends %w that can be decoded (%w); check the camera", in.src, ErrStalled, damage)
		case errors.Is(err, av.ErrTimeout):
			return av.VideoInfo{}, fmt.Errorf("the source %s sends %w: none for %v; check the camera and its network", in.src, ErrStalled, firstPicture)
		case err != nil:
			return av.VideoInfo{}, in.explain(err)
		case !u.Key:
			continue
		}
		damage = dec.SendBytes(u.Data, 0)
		_ = dec.Receive(frame) // some decoders hold a picture back; its size is known even so
		if v := dec.Video(); damage == nil && v.Width > 0 {
			in.mu.Lock()
			in.queue = append([]arrived{u}, in.queue...)
			in.bytes += len(u.Data)
			in.mu.Unlock()
			in.wake()
			return v, nil
		}
	}
}

// put takes in an access unit. It never waits.
func (in *rtspInput) put(u rtsp.Unit) {
	now := time.Now()
	in.mu.Lock()
	if in.bytes > maxKeptBytes || len(in.queue) > 0 && now.Sub(in.queue[0].at) > maxBacklog {
		in.queue, in.bytes, in.waiting = nil, 0, true
	}
	if in.waiting = in.waiting && !u.Key; !in.waiting {
		in.queue = append(in.queue, arrived{u, now})
		in.bytes += len(u.Data)
	}
	in.mu.Unlock()
	in.wake()
}

// end says that no more will come.
func (in *rtspInput) end(err error) {
	if err == nil {
		err = context.Canceled
	}
	in.mu.Lock()
	in.err = err
	in.mu.Unlock()
	in.wake()
}

func (in *rtspInput) wake() {
	select {
	case in.ready <- struct{}{}:
	default:
	}
}

// take waits for the next access unit. The error is av.ErrTimeout after limit, or the client's.
func (in *rtspInput) take(limit time.Duration) (arrived, error) {
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		in.mu.Lock()
		if len(in.queue) > 0 {
			u := in.queue[0]
			in.queue = in.queue[1:]
			in.bytes -= len(u.Data)
			in.mu.Unlock()
			return u, nil
		}
		err := in.err
		in.mu.Unlock()
		if err != nil {
			return arrived{}, err
		}
		select {
		case <-in.ready:
		case <-late.C:
			return arrived{}, av.ErrTimeout
		}
	}
}

// next implements liveInput.
func (in *rtspInput) next(p *av.Packet, limit time.Duration) (time.Time, error) {
	u, err := in.take(limit)
	if errors.Is(err, av.ErrTimeout) && in.client.Losing() {
		err = errLosing
	}
	if err != nil {
		return time.Time{}, err
	}
	return u.Captured, p.Fill(u.Data, u.Key)
}

// explain implements liveInput.
func (in *rtspInput) explain(err error) error { return explainRTSP(in.src, err) }

// Close implements liveInput.
func (in *rtspInput) Close() {
	in.cancel()
	in.player.Wait()
}
