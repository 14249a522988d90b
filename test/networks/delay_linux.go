package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// packetLen is more than any packet of a device with the usual MTU.
const packetLen = 2048

// openTun makes a TUN device of that name in the network namespace of that name and gives its packets.
func openTun(namespace, device string) (*os.File, error) {
	type result struct {
		file *os.File
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine, and its namespace with it
		file, err := openTunHere(namespace, device)
		done <- result{file, err}
	}()
	r := <-done
	if r.err != nil {
		return nil, fmt.Errorf("device %s in namespace %s: %w", device, namespace, r.err)
	}
	return r.file, nil
}

func openTunHere(namespace, device string) (*os.File, error) {
	ns, err := os.Open("/run/netns/" + namespace)
	if err != nil {
		return nil, err
	}
	err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
	if err = errors.Join(err, ns.Close()); err != nil {
		return nil, err
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	request, err := unix.NewIfreq(device)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), device), nil // a device that can be polled, so that Close ends a Read
}

// carry takes packets from one device to the other, each so much later, in order and without loss, until either is
// closed.
func carry(from, to *os.File, delay time.Duration) {
	type packet struct {
		due  time.Time
		data []byte
	}
	line := make(chan packet, 1<<14)
	go func() {
		defer close(line)
		for {
			b := make([]byte, packetLen)
			n, err := from.Read(b)
			if err != nil {
				return // closed
			}
			line <- packet{time.Now().Add(delay), b[:n]}
		}
	}()
	for p := range line {
		time.Sleep(time.Until(p.due))
		_, _ = to.Write(p.data) // a device that is down drops it, as a cable would
	}
}
