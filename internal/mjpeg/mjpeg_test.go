package mjpeg_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/mjpeg"
	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const jpegID media.RenditionID = 2

// camera publishes pictures of stream "door" on a hub whose time stands still.
type camera struct {
	t   *testing.T
	hub *hub.Hub
	pub *hub.Publisher
	seq uint32
}

func newCamera(t *testing.T, codecs ...media.Codec) *camera {
	t.Helper()
	h := hub.New(hub.Options{}, func() media.Timestamp { return 1000 })
	pub, err := h.Publish("door")
	if err != nil {
		t.Fatal(err)
	}
	c := &camera{t: t, hub: h, pub: pub}
	var list []media.Rendition
	for i, codec := range codecs {
		list = append(list, media.Rendition{ID: media.RenditionID(i + 1), Name: codec.String(), Codec: codec, Width: 64, Height: 48})
	}
	pub.SetRenditions(list)
	return c
}

// waitWanted returns once a viewer wants rendition id, as a publisher would.
func (c *camera) waitWanted(id media.RenditionID) {
	c.t.Helper()
	deadline := time.After(5 * time.Second)
	for {
		for _, wanted := range c.pub.Demand().Renditions {
			if wanted == id {
				return
			}
		}
		select {
		case <-c.pub.Wake():
		case <-deadline:
			c.t.Fatalf("nobody wants rendition %d", id)
		}
	}
}

func (c *camera) picture(data []byte) {
	c.t.Helper()
	if c.seq == 0 {
		err := c.pub.Configure(jpegID, hub.Config{Rendition: media.Rendition{Codec: media.CodecJPEG, Width: 64, Height: 48}, CodecString: "jpeg"},
			func(hub.Config) []byte { return []byte("CONFIG") })
		if err != nil {
			c.t.Fatal(err)
		}
	}
	c.seq++
	config, seq, ok := c.pub.Stamp(jpegID, c.seq)
	if !ok {
		c.t.Fatal("no configuration")
	}
	au := &hub.AccessUnit{Config: config, Key: true, Seq: seq, Capture: media.Timestamp(c.seq), Received: media.Timestamp(c.seq), Bytes: len(data)}
	for i := range wire.Chunks(len(data)) {
		message := wire.AppendChunk(nil, wire.MediaHeader{Flags: wire.FlagKey, Rendition: jpegID, Seq: seq}, data, i)
		au.Chunks = append(au.Chunks, append(ws.AppendFrameHeader(nil, len(message)), message...))
	}
	c.pub.Publish(au)
}

func jpeg(n int) []byte {
	b := bytes.Repeat([]byte{byte(n)}, n)
	copy(b, []byte{0xff, 0xd8})
	return b
}

func TestStream_EveryPictureIsAPart(t *testing.T) {
	c := newCamera(t, media.CodecH264, media.CodecJPEG)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- mjpeg.Stream(ctx, c.hub, "door", w, func() error { return nil }) }()
	c.waitWanted(jpegID)
	parts := multipart.NewReader(r, mjpeg.Boundary)
	for _, size := range []int{2, 100, wire.MaxChunkPayload, wire.MaxChunkPayload + 1, 100_000} {
		c.picture(jpeg(size))
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, size)
		if _, err := io.ReadFull(part, got); err != nil || !bytes.Equal(got, jpeg(size)) {
			t.Fatalf("picture of %d bytes arrives changed (%v)", size, err)
		}
		if part.Header.Get("Content-Type") != "image/jpeg" {
			t.Errorf("part of type %q", part.Header.Get("Content-Type"))
		}
	}
	cancel()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("ended without a reason")
	}
}

func TestSnapshot_IsTheNextPicture(t *testing.T) {
	c := newCamera(t, media.CodecH264, media.CodecJPEG)
	type result struct {
		picture []byte
		err     error
	}
	got := make(chan result, 1)
	go func() {
		p, _, err := mjpeg.Snapshot(t.Context(), c.hub, "door")
		got <- result{p, err}
	}()
	c.waitWanted(jpegID)
	c.picture(jpeg(500))
	if r := <-got; r.err != nil || !bytes.Equal(r.picture, jpeg(500)) {
		t.Errorf("got %d bytes, error %v", len(r.picture), r.err)
	}
}

func TestWithoutJPEG(t *testing.T) {
	c := newCamera(t, media.CodecH264)
	if _, _, err := mjpeg.Snapshot(t.Context(), c.hub, "door"); !errors.Is(err, mjpeg.ErrNoJPEG) {
		t.Errorf("got %v, want ErrNoJPEG", err)
	}
	if _, _, err := mjpeg.Snapshot(t.Context(), c.hub, "window"); !errors.Is(err, hub.ErrNoStream) {
		t.Errorf("got %v, want ErrNoStream", err)
	}
}

func TestSnapshot_GivesUpWithItsContext(t *testing.T) {
	c := newCamera(t, media.CodecJPEG, media.CodecJPEG)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, _, err := mjpeg.Snapshot(ctx, c.hub, "door")
		ended <- err
	}()
	c.waitWanted(1)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
