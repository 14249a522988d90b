package supervise

import (
	"errors"
	"net"
	"os"
	"os/exec"
)

func socketPair() (net.Conn, *os.File, error) {
	return nil, nil, errors.New("no local capture on this system; run sightline-capture on another machine and let it publish over the network")
}

func terminate(p *os.Process) error { return p.Kill() }

func isolate(*exec.Cmd) {}
