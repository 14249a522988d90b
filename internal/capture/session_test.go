package capture

import (
	"log/slog"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"

	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/wire"
)

// notebook is a connection that keeps what is written.
type notebook struct {
	transport.Conn
	types []wire.Type
}

func (n *notebook) WriteMessage(b []byte) error {
	n.types = append(n.types, wire.Type(b[0]))
	return nil
}

// A source may turn out to be another than it was taken for while a rendition is being made: what comes of that one must not follow the HELLO that
// no longer has it, for which a server would end the connection.
func TestSession_NothingOfARenditionThatIsNoLongerAnnounced(t *testing.T) {
	src, err := ParseSource("file:clip.mp4")
	if err != nil {
		t.Fatal(err)
	}
	own := Rendition{Name: "source", Passthrough: true}
	encoded := Rendition{Name: "encoded", Codec: media.CodecJPEG, Height: 368, BitrateBps: 1_000_000, MinBitrateBps: 500_000}
	c, err := New(Options{Source: src, Renditions: []Rendition{own, encoded}}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	out := &notebook{}
	s := newSession(c, out, new(errgroup.Group))
	st := newStream(c, s, 1, own)
	s.streams[1], s.streams[2] = st, newStream(c, s, 2, encoded) // nobody runs them
	offer := func(native media.Codec) {
		t.Helper()
		if err := s.offer(t.Context(), FeedInfo{Width: 640, Height: 360, Native: native}); err != nil {
			t.Fatal(err)
		}
	}
	unit := func(native media.Codec, want ...wire.Type) {
		t.Helper()
		out.types = nil
		u := passed{data: []byte{1}, key: true, codec: "x", width: 640, height: 360}
		if err := st.forward(u, 0, FeedInfo{Width: 640, Height: 360, Native: native}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(out.types, want) {
			t.Errorf("wrote messages %v, want %v", out.types, want)
		}
	}
	unit(media.CodecH264) // before any HELLO
	offer(media.CodecH264)
	unit(media.CodecH264, wire.TypeConfig, wire.TypeMedia)
	unit(media.CodecH264, wire.TypeMedia)
	unit(media.CodecJPEG) // the HELLO that says so is still to come
	offer(media.CodecJPEG)
	unit(media.CodecH264) // from before it
	unit(media.CodecJPEG, wire.TypeConfig, wire.TypeMedia)
	offer(0)
	unit(media.CodecJPEG)
	offer(media.CodecJPEG)
	unit(media.CodecJPEG, wire.TypeConfig, wire.TypeMedia)
}
