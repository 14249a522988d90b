//go:build cgo

// Command capture measures sightline-capture: the delay it adds, what it costs beside the ffmpeg program and while nobody watches, and how good its pictures
// are. It needs bin/sightline-capture, ffmpeg, and for the camera python3-gi with GStreamer's RTSP server. The last line is JSON.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"slices"
	"time"
)

// limits are what the figures must keep to on a machine that has nothing else to do.
func limits() []limit {
	return []limit{
		{"encode_p50_ms", 8, false},
		{"encode_p95_ms", 15, false},
		{"passthrough_p50_ms", 1, false},
		{"cpu_vs_ffmpeg", 1.15, false},
		{"idle_core_percent", 1, false},
		{"ssim_1mbit", 0.975, true},
		{"psnr_1mbit", 40, true},
		{"rss_1080_mb", 120, false},
		{"rendition_start_p95_ms", 300, false},
		{"rendition_stop_p95_ms", 300, false},
	}
}

type limit struct {
	name  string
	value float64
	least bool // and not at most
}

func (l limit) holds(v float64) bool {
	if l.least {
		return v >= l.value
	}
	return v <= l.value
}

func main() {
	program := flag.String("program", "bin/sightline-capture", "the program to measure")
	clip := flag.String("clip", "internal/demo/street.mp4", "real footage: H.264 without B pictures")
	camera := flag.String("camera", "test/e2e/lib/rtsp-camera.py", "the RTSP camera")
	presets := flag.Bool("presets", false, "print the table of quality against bitrate for each preset, and nothing else")
	memory := flag.String("memory", "", "print the memory that a source of at least 1080 lines takes with three renditions, such as rtsp://camera.lan/stream, and nothing else")
	soaking := flag.Bool("soak", false, "watch the memory over many starts of renditions and many connections to a camera, and nothing else; the last line is JSON")
	points := flag.Bool("quality", false, "tell PSNR and SSIM against bit rate of the clip, the test pattern and noise, for each preset and codec, and nothing else; the last line is JSON")
	few := flag.Bool("few", false, "with -quality: less of everything")
	seed := flag.Uint64("seed", 1, "with -quality: of the noise")
	got := flag.String("received", "", "tell how good the pictures of the test pattern, 1280 by 720, are that a viewer got in this file of H.264, and nothing else; the last line is JSON")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *presets {
		if err := presetTable(ctx, *clip, os.Stdout); err != nil {
			fatal(err)
		}
		return
	}
	if *points {
		if err := qualityPoints(ctx, *clip, *few, *seed, os.Stdout); err != nil {
			fatal(err)
		}
		return
	}
	if *got != "" {
		if err := received(ctx, *got, 1280, 720, os.Stdout); err != nil {
			fatal(err)
		}
		return
	}
	if *memory != "" {
		m, err := memoryOf(ctx, *program, *memory)
		if err != nil {
			fatal(err)
		}
		fmt.Println(m)
		return
	}
	if *soaking {
		if err := soak(ctx, *program); err != nil {
			fatal(err)
		}
		return
	}
	b := bench{program: *program, clip: *clip, camera: *camera, figures: map[string]float64{}}
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"delay of encoding", b.encodeDelay},
		{"delay of passing on", b.passDelay},
		{"processor beside ffmpeg", b.besideFFmpeg},
		{"processor unwatched", b.idle},
		{"starts of renditions", b.starts},
		{"memory", b.memory},
		{"quality", b.quality},
	} {
		began := time.Now()
		if err := part.run(ctx); err != nil {
			fatal(fmt.Errorf("%s: %w", part.name, err))
		}
		fmt.Printf("%-25s %.1f s\n", part.name, time.Since(began).Seconds())
	}
	for _, l := range limits() {
		verdict := "ok"
		if !l.holds(b.figures[l.name]) {
			verdict = "MISSED"
		}
		fmt.Printf("%-22s %8.3f  limit %g  %s\n", l.name, b.figures[l.name], l.value, verdict)
	}
	line, err := json.Marshal(b.figures)
	if err != nil {
		fatal(err)
	}
	fmt.Println(string(line))
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

type bench struct {
	program, clip, camera string
	figures               map[string]float64
}

// set keeps a figure to three decimals.
func (b *bench) set(name string, v float64) { b.figures[name] = math.Round(v*1000) / 1000 }

func quantile(d []time.Duration, percent int) float64 {
	slices.Sort(d)
	return float64(d[(len(d)-1)*percent/100]) / float64(time.Millisecond)
}
