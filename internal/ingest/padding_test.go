package ingest

import (
	"testing"

	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

func TestPadding_Size(t *testing.T) {
	for _, c := range []struct {
		least Padding
		n     int
		want  int
	}{
		{0, 1, 1},
		{0, 777, 777},
		{4096, 1, 4096},
		{4096, 4090, 4096},
		{4096, 4096, 4096},
		{4096, 4091, 8192},
		{4096, 4095, 8192}, // no padding is so short
		{4096, 4097, 8192},
		{4096, 8193, 16384},
		{16384, 100_000, 131_072},
	} {
		if got := c.least.Size(c.n); got != c.want {
			t.Errorf("%d with padding %d: got %d, want %d", c.n, c.least, got, c.want)
		}
	}
}

func TestAppendPadding_HasEachLengthThereCanBe(t *testing.T) {
	lengths := []int{65_535, 65_536, 65_545, 65_546, 100_000, 1 << 20}
	for n := minPad; n < 2*(wire.MaxChunkLen+20); n++ {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		b, payload := appendPadding([]byte("before"), n)
		rest := b[len("before"):]
		if len(rest) != n {
			t.Fatalf("%d bytes, want %d", len(rest), n)
		}
		for len(rest) > 0 {
			message := ws.FramePayload(rest)
			if wire.Type(message[0]) != wire.TypePad || len(message) < wire.PadHeaderLen || len(message) > wire.MaxMessageLen {
				t.Fatalf("%d: a message of %d bytes and type %d", n, len(message), message[0])
			}
			payload -= len(message)
			header := 2
			if len(message) > 125 {
				header = 4
			}
			rest = rest[header+len(message):]
		}
		if payload != 0 {
			t.Fatalf("%d: told of %d bytes more than there are", n, payload)
		}
	}
}

func TestFill_IsSeenByNobodyButTheReader(t *testing.T) {
	for _, size := range []int{1, 3000, 16_000, wire.MaxChunkPayload + 1, 50_000} {
		au := make([]byte, size)
		h := wire.MediaHeader{Flags: wire.FlagKey}
		var chunks [][]byte
		before := 0
		for i := range wire.Chunks(size) {
			chunks = append(chunks, frame(wire.AppendChunk(nil, h, au, i)))
			before += len(chunks[i])
		}
		const least = Padding(4096)
		least.fill(chunks)
		after := 0
		for i, c := range chunks {
			after += len(c)
			if got, _, err := wire.ParseMedia(ws.FramePayload(c)); err != nil || int(got.ChunkIndex) != i {
				t.Errorf("%d bytes: chunk %d: %+v, %v", size, i, got, err)
			}
		}
		if after != least.Size(before) {
			t.Errorf("%d bytes: %d on the wire, want %d", size, after, least.Size(before))
		}
	}
}

func TestOverhead_LeavesRoomForPadding(t *testing.T) {
	var o overhead
	if got := o.without(1, 1000); got != 1000 {
		t.Errorf("without padding: %d", got)
	}
	o.add(1, 6000, 2000)
	o.add(2, 10, 4086)
	if got := o.without(1, 1000); got != 750 {
		t.Errorf("with a third more: %d, want 750", got)
	}
	if got := o.without(2, 1000); got != 1000/maxOverhead {
		t.Errorf("with nearly nothing else: %d", got)
	}
	for range 20 * overheadOver {
		o.add(1, 6000, 0)
	}
	if got := o.without(1, 1000); got < 999 {
		t.Errorf("when it needs none any more: %d", got)
	}
}
