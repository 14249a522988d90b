// Package pipe carries messages over a connected stream socket, each behind its length as a big-endian u32: how the
// server and a capture process on the same machine talk. It knows no video, and starts no goroutines.
package pipe

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"sightline/internal/transport"
)

// Conn is a transport.Conn over a stream socket. The peer sees an end of file on Close; codes and reasons do not travel.
type Conn struct {
	conn  net.Conn
	limit int

	r    *bufio.Reader // owned by the reader
	rbuf []byte

	wmu  sync.Mutex
	wbuf []byte

	closeOnce sync.Once
	closed    chan struct{}
}

// New takes over conn. A message longer than limit bytes ends the connection.
func New(conn net.Conn, limit int) *Conn {
	return &Conn{conn: conn, limit: limit, r: bufio.NewReaderSize(conn, 64<<10), closed: make(chan struct{})}
}

// ReadMessage implements transport.Conn.
func (c *Conn) ReadMessage() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return nil, c.readError(err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || uint64(n) > uint64(c.limit) {
		_ = c.Close(transport.CodeTooLarge, "")
		return nil, &transport.CloseError{Code: transport.CodeTooLarge, Reason: fmt.Sprintf("message of %d bytes, want 1 to %d", n, c.limit)}
	}
	if cap(c.rbuf) < int(n) {
		c.rbuf = make([]byte, n, max(int(n), 20<<10))
	}
	c.rbuf = c.rbuf[:n]
	if _, err := io.ReadFull(c.r, c.rbuf); err != nil {
		return nil, c.readError(err)
	}
	return c.rbuf, nil
}

func (c *Conn) readError(err error) error {
	select {
	case <-c.closed:
		return transport.ErrClosed
	default:
	}
	if errors.Is(err, io.EOF) {
		return &transport.CloseError{Code: transport.CodeNormal, Reason: "end of stream", Remote: true}
	}
	return fmt.Errorf("read message: %w", err)
}

// WriteMessage implements transport.Conn.
func (c *Conn) WriteMessage(p []byte) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.wbuf = binary.BigEndian.AppendUint32(c.wbuf[:0], uint32(len(p)))
	c.wbuf = append(c.wbuf, p...)
	if _, err := c.conn.Write(c.wbuf); err != nil {
		select {
		case <-c.closed:
			return transport.ErrClosed
		default:
			return fmt.Errorf("write message: %w", err)
		}
	}
	return nil
}

// Close implements transport.Conn.
func (c *Conn) Close(transport.Code, string) error {
	var err error
	c.closeOnce.Do(func() {
		close(c.closed)
		err = c.conn.Close()
	})
	return err
}
