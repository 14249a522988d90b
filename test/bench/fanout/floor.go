//go:build linux

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

// framed is one picture as it goes out to a viewer, in the bare writer as in the product.
func framed() []byte {
	n := wire.MediaHeaderLen + deltaBytes
	b := append(ws.AppendFrameHeader(nil, n), make([]byte, n)...)
	_, _ = rand.Read(b[len(b)-deltaBytes:]) // never fails, says its documentation
	return b
}

// bare is the floor: a program that does nothing but write the same bytes to all who connect, over TLS, frame after frame: no
// goroutine for each, no protocol, no questions. Each processor writes to its share of the connections, one after the other.
func bare(ctx context.Context) error {
	cert, err := selfSigned()
	if err != nil {
		return err
	}
	// As the product has it: full records from the first byte on.
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, DynamicRecordSizingDisabled: true})
	if err != nil {
		return err
	}
	fmt.Println("ready", l.Addr())
	var mu sync.Mutex
	var conns []net.Conn
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				if t, ok := conn.(*tls.Conn); !ok || t.HandshakeContext(ctx) != nil {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				conns = append(conns, conn)
			}()
		}
	}()
	sending := switched(os.Stdin, os.Stdout)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	frame := framed()
	on := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now, open := <-sending:
			if !open {
				return l.Close()
			}
			on = now
			continue
		case <-tick.C:
		}
		if !on {
			continue
		}
		mu.Lock()
		var writers sync.WaitGroup
		shares := runtime.GOMAXPROCS(0)
		for i := range shares {
			writers.Go(func() {
				for j := i; j < len(conns); j += shares {
					_, _ = conns[j].Write(frame) // who hung up gets no more
				}
			})
		}
		writers.Wait()
		mu.Unlock()
	}
}

// bareReader reads what bare writes, over n connections, and counts the bytes, until ctx is done.
func bareReader(ctx context.Context, addr string, n int, ready func(), bytes *atomic.Uint64) error {
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}} // both ends are this program
	for range n {
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		all.Go(func() {
			defer stop()
			buf := make([]byte, 4<<10)
			for {
				n, err := conn.Read(buf)
				bytes.Add(uint64(n))
				if err != nil {
					return
				}
			}
		})
	}
	ready()
	<-ctx.Done()
	return nil
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
