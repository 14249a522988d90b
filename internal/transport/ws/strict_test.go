package ws

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"sightline/internal/transport"
)

// tape is a connection from which bytes come in pieces of so many.
type tape struct {
	net.Conn
	rest []byte
	size int
}

func (t *tape) Read(p []byte) (int, error) {
	if len(t.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), t.size)], t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

func TestStrictConn(t *testing.T) {
	mask := []byte{1, 2, 3, 4}
	masked := func(first byte, length ...byte) []byte { return append(append([]byte{first}, length...), mask...) }
	ping := masked(0x89, 0x80)
	piece := masked(0x00, 0x80)
	last := masked(0x80, 0x80)
	begin := masked(0x02, 0x80)
	long := append(masked(0x82, 0xfe, 0, 126), make([]byte, 126)...)
	for _, c := range []struct {
		name string
		send []byte
		code transport.Code // 0: passes
	}{
		{"short", append(masked(0x82, 0x83), 1, 2, 3), 0},
		{"two in a row", slices.Concat(long, long), 0},
		{"64 bits for 65536", append(masked(0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0), make([]byte, 65536)...), 0},
		{"16 bits for 125", append(masked(0x82, 0xfe, 0, 125), make([]byte, 125)...), transport.CodeProtocol},
		{"16 bits for 0", masked(0x82, 0xfe, 0, 0), transport.CodeProtocol},
		{"64 bits for 65535", masked(0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255), transport.CodeProtocol},
		{"64 bits for 1, behind a good one", append(slices.Clone(long), masked(0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 1)...), transport.CodeProtocol},
		{"a length that has its top bit set is the library's affair", masked(0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255), 0},
		{"close without a code", masked(0x88, 0x80), 0},
		{"close with half a code", append(masked(0x88, 0x81), 3), transport.CodeProtocol},
		{"as many pings as may be", slices.Repeat(ping, maxControl), 0},
		{"one ping more", slices.Repeat(ping, maxControl+1), transport.CodePolicy},
		{"as many pieces as may be", slices.Concat(begin, slices.Repeat(piece, maxFragments-1), last, begin, slices.Repeat(piece, maxFragments-1), last), 0},
		{"a piece more", slices.Concat(begin, slices.Repeat(piece, maxFragments), last), transport.CodePolicy},
		{"pings between pieces do not make a new message", slices.Concat(begin, slices.Repeat(slices.Concat(piece, piece, ping), maxFragments/2)), transport.CodePolicy},
	} {
		for _, size := range []int{1, 3, 1 << 20} {
			s := &strictConn{Conn: &tape{rest: c.send, size: size}, now: func() time.Time { return time.Unix(1, 0) }}
			passed, err := io.ReadAll(s)
			var closed *transport.CloseError
			switch {
			case c.code == 0 && (err != nil || !bytes.Equal(passed, c.send)):
				t.Errorf("%s, %d bytes at a time: %d of %d bytes, error %v", c.name, size, len(passed), len(c.send), err)
			case c.code != 0 && (!errors.As(err, &closed) || closed.Code != c.code):
				t.Errorf("%s, %d bytes at a time: error %v, want code %d", c.name, size, err, c.code)
			}
		}
	}
}

func TestStrictConn_AnotherSecondHasRoomForPings(t *testing.T) {
	now := time.Unix(1, 0)
	ping := []byte{0x89, 0x80, 1, 2, 3, 4}
	s := &strictConn{now: func() time.Time { return now }}
	for range 3 {
		if err := s.pass(slices.Repeat(ping, maxControl)); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
}

// FuzzStrictConn holds that the bytes that come do not depend on the pieces they come in, and neither does the verdict.
func FuzzStrictConn(f *testing.F) {
	f.Add([]byte{0x82, 0x83, 1, 2, 3, 4, 5, 6, 7}, 2)
	f.Add([]byte{0x89, 0x80, 1, 2, 3, 4, 0x82, 0xfe, 0, 5}, 1)
	f.Add([]byte{0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4}, 3)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		size = max(1, size&0xff)
		frozen := func() time.Time { return time.Unix(1, 0) }
		_, err1 := io.ReadAll(&strictConn{Conn: &tape{rest: b, size: len(b) + 1}, now: frozen})
		passed, err2 := io.ReadAll(&strictConn{Conn: &tape{rest: b, size: size}, now: frozen})
		if (err1 == nil) != (err2 == nil) || err1 != nil && err1.Error() != err2.Error() {
			t.Fatalf("at once: %v; %d at a time: %v", err1, size, err2)
		}
		if err2 == nil && !bytes.Equal(passed, b) {
			t.Fatal("bytes were changed")
		}
	})
}
