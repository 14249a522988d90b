package ws

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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

// strict reads b in pieces of size, at a time that stands still.
func strict(b []byte, size int) *strictConn {
	return &strictConn{
		Conn: &tape{rest: b, size: size}, now: func() time.Time { return time.Unix(1, 0) }, take: func(byte, []byte) {},
	}
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
			s := strict(c.send, size)
			passed, err := io.ReadAll(s)
			var closed *transport.CloseError
			want := bytes.ReplaceAll(c.send, ping, nil) // those are taken on the way
			switch {
			case c.code == 0 && (err != nil || !bytes.Equal(passed, want)):
				t.Errorf("%s, %d bytes at a time: %d of %d bytes, error %v", c.name, size, len(passed), len(want), err)
			case c.code != 0 && (!errors.As(err, &closed) || closed.Code != c.code):
				t.Errorf("%s, %d bytes at a time: error %v, want code %d", c.name, size, err, c.code)
			}
		}
	}
}

func TestStrictConn_AnotherSecondHasRoomForPings(t *testing.T) {
	now := time.Unix(1, 0)
	ping := []byte{0x89, 0x80, 1, 2, 3, 4}
	s := &strictConn{now: func() time.Time { return now }, take: func(byte, []byte) {}}
	for range 3 {
		if err := s.pass(slices.Repeat(ping, maxControl)); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
}

func TestStrictConn_TakesPingsAndPongs(t *testing.T) {
	for _, size := range []int{1, 4, 1 << 20} {
		var got []string
		s := strict([]byte("\x02\x81\x00\x00\x00\x00a"+"\x89\x82\x01\x02\x03\x04ik"+"\x80\x81\x00\x00\x00\x00b"+"\x8a\x80\x01\x02\x03\x04"+"\x8a\x00"), size)
		s.take = func(opcode byte, payload []byte) { got = append(got, fmt.Sprintf("%x %s", opcode, payload)) }
		passed, err := io.ReadAll(s)
		if want := "\x02\x81\x00\x00\x00\x00a" + "\x80\x81\x00\x00\x00\x00b" + "\x8a\x00"; err != nil || string(passed) != want {
			t.Errorf("%d bytes at a time: %q passed, error %v", size, passed, err)
		}
		if !slices.Equal(got, []string{"9 hi", "a "}) {
			t.Errorf("%d bytes at a time: took %q", size, got)
		}
	}
}

func TestStrictConn_GivesWholeMessagesWhileGated(t *testing.T) {
	const limit = 200
	first := append([]byte{0x02, 0x83, 0, 0, 0, 0}, "abc"...) // of two pieces
	rest := append([]byte{0x80, 0x81, 0, 0, 0, 0}, 'd')
	for _, c := range []struct {
		name  string
		send  []byte
		whole int // bytes given
	}{
		{"a header", []byte{0x82, 0x83}, 0},
		{"all but a byte", []byte{0x82, 0x83, 0, 0, 0, 0, 1, 2}, 0},
		{"a part behind a message of one frame, which is taken", slices.Concat([]byte{0x82, 0x81, 0, 0, 0, 0, 1}, first), 0},
		{"a message of one frame behind one of two", slices.Concat(first, rest, []byte{0x82, 0x81, 0, 0, 0, 0, 1}), len(first) + len(rest) + 7},
		{"an empty message", []byte{0x82, 0x80, 0, 0, 0, 0}, 6},
		{"the first piece", first, 0},
		{"both pieces", slices.Concat(first, rest), len(first) + len(rest)},
		{"a close frame", []byte{0x88, 0x80, 0, 0, 0, 0}, 6},
		{"a close frame between pieces", slices.Concat(first, []byte{0x88, 0x80, 0, 0, 0, 0}), len(first) + 6},
		{"no mask", []byte{0x82, 0x01, 1}, 3},
		{"no mask, and more to come", []byte{0x82, 0x05, 1}, 2},
		{"a ping without a mask", []byte{0x89, 0x00}, 2},
		{"a ping in pieces", []byte{0x09, 0x80, 0, 0, 0, 0}, 6},
		{"a long ping", []byte{0x89, 0xfe, 0, 126, 0, 0, 0, 0}, 8},
		{"a reserved opcode", []byte{0x03, 0x84, 0, 0, 0, 0}, 6},
		{"a reserved control frame", []byte{0x0e, 0x80, 0, 0, 0, 0}, 6},
		{"a reserved bit", []byte{0xc2, 0x84, 0, 0, 0, 0}, 6},
		{"a continuation of nothing", []byte{0x00, 0x84, 0, 0, 0, 0}, 6},
		{"another message inside", slices.Concat(first, []byte{0x82, 0x84, 0, 0, 0, 0}), len(first) + 6},
		{"the beginning of a text", []byte{0x01, 0x84, 0, 0, 0, 0}, 6},
		{"a header that says too much", []byte{0x82, 0xfe, 0, 201, 0, 0, 0, 0}, 8},
		{"as much as may be", []byte{0x82, 0xfe, 0, 200, 0, 0, 0, 0}, 0},
		{"a piece too much", slices.Concat(first, []byte{0x80, 0xfe, 0, 198, 0, 0, 0, 0}), len(first) + 8},
		{"the last piece that may be", slices.Concat(first, []byte{0x80, 0xfe, 0, 197, 0, 0, 0, 0}), 0},
		{"the most that can be written", []byte{0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0}, 14},
	} {
		s := strict(c.send, 3)
		s.limit, s.gated = limit, true
		passed, err := io.ReadAll(s)
		if err != nil || !bytes.Equal(passed, c.send[:c.whole]) {
			t.Errorf("%s: %d bytes passed, want %d; error %v", c.name, len(passed), c.whole, err)
		}
		if (s.messages > 0) != (c.whole > 0) {
			t.Errorf("%s: %d messages", c.name, s.messages)
		}
	}
}

// FuzzStrictConn holds that the bytes that come do not depend on the pieces they come in, and neither does the verdict; that who is told of messages by a
// Poller is told the same as who reads them; and that what is held back meanwhile is bounded.
func FuzzStrictConn(f *testing.F) {
	f.Add([]byte{0x82, 0x83, 1, 2, 3, 4, 5, 6, 7}, 2)
	f.Add([]byte{0x89, 0x80, 1, 2, 3, 4, 0x82, 0xfe, 0, 5}, 1)
	f.Add([]byte{0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4}, 3)
	f.Add([]byte{0x02, 0x83, 1, 2, 3, 4, 5, 6, 7, 0x8a, 0x82, 1, 2, 3, 4, 9, 9, 0x80, 0x80, 1, 2, 3, 4}, 5)
	f.Add([]byte{0x82, 0x81, 1, 2, 3, 4, 5, 0x02, 0x81, 1, 2, 3, 4, 5, 0x82, 0x81, 1, 2, 3, 4, 6, 0x80, 0x81, 1, 2, 3, 4, 5, 0x82, 0x81, 1, 2, 3, 4, 7}, 200)
	f.Add([]byte{0x82, 0x81, 1, 2, 3, 4, 5, 0x88, 0x01}, 200)
	f.Add([]byte{0x02, 0x81, 1, 2, 3, 4, 5, 0x80, 0x81, 1, 2, 3, 4, 5, 0x82, 0x81, 1, 2, 3, 4, 6, 0x82, 0x80, 1, 2, 3, 4}, 200)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		const limit = 1000
		size = max(1, size&0xff)
		read := func(s *strictConn) (passed []byte, taken string, err error) {
			s.limit = limit
			s.take = func(opcode byte, payload []byte) { taken += fmt.Sprintf("%x %x,", opcode, payload) }
			passed, err = io.ReadAll(s)
			return passed, taken, err
		}
		all, taken1, err1 := read(strict(b, len(b)+1))
		passed, taken2, err2 := read(strict(b, size))
		if (err1 == nil) != (err2 == nil) || err1 != nil && err1.Error() != err2.Error() {
			t.Fatalf("at once: %v; %d at a time: %v", err1, size, err2)
		}
		if err2 == nil && (!bytes.Equal(passed, all) || taken1 != taken2) {
			t.Fatal("what is passed depends on the pieces")
		}
		var messages [2][]string
		var ends [2]error
		refused := false
		for i := range messages {
			c := taped(t, b, size, limit)
			note := func(message []byte, err error) {
				if ends[i] = err; err == nil {
					messages[i] = append(messages[i], string(message))
				}
			}
			if i == 0 {
				for ends[i] == nil {
					note(c.ReadMessage())
				}
				continue
			}
			c.heard, c.strict.gated = note, true
			for !c.hear() {
			}
			if n := len(c.strict.held) - c.strict.given + len(c.strict.taken); n > limit+drainLimit+(maxFragments+1)*len(c.strict.header) {
				t.Fatalf("%d bytes are held back", n)
			}
			refused = c.strict.err != nil
		}
		if n := len(messages[0]); refused && n < len(messages[1]) {
			messages[1] = messages[1][:n] // what comes right ahead of a breach is heard, and not read
		}
		if !slices.Equal(messages[0], messages[1]) || ends[0].Error() != ends[1].Error() {
			t.Fatalf("read: %q, %v; heard: %q, %v", messages[0], ends[0], messages[1], ends[1])
		}
	})
}

// taped is a connection that a client has opened and sends b over, in pieces of size, at a time that stands still.
func taped(t *testing.T, b []byte, size int, limit int64) *Conn {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for name, value := range map[string]string{
		"Connection": "upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		r.Header.Set(name, value)
	}
	c, err := Upgrade(tapedWriter{tape: &tape{rest: b, size: size}}, r, "sightline", Options{ReadLimit: limit})
	if err != nil {
		t.Fatal(err)
	}
	c.strict.now = func() time.Time { return time.Unix(1, 0) }
	return c
}

type tapedWriter struct {
	http.ResponseWriter
	tape *tape
}

func (w tapedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.tape, bufio.NewReadWriter(bufio.NewReader(w.tape), bufio.NewWriter(w.tape)), nil
}

func (*tape) Write(p []byte) (int, error)      { return len(p), nil }
func (*tape) Close() error                     { return nil }
func (*tape) SetDeadline(time.Time) error      { return nil }
func (*tape) SetReadDeadline(time.Time) error  { return nil }
func (*tape) SetWriteDeadline(time.Time) error { return nil }
