package wire_test

import (
	"testing"

	"sightline/internal/wire"
)

// messages appends and parses each message that goes with every picture.
func messages(b, picture []byte) ([]byte, error) {
	b = wire.AppendChunk(b[:0], wire.MediaHeader{Rendition: 1, Seq: 7, DepDelta: 1, Capture: 12345}, picture, 0)
	if _, _, err := wire.ParseMedia(b); err != nil {
		return nil, err
	}
	b = wire.AppendFeedback(b[:0], wire.Feedback{Rendition: 1, Seq: 7, Arrival: 23456, Received: 8500})
	_, err := wire.ParseFeedback(b)
	return b, err
}

func TestMessages_AllocateNothing(t *testing.T) {
	b, picture := make([]byte, 0, 16<<10), make([]byte, 8500)
	run := func() {
		var err error
		if b, err = messages(b, picture); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkMessages(b *testing.B) {
	buf, picture := make([]byte, 0, 16<<10), make([]byte, 8500)
	b.ReportAllocs()
	b.SetBytes(int64(len(picture)))
	for b.Loop() {
		var err error
		if buf, err = messages(buf, picture); err != nil {
			b.Fatal(err)
		}
	}
}
