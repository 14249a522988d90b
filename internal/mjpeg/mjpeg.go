// Package mjpeg gives a stream's JPEG rendition to programs that speak neither WebSocket nor H.264: as one picture, or as multipart/x-mixed-replace, which OpenCV,
// FFmpeg and an <img> element read. It knows no HTTP but the form of that body, and starts no goroutines.
package mjpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

// Boundary separates the parts of what Stream writes.
const Boundary = "sightline-frame"

// ContentType is the type of what Stream writes.
const ContentType = "multipart/x-mixed-replace; boundary=" + Boundary

// ErrNoJPEG tells that a stream has no JPEG rendition.
var ErrNoJPEG = errors.New("the stream has no JPEG rendition")

// Stream writes each new picture of stream id to w and flushes it, newest first: what w is too slow for is never sent. It returns when a write fails, when ctx is done or,
// with ErrNoJPEG, when the stream has no JPEG rendition (any more).
func Stream(ctx context.Context, h *hub.Hub, id media.StreamID, w io.Writer, flush func() error) error {
	return each(ctx, h, id, func(au *hub.AccessUnit, picture []byte) error {
		head := "--" + Boundary + "\r\nContent-Type: image/jpeg\r\nContent-Length: " + strconv.Itoa(len(picture)) +
			"\r\nX-Capture-Time: " + strconv.FormatInt(int64(au.Capture), 10) + "\r\n\r\n"
		for _, part := range [][]byte{[]byte(head), picture, []byte("\r\n")} {
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
		return flush()
	})
}

var errEnough = errors.New("enough")

// Snapshot waits for the next picture of stream id and returns it with its capture time. It may start an encoder for it.
func Snapshot(ctx context.Context, h *hub.Hub, id media.StreamID) (picture []byte, capture media.Timestamp, err error) {
	err = each(ctx, h, id, func(au *hub.AccessUnit, p []byte) error {
		picture, capture = p, au.Capture
		return errEnough
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return picture, capture, err
}

// each calls f with every picture until f fails or ctx is done.
func each(ctx context.Context, h *hub.Hub, id media.StreamID, f func(*hub.AccessUnit, []byte) error) error {
	sub, err := h.Subscribe(id)
	if err != nil {
		return err
	}
	defer sub.Close()
	if err := choose(sub); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-sub.Ready():
		}
		if view := sub.Look(); !view.Attached {
			if err := choose(sub); err != nil {
				return err
			}
		}
		for au, _ := sub.Next(); au != nil; au, _ = sub.Next() {
			picture, err := join(au)
			if err != nil {
				return err
			}
			if err := f(au, picture); err != nil {
				return err
			}
		}
	}
}

// choose attaches sub to the tallest JPEG rendition. A stream that has no renditions yet is waited for.
func choose(sub *hub.Subscription) error {
	ladder := sub.Look().Renditions
	if len(ladder) == 0 {
		return nil
	}
	jpegs := slices.DeleteFunc(ladder, func(r media.Rendition) bool { return r.Codec != media.CodecJPEG })
	if len(jpegs) == 0 {
		return ErrNoJPEG
	}
	tallest := slices.MaxFunc(jpegs, func(a, b media.Rendition) int { return a.Height - b.Height })
	return sub.Select(tallest.ID)
}

// join gives the bytes of an access unit without what the watch protocol puts around them.
func join(au *hub.AccessUnit) ([]byte, error) {
	picture := make([]byte, 0, au.Bytes)
	for _, framed := range au.Chunks {
		_, payload, err := wire.ParseMedia(ws.FramePayload(framed))
		if err != nil {
			return nil, fmt.Errorf("access unit %d: %w", au.Seq, err)
		}
		picture = append(picture, payload...)
	}
	return picture, nil
}
