package watch

import (
	"encoding/binary"
	"errors"
	"testing"

	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/wire"
)

// deaf is a connection that a viewer may write to.
type deaf struct{ transport.Conn }

func (deaf) WriteMessage([]byte) error { return nil }

// FuzzTake holds that no server can make a viewer take for a picture what was not announced, or fail otherwise than by saying what is malformed.
// Messages stand behind their lengths.
func FuzzTake(f *testing.F) {
	messages := func(list ...[]byte) (b []byte) {
		for _, m := range list {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(m))), m...)
		}
		return b
	}
	config := wire.AppendConfig(nil, wire.Config{Codec: media.CodecH264, Rendition: 1, Width: 320, Height: 240, FrameRateMilli: 10_000, CodecString: "avc1.42c01f"})
	key := wire.AppendChunk(nil, wire.MediaHeader{Flags: wire.FlagKey, Rendition: 1, Seq: 1}, make([]byte, 10), 0)
	next := wire.AppendChunk(nil, wire.MediaHeader{Rendition: 1, Seq: 2, DepDelta: 1}, make([]byte, 10), 0)
	long := make([]byte, wire.MaxChunkPayload+1)
	first := wire.AppendChunk(nil, wire.MediaHeader{Flags: wire.FlagKey, Rendition: 1, Seq: 3}, long, 0)
	rest := wire.AppendChunk(nil, wire.MediaHeader{Flags: wire.FlagKey, Rendition: 1, Seq: 3}, long, 1)
	f.Add(messages(config, key, next))
	f.Add(messages(config, first, rest, wire.AppendAbort(nil, wire.Abort{Rendition: 1, Seq: 3}), next))
	f.Add(messages(key, config, next))
	f.Add(messages(wire.AppendTimeResp(nil, wire.TimeResp{ID: 1, T1: 1, T2: 2, T3: 3}), wire.AppendJSON(nil, wire.TypeStatus, wire.ViewerStatus{Stream: "door", State: media.StateLive})))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := New(deaf{}, Options{Sink: func(c wire.Config, h wire.MediaHeader, au []byte) error {
			if c.Rendition != h.Rendition || c.Generation != h.Generation || len(au) != int(h.TotalLen) {
				t.Fatalf("a picture of %d bytes, %+v, under %+v", len(au), h, c)
			}
			return nil
		}})
		for len(b) > 2 {
			n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			m := b[2 : 2+n]
			b = b[2+n:]
			if n == 0 {
				continue // the connection gives no empty message
			}
			var fault *wire.MalformedError
			if err := v.main.take(m); err != nil && !errors.As(err, &fault) {
				t.Fatalf("%T: %v", err, err)
			} else if err != nil {
				return
			}
		}
	})
}
