package rtsp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"strings"
)

// ErrMalformed is wrapped by the error for what a server should not say.
var ErrMalformed = errors.New("malformed answer")

const (
	maxLine   = 8 << 10  // bytes of a line, the reader's buffer
	maxFields = 100      // of a header
	maxBody   = 64 << 10 // bytes, of a session description
)

// message is what a server says between packets: an answer, or a request of its own.
type message struct {
	status int    // 0: a request
	method string // of a request
	header textproto.MIMEHeader
	body   []byte
}

// frame is what comes next on a connection: a message, or a packet on an interleaved channel (RFC 2326 section 10.12).
type frame struct {
	message *message // nil: a packet
	channel uint8
	packet  []byte // valid until the next frame is read
}

// frames reads a connection. Lengths are bounded before memory is asked for.
type frames struct {
	r   *bufio.Reader
	buf []byte
}

func newFrames(r io.Reader) *frames { return &frames{r: bufio.NewReaderSize(r, maxLine)} }

// next reads what comes next. The error wraps ErrMalformed, or is the connection's.
func (f *frames) next() (frame, error) {
	for {
		b, err := f.r.Peek(1)
		if err != nil {
			return frame{}, err
		}
		switch b[0] {
		case '\r', '\n': // some put an empty line behind a body
			_, _ = f.r.Discard(1)
		case '$':
			return f.interleaved()
		default:
			m, err := f.readMessage()
			return frame{message: m}, err
		}
	}
}

func (f *frames) interleaved() (frame, error) {
	head, err := f.r.Peek(4)
	if err != nil {
		return frame{}, err
	}
	channel, size := head[1], int(binary.BigEndian.Uint16(head[2:]))
	_, _ = f.r.Discard(4)
	if cap(f.buf) < size {
		f.buf = make([]byte, size)
	}
	_, err = io.ReadFull(f.r, f.buf[:size])
	return frame{channel: channel, packet: f.buf[:size]}, err
}

// line reads a line without its end.
func (f *frames) line() (string, error) {
	b, err := f.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", fmt.Errorf("%w: a line of more than %d bytes", ErrMalformed, maxLine)
	}
	return string(bytes.TrimRight(b, "\r\n")), err
}

func (f *frames) readMessage() (*message, error) {
	first, err := f.line()
	if err != nil {
		return nil, err
	}
	m := &message{header: textproto.MIMEHeader{}}
	words := strings.Fields(first)
	switch {
	case len(words) >= 2 && strings.HasPrefix(words[0], "RTSP/1."):
		m.status, err = strconv.Atoi(words[1])
		if err != nil || m.status < 100 || m.status > 999 {
			return nil, fmt.Errorf("%w: no status", ErrMalformed)
		}
	case len(words) == 3 && strings.HasPrefix(words[2], "RTSP/1."):
		m.method = words[0]
	default:
		return nil, fmt.Errorf("%w: this is not RTSP 1.0", ErrMalformed)
	}
	for range maxFields {
		line, err := f.line()
		if err != nil {
			return nil, err
		}
		if line == "" {
			return m, f.readBody(m)
		}
		if key, value, ok := strings.Cut(line, ":"); ok {
			m.header.Add(strings.TrimSpace(key), strings.TrimSpace(value))
		}
	}
	return nil, fmt.Errorf("%w: more than %d header fields", ErrMalformed, maxFields)
}

func (f *frames) readBody(m *message) error {
	text := m.header.Get("Content-Length")
	if text == "" {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > maxBody {
		return fmt.Errorf("%w: a body of %.20q bytes, of at most %d", ErrMalformed, text, maxBody)
	}
	m.body = make([]byte, n)
	_, err = io.ReadFull(f.r, m.body)
	return err
}
