//go:build unix

// Command admission measures what it costs to let viewers in: how much of the time to the first picture is spent on who they are and on
// the record of it, and how many new viewers a second are let in. Each is a viewer of its own: a TCP connection and TLS handshake
// without resumption, a token, a record on disk, a WebSocket, HELLO, and the first answer. It runs beside the server and shares the
// machine's processors with it: the figures say what each took. It waits for every goroutine it started.
//
// The last line is the figures as JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"sightline/internal/wire"
	"sightline/test/site"
)

// figures are what is printed. Times are milliseconds; processor time is that of one admission.
type figures struct {
	Processors int `json:"processors"`

	// To the first picture of a stream that runs, with the record on disk and in memory (/dev/shm), taken in turns.
	FirstPictures      int     `json:"first_pictures"`
	FirstPictureDisk   float64 `json:"first_picture_disk_p50_ms"`
	FirstPictureMemory float64 `json:"first_picture_memory_p50_ms"`
	// What is done for each viewer for the sake of leave and record, by itself: the token's check and the durable record.
	VerifyP50 float64 `json:"verify_p50_ms"`
	RecordP50 float64 `json:"record_p50_ms"`
	RecordP95 float64 `json:"record_p95_ms"`
	LeaveP50  float64 `json:"verify_and_record_p50_ms"`

	Asked        float64 `json:"asked_per_s"` // how many new viewers a second came
	Seconds      float64 `json:"seconds"`     // until the last of them was let in
	Admitted     int     `json:"admitted"`
	AdmittedRate float64 `json:"admitted_per_s"`
	Failed       int     `json:"failed"`
	Recorded     int     `json:"recorded"` // grants in the record: as many as were admitted
	P50          float64 `json:"admission_p50_ms"`
	P95          float64 `json:"admission_p95_ms"`
	P99          float64 `json:"admission_p99_ms"`
	ServerCPU    float64 `json:"server_cpu_ms"`
	OwnCPU       float64 `json:"generator_cpu_ms"`
}

func main() {
	rate := flag.Float64("rate", 500, "new viewers a second")
	duration := flag.Duration("duration", 10*time.Second, "for how long they come")
	pictures := flag.Int("pictures", 100, "first pictures of each kind")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, *rate, *duration, *pictures)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "admission:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, rate float64, duration time.Duration, pictures int) error {
	if rate <= 0 || duration <= 0 || pictures < 1 {
		return errors.New("want a rate, some time and at least one picture")
	}
	f := figures{Processors: runtime.GOMAXPROCS(0), FirstPictures: pictures}
	if err := f.leave(ctx); err != nil {
		return err
	}
	if err := f.firstPictures(ctx, pictures); err != nil {
		return err
	}
	if err := f.crowd(ctx, rate, duration); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(f)
}

// serve runs a server with a configuration, gives it to use, and ends it. The server's processor time is known when serve returns.
func serve(ctx context.Context, config string, use func(*site.Server) error) (*site.Server, error) {
	server, err := site.Start(ctx, site.Options{Config: config, Args: []string{"--log-level", "error"}})
	if err != nil {
		return nil, err
	}
	err = use(server)
	return server, errors.Join(err, server.Stop())
}

// visitor opens viewers.
type visitor struct {
	url    string
	header http.Header
	dialer websocket.Dialer
}

func newVisitor(ctx context.Context, server *site.Server, stream string) (*visitor, error) {
	token, err := server.Token(ctx, stream, "view")
	if err != nil {
		return nil, err
	}
	tlsConfig := server.TLS()
	tlsConfig.SessionTicketsDisabled = true
	return &visitor{
		url: "wss://" + server.Host() + "/ws/watch/" + stream, header: http.Header{"Authorization": {"Bearer " + token}},
		dialer: websocket.Dialer{TLSClientConfig: tlsConfig, Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: 10 * time.Second},
	}, nil
}

// visit comes from the given address, waits for the first message of a type, and gives how long that took and the connection.
func (v *visitor) visit(ctx context.Context, from net.IP, want wire.Type) (time.Duration, *websocket.Conn, error) {
	began := time.Now()
	dialer := v.dialer
	dialer.NetDialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}).DialContext
	conn, resp, err := dialer.DialContext(ctx, v.url, v.header)
	if err != nil {
		if resp != nil {
			_ = resp.Body.Close()
			err = fmt.Errorf("%w: %s", err, resp.Status)
		}
		return 0, nil, err
	}
	hello := wire.AppendJSON(nil, wire.TypeHello, wire.ViewerHello{Player: "sightline-bench/1", Codecs: []string{"h264", "jpeg"}})
	if err := conn.WriteMessage(websocket.BinaryMessage, hello); err != nil {
		return 0, nil, errors.Join(err, conn.Close())
	}
	for {
		_, b, err := conn.ReadMessage()
		if err != nil {
			return 0, nil, errors.Join(err, conn.Close())
		}
		if wire.Type(b[0]) != want {
			continue
		}
		if want == wire.TypeMedia {
			if h, _, err := wire.ParseMedia(b); err != nil || h.ChunkIndex+1 < h.ChunkCount {
				continue // the picture is not whole
			}
		}
		return time.Since(began), conn, nil
	}
}

// firstPictures compares the time to the first picture of two servers that differ in where the record is.
func (f *figures) firstPictures(ctx context.Context, n int) error {
	memory, err := os.MkdirTemp("/dev/shm", "sightline-bench-")
	if err != nil {
		return fmt.Errorf("a record in memory: %w", err)
	}
	defer func() { _ = os.RemoveAll(memory) }()
	const streams = "streams: {test: {source: \"test:?size=640x360&fps=30\", renditions: [{name: jpeg, codec: jpeg, height: 360, fps: 30}]}}\n"
	var took [2][]float64
	_, err = serve(ctx, streams, func(disk *site.Server) error {
		_, err := serve(ctx, fmt.Sprintf("audit: {path: %s/audit.jsonl}\n", memory)+streams, func(shm *site.Server) error {
			var visitors [2]*visitor
			for i, server := range []*site.Server{disk, shm} {
				v, err := newVisitor(ctx, server, "test")
				if err != nil {
					return err
				}
				visitors[i] = v
				_, staying, err := v.visit(ctx, net.IPv4(127, 0, 0, 1), wire.TypeMedia) // it keeps the encoder running
				if err != nil {
					return err
				}
				var reading sync.WaitGroup
				reading.Go(func() { stay(staying) })
				defer reading.Wait()
				defer func() { _ = staying.Close() }()
			}
			for k := range 2 * n {
				d, conn, err := visitors[k%2].visit(ctx, net.IPv4(127, 0, 0, 1), wire.TypeMedia)
				if err != nil {
					return err
				}
				_ = conn.Close()
				took[k%2] = append(took[k%2], milliseconds(d))
			}
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	f.FirstPictureDisk, f.FirstPictureMemory = quantile(took[0], 0.5), quantile(took[1], 0.5)
	return nil
}

// stay reads until the connection ends, and answers as a player would: it acknowledges what comes.
func stay(conn *websocket.Conn) {
	received := uint32(0)
	for {
		_, b, err := conn.ReadMessage()
		if err != nil {
			return
		}
		received += uint32(len(b))
		if h, _, err := wire.ParseMedia(b); err == nil && h.ChunkIndex+1 == h.ChunkCount {
			ack := wire.AppendFeedback(nil, wire.Feedback{Rendition: h.Rendition, Seq: h.Seq, Received: received, Arrival: h.Capture})
			if conn.WriteMessage(websocket.BinaryMessage, ack) != nil {
				return
			}
		}
	}
}

// crowd has new viewers come at a rate, whatever becomes of those before them.
func (f *figures) crowd(ctx context.Context, rate float64, duration time.Duration) error {
	var own time.Duration
	config := "limits: {viewers: 100000, viewers-per-stream: 100000}\nstreams: {gate: {publish: true}}\n"
	f.Asked = rate
	var took []float64
	server, err := serve(ctx, config, func(server *site.Server) error {
		v, err := newVisitor(ctx, server, "gate")
		if err != nil {
			return err
		}
		before := processorTime()
		began := time.Now()
		took, f.Failed, err = v.crowd(ctx, rate, duration)
		f.Seconds = time.Since(began).Seconds()
		own = processorTime() - before
		if err != nil {
			return err
		}
		f.Recorded, err = grants(filepath.Join(server.DataDir(), "audit.jsonl"))
		return err
	})
	if err != nil {
		return err
	}
	f.Admitted = len(took)
	if f.Admitted == 0 {
		return errors.New("nobody was let in")
	}
	f.AdmittedRate = float64(f.Admitted) / f.Seconds
	f.P50, f.P95, f.P99 = quantile(took, 0.5), quantile(took, 0.95), quantile(took, 0.99)
	f.ServerCPU, f.OwnCPU = milliseconds(server.CPU())/float64(f.Admitted), milliseconds(own)/float64(f.Admitted)
	return nil
}

func (v *visitor) crowd(ctx context.Context, rate float64, duration time.Duration) (took []float64, failed int, err error) {
	var mu sync.Mutex
	var first error
	var visitors sync.WaitGroup
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	began := time.Now()
	for n := 0; time.Since(began) < duration; {
		for ; float64(n) < rate*time.Since(began).Seconds(); n++ {
			from := net.IPv4(127, 0, byte(n/250%250), byte(1+n%250)) // each from an address of their own, for a while
			visitors.Go(func() {
				d, conn, err := v.visit(ctx, from, wire.TypeStatus)
				if err == nil {
					_ = conn.Close()
				}
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed++
					first = errors.Join(first, err)
					return
				}
				took = append(took, milliseconds(d))
			})
		}
		select {
		case <-ctx.Done():
			visitors.Wait()
			return nil, 0, ctx.Err()
		case <-ticker.C:
		}
	}
	visitors.Wait()
	if failed > 0 {
		message, _, _ := strings.Cut(first.Error(), "\n")
		fmt.Fprintf(os.Stderr, "admission: %d were not let in, the first: %s\n", failed, message)
	}
	return took, failed, nil
}

// grants counts those to watch in the record.
func grants(path string) (n int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.Contains(lines.Text(), `"event":"watch","verdict":"granted"`) {
			n++
		}
	}
	return n, file.Close()
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
