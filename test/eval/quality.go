//go:build unix

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sightline/internal/chart"
	"sightline/test/figures"
)

// qualityFound is what test/bench/capture found of coding, and of what viewers behind slow networks got.
type qualityFound struct {
	Points   []coded         `json:"points"`
	Received []receivedFound `json:"received"`
	LeftOut  string          `json:"left_out,omitempty"` // why there are no viewers
}

type coded struct {
	Content  string  `json:"content"`
	Codec    string  `json:"codec"`
	Preset   string  `json:"preset,omitempty"`
	AskedBps int     `json:"asked_bps"`
	Bps      float64 `json:"bps"`
	PSNR     float64 `json:"psnr_db"`
	SSIM     float64 `json:"ssim"`
	EncodeMS float64 `json:"encode_p50_ms"`
	Pictures int     `json:"pictures"`
}

type receivedFound struct {
	Network    string         `json:"network"`
	FPS        float64        `json:"fps"`
	Kbps       float64        `json:"kbps"`
	P95        float64        `json:"p95_ms"`
	Pictures   int            `json:"pictures"`
	PSNR       float64        `json:"psnr_db"`
	SSIM       float64        `json:"ssim"`
	SSIMLeast5 float64        `json:"ssim_p5"`
	Lines      map[string]int `json:"lines"`
}

// defaultPreset is the one that the capture process uses unless told otherwise.
const defaultPreset = "superfast"

func measureQuality(ctx context.Context, l *lab) (_ any, err error) {
	dir, err := os.MkdirTemp("", "sightline-eval-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	tool := filepath.Join(dir, "capture")
	if err := last(ctx, nil, nil, "go", "build", "-o", tool, "./test/bench/capture"); err != nil {
		return nil, err
	}
	var found qualityFound
	args := []string{tool, "-quality", "-seed", fmt.Sprint(l.seed)}
	if l.quick {
		args = append(args, "-few")
	}
	if err := last(ctx, &found, nil, args...); err != nil {
		return found, err
	}
	if os.Geteuid() != 0 {
		found.LeftOut = needsRoot
		return found, nil
	}
	networks := []string{"steady 300 kbit/s", "steady 1 Mbit/s"}
	if l.quick {
		networks = networks[:1]
	}
	var cases figures.Networks
	if err := last(ctx, &cases, nil, "go", "run", "./test/networks", "-only", strings.Join(networks, ","), "-video", dir); err != nil {
		return found, err
	}
	for _, c := range cases.Cases {
		r := receivedFound{Network: strings.TrimPrefix(c.Name, "steady "), FPS: c.Figures["fps"], Kbps: c.Figures["kbps"], P95: c.Figures["p95_ms"]}
		if err := last(ctx, &r, nil, tool, "-received", filepath.Join(dir, figures.FileName(c.Name)+".h264")); err != nil {
			return found, fmt.Errorf("%s: %w", c.Name, err)
		}
		found.Received = append(found.Received, r)
	}
	return found, nil
}

// codingName is how a picture was coded.
func codingName(p coded) string {
	if p.Codec == "jpeg" {
		return "MJPEG"
	}
	return "H.264 " + p.Preset
}

func tellQuality(raw json.RawMessage) (*section, error) {
	var f qualityFound
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	s := &section{Intro: "Each picture that comes out of a decoder, as a viewer's does, is compared with the very pixels that went into the encoder. PSNR is 10 log10(255² / MSE) in dB, of the mean squared error of luma over all pictures. " +
		"SSIM is the structural similarity index of Wang, Bovik, Sheikh and Simoncelli (2004), 1 for the same picture, as the mean over windows of 8 × 8 samples of luma, every 4 samples both ways, and over all pictures.\n\n" +
		"The clip is the street that comes with the program (768 × 576, 10 pictures a second), the pattern is the moving test picture (1280 × 720, 30), and the noise has a random value in each sample: no code can make noise small, " +
		"which is the limit that information theory sets; it is here to show what the encoder does when asked for what cannot be. Rates are those that came out, with those asked for beside them in the table. MJPEG codes each picture by itself and has a worst quality, below which it does not go: what is asked for below that rate gets that rate."}
	order := []string{codingName(coded{Preset: defaultPreset}), codingName(coded{Codec: "jpeg"})} // of the ways of coding, those that are used most first
	for _, p := range f.Points {
		if way := codingName(p); !slices.Contains(order, way) {
			order = append(order, way)
		}
	}
	charts := func(content string, value func(coded) float64, y, dashed string, claim float64) chart.Chart {
		c := chart.Chart{X: "kbit/s", Y: y, LogX: true}
		var least, most float64
		for _, way := range order {
			l := chart.Line{Name: way, Marks: true}
			for _, p := range f.Points {
				if p.Content == content && codingName(p) == way {
					x := p.Bps / 1000
					if least == 0 || x < least {
						least = x
					}
					most = max(most, x)
					l.Points = append(l.Points, chart.Point{X: x, Y: value(p)})
				}
			}
			slices.SortFunc(l.Points, func(a, b chart.Point) int { return cmp.Compare(a.X, b.X) })
			c.Lines = append(c.Lines, l)
		}
		c.Lines = append(c.Lines, chart.Line{Name: dashed, Dashed: true, Points: []chart.Point{{X: least, Y: claim}, {X: most, Y: claim}}})
		return c
	}
	for _, content := range []string{"clip", "pattern", "noise"} {
		if !slices.ContainsFunc(f.Points, func(p coded) bool { return p.Content == content }) {
			continue
		}
		psnr := charts(content, func(p coded) float64 { return p.PSNR }, "PSNR, dB", "claimed: 30 dB", 30)
		ssim := charts(content, func(p coded) float64 { return p.SSIM }, "SSIM", "claimed: 0.95", 0.95)
		psnr.Title, psnr.X, ssim.YMax = "The "+content, "", 1
		if content != "noise" {
			psnr.YMin, ssim.YMin = 20, 0.8
		}
		s.Blocks = append(s.Blocks, plot("quality-"+content, fmt.Sprintf("Quality against bit rate of the %s, for each of the encoder's presets and for MJPEG. The dashed lines are what was claimed.", content), psnr, ssim))
	}
	for _, p := range f.Points {
		if p.Codec == "h264" && p.Preset == defaultPreset && p.AskedBps == 2_000_000 && p.Content != "noise" {
			s.Rows = append(s.Rows, verdict{
				What: fmt.Sprintf("PSNR and SSIM of the %s at %.1f Mbit/s", p.Content, p.Bps/1e6), Got: fmt.Sprintf("%.1f dB, %.3f", p.PSNR, p.SSIM), Claim: "over 30 dB, over 0.95",
				Limit: "the bit rate: more bits, better pictures", Holds: p.PSNR > 30 && p.SSIM > 0.95,
			})
		}
	}
	t := &table{Head: []string{"what", "coding", "kbit/s asked for", "kbit/s", "PSNR", "SSIM", "encoder, median"}}
	// MJPEG behind H.264, each by its rates, as they came.
	points := slices.SortedStableFunc(slices.Values(f.Points), func(a, b coded) int {
		return cmp.Or(cmp.Compare(a.Content, b.Content), cmp.Compare(a.Codec, b.Codec))
	})
	for _, p := range points {
		if p.Codec == "jpeg" || p.Preset == defaultPreset {
			t.Rows = append(t.Rows, []string{p.Content, codingName(p), fmt.Sprintf("%d", p.AskedBps/1000), fmt.Sprintf("%.0f", p.Bps/1000), fmt.Sprintf("%.1f dB", p.PSNR), fmt.Sprintf("%.4f", p.SSIM), ms(p.EncodeMS)})
		}
	}
	s.Blocks = append(s.Blocks, text("With the preset that is used unless another is asked for:"), block{Table: t})
	if f.LeftOut != "" {
		s.Blocks = append(s.Blocks, text("What viewers behind slow networks got was left out: %s.", f.LeftOut))
		return s, nil
	}
	got := &table{Head: []string{"the viewer's network carries", "pictures a second", "kbit/s", "lines", "PSNR", "SSIM", "SSIM, worst in twenty", "latency p95"}}
	for _, r := range f.Received {
		var sizes []string
		for lines, n := range r.Lines {
			sizes = append(sizes, fmt.Sprintf("%s (%.0f %%)", lines, 100*float64(n)/float64(r.Pictures)))
		}
		slices.Sort(sizes)
		s.Rows = append(s.Rows, verdict{
			What: "PSNR and SSIM of what came over " + r.Network + ", enlarged", Got: fmt.Sprintf("%.1f dB, %.3f", r.PSNR, r.SSIM), Limit: "the link: what was claimed was on one machine",
		})
		got.Rows = append(got.Rows, []string{
			r.Network, fmt.Sprintf("%.1f", r.FPS), fmt.Sprintf("%.0f", r.Kbps), strings.Join(sizes, ", "), fmt.Sprintf("%.1f dB", r.PSNR), fmt.Sprintf("%.3f", r.SSIM), fmt.Sprintf("%.3f", r.SSIMLeast5), ms(r.P95),
		})
	}
	s.Blocks = append(s.Blocks, text("What one viewer of the test pattern really got whose network carries less than the stream: each picture that arrived, decoded, enlarged to 1280 × 720 as a screen enlarges it, and compared "+
		"with the source's own picture of that moment, which is drawn anew from the time and number that stand in it. The first five seconds, in which the network is found out, do not count."), block{Table: got})
	return s, nil
}
