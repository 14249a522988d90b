package wire_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"sightline/internal/wire"
)

func asMalformed(err error, target **wire.MalformedError) bool { return errors.As(err, target) }

func TestAppendChunk_ChunksGiveTheAccessUnitBack(t *testing.T) {
	for _, n := range []int{1, wire.MaxChunkPayload - 1, wire.MaxChunkPayload, wire.MaxChunkPayload + 1, 5*wire.MaxChunkPayload + 77} {
		want, got := au(n), []byte(nil)
		for i := range wire.Chunks(n) {
			h, payload, err := wire.ParseMedia(wire.AppendChunk(nil, wire.MediaHeader{Flags: wire.FlagKey}, want, i))
			if err != nil {
				t.Fatalf("%d bytes, chunk %d: %v", n, i, err)
			}
			if int(h.ChunkIndex) != i || int(h.TotalLen) != n {
				t.Fatalf("%d bytes, chunk %d: header %+v", n, i, h)
			}
			got = append(got, payload...)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes: chunks joined differ", n)
		}
	}
}

func TestRestampMedia_ChangesOnlyWhatTheServerOwns(t *testing.T) {
	b := wire.AppendChunk(nil, wire.MediaHeader{Rendition: 4, DepDelta: 1, Seq: 9, Capture: 123, EncodeDelay: 5}, au(10), 0)
	before, _, err := wire.ParseMedia(b)
	if err != nil {
		t.Fatal(err)
	}
	wire.RestampMedia(b, 7, 1000, wire.FlagDiscontinuity)
	after, payload, err := wire.ParseMedia(b)
	if err != nil {
		t.Fatal(err)
	}
	before.Generation, before.Seq, before.Flags = 7, 1000, wire.FlagDiscontinuity
	if after != before || !bytes.Equal(payload, au(10)) {
		t.Errorf("got %+v, want %+v", after, before)
	}
}

// FuzzParse feeds every parser: it must not panic, must refuse with a MalformedError, and what it takes must marshal to the same
// bytes where the encoding is canonical.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join(vectorDir, "*.txt"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds in %s: %v", vectorDir, err)
	}
	messages := []string{"MEDIA", "CONFIG", "TIME_REQ", "TIME_RESP", "ABORT", "FEEDBACK", "KEYREQ", "CTRL", "HELLO", "STATUS", "WANT", "STATS"}
	for _, g := range good() {
		f.Add(g.bytes)
	}
	for _, b := range bad() {
		f.Add(b.bytes)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, message := range messages {
			for _, from := range []string{"publisher", "viewer"} {
				_, again, err := parse(message, from, b)
				var m *wire.MalformedError
				if err != nil && !errors.As(err, &m) {
					t.Fatalf("%s: error %v is no MalformedError", message, err)
				}
				if err == nil && again != nil && !sameButReserved(message, again, b) {
					t.Fatalf("%s: marshalled again\n got %x\nwant %x", message, again, b)
				}
			}
		}
	})
}

// sameButReserved compares a and b without the bytes the specification reserves, which receivers ignore.
func sameButReserved(message string, a, b []byte) bool {
	a, b = bytes.Clone(a), bytes.Clone(b)
	reserved := map[string][]int{"MEDIA": {14, 15}, "TIME_REQ": {1}, "TIME_RESP": {1}, "ABORT": {1, 3}, "FEEDBACK": {3}, "KEYREQ": {3}}[message]
	for _, i := range reserved {
		a[i], b[i] = 0, 0
	}
	return bytes.Equal(a, b)
}
