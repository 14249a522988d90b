package rtsp

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"time"
)

const (
	maxDatagram    = 64 << 10
	receiveBuffer  = 1 << 20 // bytes in the kernel: a keyframe comes in one burst
	pairAttempts   = 20
	emptyRTPHeader = "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)

// datagrams is a pair of ports for RTP and RTCP (RFC 3550 section 11) that takes packets from one address.
type datagrams struct {
	rtp, rtcp *net.UDPConn
	port      int        // of rtp, even; the other's is one more
	peer      netip.Addr // who may send
	ports     [2]uint16  // the peer's
}

// listenPair takes a pair of ports beside a connection to a camera.
func listenPair(control net.Conn) (*datagrams, error) {
	local := control.LocalAddr().(*net.TCPAddr)
	peer := control.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	var failed error
	for range pairAttempts {
		rtp, err := net.ListenUDP("udp", &net.UDPAddr{IP: local.IP, Zone: local.Zone})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDatagrams, err)
		}
		port := rtp.LocalAddr().(*net.UDPAddr).Port
		if port%2 == 0 {
			rtcp, err := net.ListenUDP("udp", &net.UDPAddr{IP: local.IP, Port: port + 1, Zone: local.Zone})
			if err == nil {
				_ = rtp.SetReadBuffer(receiveBuffer) // the kernel may give less
				return &datagrams{rtp: rtp, rtcp: rtcp, port: port, peer: peer}, nil
			}
			failed = err
		}
		_ = rtp.Close()
	}
	return nil, fmt.Errorf("%w: no pair of ports is free: %w", ErrDatagrams, failed)
}

var serverPorts = regexp.MustCompile(`server_port=(\d+)(?:-(\d+))?`)

// meet learns the camera's ports from its answer to SETUP; without them nothing is sent there.
func (d *datagrams) meet(transport string) error {
	m := serverPorts.FindStringSubmatch(transport)
	if m == nil {
		return nil
	}
	for i := range d.ports {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.ParseUint(m[i+1], 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("%w: server_port", ErrMalformed)
		}
		d.ports[i] = uint16(n)
	}
	return nil
}

// open lets firewalls on the way know that an answer is wanted.
func (d *datagrams) open() {
	if d.ports[0] != 0 {
		_, _ = d.rtp.WriteToUDPAddrPort([]byte(emptyRTPHeader), netip.AddrPortFrom(d.peer, d.ports[0]))
	}
}

// tell sends a report. Datagrams may get lost, so a failure is none.
func (d *datagrams) tell(b []byte) {
	if d.ports[1] != 0 {
		_, _ = d.rtcp.WriteToUDPAddrPort(b, netip.AddrPortFrom(d.peer, d.ports[1]))
	}
}

// listen reads one of the ports until the deadline of interrupt, or an error of take.
func (d *datagrams) listen(conn *net.UDPConn, channel int, take func(channel int, b []byte, came time.Time) error) error {
	b := make([]byte, maxDatagram)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return err
		}
		if from.Addr().Unmap() != d.peer {
			continue
		}
		if err := take(channel, b[:n], time.Now()); err != nil {
			return err
		}
	}
}

func (d *datagrams) interrupt(at time.Time) {
	_ = d.rtp.SetReadDeadline(at)
	_ = d.rtcp.SetReadDeadline(at)
}

func (d *datagrams) close() {
	_ = d.rtp.Close()
	_ = d.rtcp.Close()
}
