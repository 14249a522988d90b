package ws

import (
	"context"
	"net"
	"time"
)

// dialTuned opens a TCP connection whose socket is set for newest-picture-first.
func dialTuned(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	Tune(conn)
	return conn, nil
}

// Listener tunes every connection it accepts, and prepares it for Conn.TryWriteFramed.
type Listener struct{ net.Listener }

// Accept implements net.Listener.
func (l Listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	Tune(conn)
	return newEager(conn), nil
}
