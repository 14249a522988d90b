//go:build cgo

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/pipe"
	"sightline/internal/wire"
)

const (
	warmUp  = 20 // access units that are not measured: caches, and the rate control's first steps
	rate    = "2500000"
	rtspKey = "bench"
)

// child is a running capture process and the server's end of its connection.
type child struct {
	cmd   *exec.Cmd
	conn  transport.Conn
	epoch media.Epoch
}

// startChild runs the program as the server does. The source goes by the environment.
func startChild(ctx context.Context, program, source string, args ...string) (*child, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	conn, err := net.FileConn(ours)
	_ = ours.Close() // conn is a copy
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"--publish", "fd:3", "--log-level", "warn"}, args...)...)
	cmd.Env = append(os.Environ(), "SIGHTLINE_SOURCE="+source)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return nil, fmt.Errorf("start %s (build it with \"make build\"): %w", program, err)
	}
	return &child{cmd: cmd, conn: pipe.New(conn, wire.MaxMessageLen), epoch: media.NewEpoch()}, nil
}

// next waits for a message that is no request for the time, and gives it with when it came. It answers those requests.
func (c *child) next() ([]byte, media.Timestamp, error) {
	for {
		b, err := c.conn.ReadMessage()
		now := c.epoch.Now()
		if err != nil || wire.Type(b[0]) != wire.TypeTimeReq {
			return b, now, err
		}
		r, err := wire.ParseTimeReq(b)
		if err != nil {
			return nil, 0, err
		}
		if err := c.conn.WriteMessage(wire.AppendTimeResp(nil, wire.TimeResp{ID: r.ID, T1: r.T1, T2: now, T3: c.epoch.Now()})); err != nil {
			return nil, 0, err
		}
	}
}

// want asks for these renditions and no others.
func (c *child) want(ids ...media.RenditionID) error {
	w := wire.Want{Renditions: []wire.WantedRendition{}}
	for _, id := range ids {
		w.Renditions = append(w.Renditions, wire.WantedRendition{ID: id})
	}
	return c.conn.WriteMessage(wire.AppendJSON(nil, wire.TypeWant, w))
}

// end closes the connection, upon which the process ends, and gives the processor time it took.
func (c *child) end() (time.Duration, error) {
	_ = c.conn.Close(transport.CodeNormal, "")
	if err := c.cmd.Wait(); err != nil {
		return 0, err
	}
	return c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime(), nil
}

// watch wants renditions until the time is over or it has count access units, and gives how long after capture each was here whole.
func (c *child) watch(ids []media.RenditionID, count int, until time.Time) ([]time.Duration, error) {
	var ages []time.Duration
	for (count == 0 || len(ages) < count) && time.Now().Before(until) {
		b, now, err := c.next()
		if err != nil {
			return nil, err
		}
		switch wire.Type(b[0]) {
		case wire.TypeHello:
			if err := c.want(ids...); err != nil {
				return nil, err
			}
		case wire.TypeMedia:
			h, _, err := wire.ParseMedia(b)
			if err != nil {
				return nil, err
			}
			if h.ChunkIndex+1 == h.ChunkCount {
				ages = append(ages, now.Sub(h.Capture))
			}
		}
	}
	return ages, nil
}

func encoded() []string {
	return []string{"--rendition", "name=720p,codec=h264,height=720,fps=30,preset=superfast,bitrate=" + rate}
}

// encodeDelay is from the moment a 720p picture is drawn to the last byte of its access unit in the server's hands.
func (b *bench) encodeDelay(ctx context.Context) error {
	ages, err := b.delays(ctx, "test:?size=1280x720&fps=30", 250, encoded()...)
	if err != nil {
		return err
	}
	b.set("encode_p50_ms", quantile(ages, 50))
	b.set("encode_p95_ms", quantile(ages, 95))
	return nil
}

// passDelay is the same for a source's own access units, from their arrival.
func (b *bench) passDelay(ctx context.Context) error {
	ages, err := b.delays(ctx, "file:"+b.clip, 60, "--rendition", "name=source,codec=source")
	if err != nil {
		return err
	}
	b.set("passthrough_p50_ms", quantile(ages, 50))
	return nil
}

func (b *bench) delays(ctx context.Context, source string, count int, args ...string) ([]time.Duration, error) {
	c, err := startChild(ctx, b.program, source, args...)
	if err != nil {
		return nil, err
	}
	ages, err := c.watch([]media.RenditionID{1}, count, time.Now().Add(30*time.Second))
	if _, endErr := c.end(); err == nil {
		err = endErr
	}
	if err == nil && len(ages) < count {
		err = fmt.Errorf("%d of %d access units came", len(ages), count)
	}
	if err != nil {
		return nil, err
	}
	return ages[min(warmUp, count/2):], nil
}

// besideFFmpeg encodes a 1080p30 file at its own pace to 720p, with the same settings in both programs at the same time, so that what else this machine
// does meets both.
func (b *bench) besideFFmpeg(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "sightline-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	const seconds = 6
	file := dir + "/1080p30.mp4"
	if err := ffmpeg(ctx, nil, "-t", strconv.Itoa(seconds+2), "-i", b.clip, "-vf", "scale=1920:1080,minterpolate=fps=30:mi_mode=dup", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "6M",
		"-bf", "0", file); err != nil {
		return err
	}
	c, err := startChild(ctx, b.program, "file:"+file, encoded()...)
	if err != nil {
		return err
	}
	var theirs time.Duration
	done := make(chan error, 1)
	go func() {
		done <- ffmpeg(ctx, &theirs, "-re", "-i", file, "-t", strconv.Itoa(seconds), "-vf", "scale=1280:720:flags=bilinear", "-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency",
			"-threads", "2", "-bf", "0", "-g", "300", "-sc_threshold", "0", "-b:v", rate, "-maxrate", rate, "-bufsize", "250000", "-f", "h264", "/dev/null")
	}()
	ages, err := c.watch([]media.RenditionID{1}, seconds*30, time.Now().Add(3*seconds*time.Second))
	ours, endErr := c.end()
	if err := errors.Join(err, endErr, <-done); err != nil {
		return err
	}
	fmt.Printf("  %d pictures: %.2f ms of processor each, ffmpeg %.2f\n", len(ages), ours.Seconds()*1000/float64(len(ages)), theirs.Seconds()*1000/(seconds*30))
	b.set("cpu_vs_ffmpeg", ours.Seconds()/float64(len(ages))/(theirs.Seconds()/(seconds*30)))
	return nil
}

// ffmpeg runs the program and puts the processor time it took into used.
func ffmpeg(ctx context.Context, used *time.Duration, args ...string) error {
	cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("ffmpeg: %w", err)
	}
	if used != nil {
		*used = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return nil
}

// idle is what an RTSP camera costs that nobody watches. The GStreamer bindings belong to the system's own Python.
func (b *bench) idle(ctx context.Context) error {
	camera := exec.CommandContext(ctx, "/usr/bin/python3", b.camera, b.clip, "0", "viewer", rtspKey)
	camera.Stderr = os.Stderr
	out, err := camera.StdoutPipe()
	if err != nil {
		return err
	}
	if err := camera.Start(); err != nil {
		return err
	}
	defer func() { _ = camera.Process.Kill(); _ = camera.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	port, ready := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err != nil || !ready {
		return fmt.Errorf("the RTSP camera does not start; install what scripts/setup test installs: %w", err)
	}
	c, err := startChild(ctx, b.program, "rtsp://viewer:"+rtspKey+"@127.0.0.1:"+port+"/street")
	if err != nil {
		return err
	}
	defer func() { _, _ = c.end() }()
	if _, err := c.watch(nil, 0, time.Now().Add(3*time.Second)); err != nil {
		return err
	}
	before, began := processor(c.cmd.Process.Pid), time.Now()
	if _, err := c.watch(nil, 0, began.Add(4*time.Second)); err != nil {
		return err
	}
	b.set("idle_core_percent", 100*(processor(c.cmd.Process.Pid)-before).Seconds()/time.Since(began).Seconds())
	return nil
}

// processor is the time that a running process has used, to the nanosecond; schedstat's first number is of one thread.
func processor(pid int) (sum time.Duration) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0
	}
	for _, t := range tasks {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, t.Name()))
		if err != nil {
			continue // ended meanwhile
		}
		var ns int64
		if _, err := fmt.Sscan(string(b), &ns); err == nil {
			sum += time.Duration(ns)
		}
	}
	return sum
}
