//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sightline/internal/sandbox"
	"sightline/internal/transport/pipe"
	"sightline/internal/wire"
	"sightline/test/site"
)

// realCapture is what the capture program is called in the folder where this one stands in for it.
const realCapture = "sightline-capture.real"

// stage puts the programs into dir: the server, this program under the capture program's name, and that one beside it.
func stage(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil { // for the users that capture processes are
		return err
	}
	bin := site.Programs()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for name, from := range map[string]string{"sightline": filepath.Join(bin, "sightline"), realCapture: filepath.Join(bin, "sightline-capture"), "sightline-capture": self} {
		if err := copyProgram(filepath.Join(dir, name), from); err != nil {
			return err
		}
	}
	return nil
}

func copyProgram(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("%w: build the programs with make build", err)
	}
	defer func() { _ = in.Close() }() // read only
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// stand is the capture program of this benchmark: the real one, but for a camera whose process is to misbehave.
func stand() {
	if err := standIn(); err != nil {
		fmt.Fprintln(os.Stderr, "stand-in:", err)
	}
	os.Exit(1)
}

func standIn() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	source := os.Getenv("SIGHTLINE_SOURCE")
	mode := os.Getenv(envMode)
	if mode == "" && strings.HasPrefix(source, "http:") {
		if mode, err = ask(source); err != nil {
			return err
		}
	}
	if !ofProcess(mode) {
		program := filepath.Join(filepath.Dir(self), realCapture)
		return syscall.Exec(program, append([]string{program}, os.Args[1:]...), os.Environ())
	}
	// As confined as the real one, which executes itself anew: what it has become it knows from its environment.
	if _, err := sandbox.Enter(sandbox.Options{Inherit: []int{3}, EndWithParent: true, Env: []string{envMode + "=" + mode}}); err != nil {
		return err
	}
	return misbehave(mode)
}

const envMode = "CAMERAS_MODE"

// ask asks the camera what its process is to be.
func ask(source string) (string, error) {
	u, err := url.Parse(source)
	if err != nil {
		return "", err
	}
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get(u.Scheme + "://" + u.Host + "/mode")
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }() // read only
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64))
	return string(b), err
}

// misbehave introduces itself to the server as an honest process does, and is none.
func misbehave(mode string) error {
	if mode == kindCrashing {
		return errors.New("crashing as asked")
	}
	conn, err := net.FileConn(os.NewFile(3, "publish"))
	if err != nil {
		return err
	}
	server := pipe.New(conn, wire.MaxMessageLen)
	hello := wire.PublisherHello{Agent: "stand-in", Source: "test", Renditions: []wire.RenditionInfo{{ID: 1, Name: "main", Codec: "h264", Width: 320, Height: 180}}}
	if err := server.WriteMessage(wire.AppendJSON(nil, wire.TypeHello, hello)); err != nil {
		return err
	}
	if mode == kindMemory {
		return fill()
	}
	runtime.GOMAXPROCS(threads)
	for i := range threads {
		go spin(i)
	}
	for {
		if _, err := server.ReadMessage(); err != nil {
			return err
		}
	}
}

// threads is how many compute: as many as an encoder of several renditions may have.
const threads = 16

func spin(i int) {
	runtime.LockOSThread()
	for x := uint64(i); ; x = x*6364136223846793005 + 1 {
		if x == 0 { // once in 2^64
			fmt.Fprintln(os.Stderr, strconv.FormatUint(x, 10))
		}
	}
}

// fill takes memory and uses it, until there is no more.
func fill() error {
	var all [][]byte
	for {
		b := make([]byte, 16<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
		if len(all) > 1<<12 { // 64 GiB: there is no limit here
			return errors.New("memory has no end")
		}
	}
}
