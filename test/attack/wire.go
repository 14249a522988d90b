//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// canary is what goes over the wire in clear, so that the search is known to find things.
const canary = "canary-in-plain-sight-0123456789"

// packets is a capture of all that went over the loopback interface to and from the server. Its zero value is none.
type packets struct {
	target *target
	cmd    *exec.Cmd
	said   *bytes.Buffer
	why    string // there is none
	file   string
}

// captureWire begins to capture, where tshark is and may.
func captureWire(ctx context.Context, l *ledger, dir string) (*packets, error) {
	t := l.target
	w := &packets{target: t, said: &bytes.Buffer{}, file: filepath.Join(dir, "wire.pcapng")}
	if _, err := exec.LookPath("tshark"); err != nil {
		w.why = "tshark is not installed"
		return w, nil
	}
	_, port, _ := net.SplitHostPort(t.host)
	w.cmd = exec.CommandContext(ctx, "tshark", "-q", "-i", "lo", "-a", "filesize:30000", "-f", "tcp port "+port, "-w", w.file)
	w.cmd.Cancel = func() error { return w.cmd.Process.Signal(syscall.SIGINT) }
	w.cmd.WaitDelay = 10 * time.Second
	w.cmd.Stdout = w.said
	errs, err := w.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	began := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(errs)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "Capturing on") || strings.Contains(lines.Text(), "Capture started") {
				select {
				case began <- true:
				default:
				}
			}
			w.why = lines.Text()
		}
		close(began)
	}()
	if <-began {
		w.why = ""
		knock := func() (net.Conn, error) {
			v := newVisitor(t, t.address(), false)
			conn, err := v.knock()
			l.note(&testCase{class: "wire", name: "a word in clear"}, v.remote, unspoken(), err, 1)
			return conn, err
		}
		conn, err := knock()
		if err != nil {
			return nil, err
		}
		// The interface may be a moment late: what is sent until then is not seen.
		for range 5 {
			time.Sleep(200 * time.Millisecond)
			if _, err := conn.Write([]byte(canary)); err != nil {
				_ = conn.Close()
				if conn, err = knock(); err != nil {
					return nil, err
				}
			}
		}
		return w, conn.Close()
	}
	w.cmd.Wait() //nolint:errcheck // it said why
	w.cmd = nil
	return w, nil
}

// stop ends the capture.
func (w *packets) stop() error {
	if w.cmd == nil {
		return nil
	}
	_ = w.cmd.Process.Signal(syscall.SIGINT)
	if err := w.cmd.Wait(); err != nil {
		var failed *exec.ExitError
		if !errors.As(err, &failed) {
			return fmt.Errorf("tshark: %w", err)
		}
	}
	return nil
}

// places are the bytes of all TCP segments, in the order in which they went.
func (w *packets) places() (map[string][]byte, error) {
	if w.cmd == nil {
		return nil, nil
	}
	out, err := exec.Command("tshark", "-r", w.file, "-T", "fields", "-e", "tcp.payload").Output()
	if err != nil {
		return nil, fmt.Errorf("tshark: %w", err)
	}
	var all []byte
	for line := range bytes.FieldsSeq(out) {
		segment, err := hex.DecodeString(string(line))
		if err != nil {
			return nil, err
		}
		all = append(append(all, segment...), '\n')
	}
	return map[string][]byte{"the wire": all}, nil
}

// clear looks for what must not be readable in the packets, besides secrets: pictures, and the names of streams and people.
func (l *ledger) clear(w *packets) {
	if w.cmd == nil {
		l.say("NOT RUN: nobody looked at the wire: " + w.why)
		return
	}
	found, err := w.places()
	if err != nil {
		l.miss("wire", err.Error())
		return
	}
	all := found["the wire"]
	if !bytes.Contains(all, []byte(canary)) {
		l.miss("wire", "the canary in clear was not found, so the search proves nothing")
	}
	for name, text := range map[string]string{
		"a start code": "\x00\x00\x00\x01\x67\x42", "another start code": "\x00\x00\x00\x01\x67\x4d", "a third start code": "\x00\x00\x00\x01\x67\x64", "a JPEG": "\xff\xd8\xff\xe0\x00\x10JFIF",
		"a stream's name": "site/door", "a path": "/ws/watch", "a person's name": "honest-1", "a header": "Authorization", "a cookie": "__Host-sightline", "a subprotocol": "sightline.v1",
	} {
		c := &testCase{class: "wire", name: name}
		var err error
		if bytes.Contains(all, []byte(text)) {
			err = errors.New("can be read on the wire")
		}
		l.note(c, bulkAddress, outcome{}, err, 1)
	}
	l.say(fmt.Sprintf("looked at %d bytes of the wire", len(all)))
}
