//go:build cgo

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"sightline/internal/media"
	"sightline/internal/wire"
)

const (
	soakStarts     = 10_000
	soakReconnects = 1_000
	// soakGrowth is what a process may grow by, in MB, after the first tenth: by then all that is made once has been made, and the least thing leaked at each
	// start, a scaler or a picture, would be ten times as much.
	soakGrowth = 8
)

// soak watches the memory of the real program over many starts of renditions, and over many connections that its camera ends. The last line it prints is JSON.
func soak(ctx context.Context, program string) error {
	figures := map[string]float64{"starts": soakStarts, "reconnects": soakReconnects}
	var failed error
	for _, part := range []struct {
		name  string
		count int
		run   func(ctx context.Context, program string, after func(done int, pid int) error) error
	}{{"starts", soakStarts, soakRenditions}, {"reconnects", soakReconnects, soakConnections}} {
		began := time.Now()
		var at [3]float64 // MB at the start, after a tenth, at the end
		err := part.run(ctx, program, func(done, pid int) error {
			var which int
			switch done {
			case part.count / 100: // once all has been done that is done once
				which = 0
			case part.count / 10:
				which = 1
			case part.count:
				which = 2
			default:
				return nil
			}
			m, err := measure(pid)
			at[which] = m.resident
			fmt.Printf("%-12s %6d: %s (%.0f s)\n", part.name, done, m, time.Since(began).Seconds())
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		for i, when := range []string{"start", "tenth", "end"} {
			figures[part.name+"_"+when+"_mb"] = at[i]
		}
		if grown := at[2] - at[1]; grown > soakGrowth {
			failed = errors.Join(failed, fmt.Errorf("%s: memory grew by %.1f MB after the first tenth, at most %d are allowed", part.name, grown, soakGrowth))
		}
	}
	line, err := json.Marshal(figures)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	return failed
}

// soakRenditions starts one rendition and then the other, each of which stops the one before.
func soakRenditions(ctx context.Context, program string, after func(done, pid int) error) error {
	c, err := startChild(ctx, program, "test:?size=320x180&fps=240", "--rendition", "name=h,height=180,bitrate=500000", "--rendition", "name=l,height=96,bitrate=300000")
	if err != nil {
		return err
	}
	defer func() { _, _ = c.end() }()
	id := media.RenditionID(1)
	for done := 0; done < soakStarts; {
		b, _, err := c.next()
		if err != nil {
			return err
		}
		switch wire.Type(b[0]) {
		case wire.TypeHello:
			if err := c.want(id); err != nil {
				return err
			}
		case wire.TypeMedia:
			h, _, err := wire.ParseMedia(b)
			if err != nil {
				return err
			}
			if h.Rendition != id || h.Flags&wire.FlagKey == 0 {
				continue // the one stopped had some on the way
			}
			done++
			if err := after(done, c.cmd.Process.Pid); err != nil {
				return err
			}
			if id = 3 - id; done < soakStarts {
				if err := c.want(id); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// soakConnections has a camera end its connection after a few pictures, each second time within one, while its own coding and an encoded rendition are watched.
func soakConnections(ctx context.Context, program string, after func(done, pid int) error) error {
	picture, err := someJPEG()
	if err != nil {
		return err
	}
	var connections atomic.Int64
	camera := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := connections.Add(1)
		const boundary = "frame"
		w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary="+boundary)
		for range 3 {
			if _, err := fmt.Fprintf(w, "--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", boundary, len(picture), picture); err != nil {
				return
			}
			if http.NewResponseController(w).Flush() != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		if n%2 == 0 {
			_, _ = fmt.Fprintf(w, "--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s", boundary, len(picture), picture[:len(picture)/2])
		}
		panic(http.ErrAbortHandler)
	}))
	defer camera.Close()
	c, err := startChild(ctx, program, camera.URL+"/video.mjpg", "--log-level", "error", "--rendition", "name=source,codec=source", "--rendition", "name=h,height=240,bitrate=500000")
	if err != nil {
		return err
	}
	defer func() { _, _ = c.end() }()
	shown := map[media.RenditionID]int{}
	for done := 0; done < soakReconnects; {
		b, _, err := c.next()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
				return fmt.Errorf("the program ended after %d connections: %w", connections.Load(), err)
			}
			return err
		}
		switch wire.Type(b[0]) {
		case wire.TypeHello:
			var hello wire.PublisherHello
			if err := wire.ParseJSON(b, wire.TypeHello, &hello); err != nil {
				return err
			}
			var ids []media.RenditionID
			for _, r := range hello.Renditions {
				ids = append(ids, r.ID)
			}
			if err := c.want(ids...); err != nil {
				return err
			}
		case wire.TypeMedia:
			h, _, err := wire.ParseMedia(b)
			if err != nil {
				return err
			}
			shown[h.Rendition]++
		}
		for ; done < min(soakReconnects, int(connections.Load())-1); done++ { // the first is no reconnect
			if err := after(done+1, c.cmd.Process.Pid); err != nil {
				return err
			}
		}
	}
	for id := range media.RenditionID(2) {
		if shown[id+1] < soakReconnects {
			return fmt.Errorf("%d pictures of rendition %d came over %d connections", shown[id+1], id+1, soakReconnects)
		}
	}
	return nil
}

// someJPEG is a picture that costs a decoder something.
func someJPEG() ([]byte, error) {
	img := image.NewRGBA(image.Rect(0, 0, 640, 360))
	for y := range 360 {
		for x := range 640 {
			img.Set(x, y, color.RGBA{uint8(x * y), uint8(x + y), uint8(x ^ y), 255})
		}
	}
	var b bytes.Buffer
	err := jpeg.Encode(&b, img, nil)
	return b.Bytes(), err
}
