//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sightline/internal/chart"
)

// latencyFound is the last line of latency.mjs.
type latencyFound struct {
	Runs     []latencyRun `json:"runs"`
	Failures []string     `json:"failures,omitempty"`
}

type latencyRun struct {
	Browser    string       `json:"browser"`
	Version    string       `json:"version"`
	Width      int          `json:"width"`
	Height     int          `json:"height"`
	Codec      string       `json:"codec"`
	Rate       float64      `json:"rate"`
	Renderer   string       `json:"renderer"`
	Decoder    string       `json:"decoder"`
	ClockError float64      `json:"clock_error_ms"`
	FPS        float64      `json:"fps"`
	Seconds    float64      `json:"seconds"`
	Pictures   [][4]float64 `json:"pictures"` // encode, network, decode, show, ms
	Seen       int          `json:"seen"`     // pictures of which the page saw the strip
	Both       [][3]float64 `json:"both"`     // of those that the player told of as well: by the header when painted, by the strip then, by the strip when first seen, ms
}

func measureLatency(ctx context.Context, l *lab) (any, error) {
	var found latencyFound
	err := script(ctx, l, "latency.mjs", &found, &found.Failures)
	return found, err
}

// The stages of a picture's way.
func stages() []string {
	return []string{"encoder", "network", "decoder", "screen"}
}

// agree is what the two readings of one picture's age may differ by, ms.
const agree = 2

func (r latencyRun) name() string {
	codec := "H.264"
	if r.Codec == "jpeg" {
		codec = "MJPEG"
	}
	return fmt.Sprintf("%s, %dp, %s", capital(r.Browser), r.Height, codec)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// stage is one stage of all pictures.
func (r latencyRun) stage(i int) []float64 {
	var list []float64
	for _, p := range r.Pictures {
		list = append(list, p[i])
	}
	return list
}

func (r latencyRun) total() []float64 {
	var list []float64
	for _, p := range r.Pictures {
		list = append(list, p[0]+p[1]+p[2]+p[3])
	}
	return list
}

// reading is one of those taken of the same pictures.
func (r latencyRun) reading(i int) []float64 {
	var list []float64
	for _, p := range r.Both {
		list = append(list, p[i])
	}
	return list
}

// quantile is 0 of nothing.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func tellLatency(raw json.RawMessage) (*section, error) {
	var f latencyFound
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	const interval = 1000.0 / rate
	s := &section{Intro: fmt.Sprintf("Real browsers without a graphics card watch a test pattern over TLS on the machine that draws, encodes, serves and decodes it. The player tells of each picture when it was captured and painted, "+
		"and how long each stage of its way took: from capture to when it left the encoder (encoder); from there to the last byte in the browser (network); from there to when it was decoded, the time in it that it waited for its turn (decoder); and from there to when it was painted (screen). "+
		"Painted is when the browser tells that it has put the picture into what goes to the screen; a panel's own time comes on top. Distributions are of single pictures, not of averages.\n\n"+
		"No program can be faster than encoder and decoder need, and a screen of 60 Hz adds what is left until its next refresh: 0 to 16.7 ms by the phase of camera and screen, which drifts slowly, so that one run may be below the mean of 8.3 ms and another above it. "+
		"At %d pictures a second a picture is then on the screen for %.1f ms, whatever its latency. Firefox tells scripts the time in whole milliseconds.\n\n"+
		"Each latency is read twice: from the capture time in the picture's header, which was mapped to the page's clock over the network (the error bound stands beside it), and from the time strip, black and white cells in the picture that carry the wall "+
		"clock of the moment it was drawn.", rate, interval)}
	t := &table{Head: []string{"browser, size, codec", "painted a second", "p50", "p95", "p99", "encoder", "network", "decoder", "screen", "painted by"}}
	both := &table{Head: []string{"browser, size, codec", "pictures read twice", "header, p50", "strip, p50", "difference, median", "95 of 100 within", "clock's error bound", "seen by the page, p50"}}
	cdf := map[string]*chart.Chart{}
	whole := map[string]int{} // lines of the whole way
	var order []string
	for _, r := range f.Runs {
		all := r.total()
		if len(all) == 0 {
			continue
		}
		row := []string{r.name(), fmt.Sprintf("%.1f", r.FPS), ms(quantile(all, 0.5)), ms(quantile(all, 0.95)), ms(quantile(all, 0.99))}
		lines := make([]chart.Line, 0, 5)
		for i, stage := range stages() {
			row = append(row, ms(quantile(r.stage(i), 0.5)))
			lines = append(lines, chart.Distribution(stage, r.stage(i)))
		}
		t.Rows = append(t.Rows, append(row, r.Renderer+", "+r.Decoder))
		key := fmt.Sprintf("%s-%d", r.Browser, r.Height)
		if cdf[key] == nil {
			cdf[key] = &chart.Chart{Title: fmt.Sprintf("Capture to paint, %s %s, %dp", capital(r.Browser), r.Version[strings.Index(r.Version, "/")+1:], r.Height), X: "ms", Y: "% of pictures", YMax: 100}
			order = append(order, key)
		}
		total := chart.Distribution(strings.TrimPrefix(r.name(), fmt.Sprintf("%s, %dp, ", capital(r.Browser), r.Height)), all)
		cdf[key].Lines = slices.Insert(cdf[key].Lines, whole[key], total) // before the stages
		whole[key]++
		cdf[key].XMax = max(cdf[key].XMax, 1.2*quantile(all, 0.99))
		if r.Codec == "h264" {
			cdf[key].Lines = append(cdf[key].Lines, lines...)
			s.Rows = append(s.Rows, verdict{
				What: "Capture to paint, " + r.name() + ": p50, p95", Got: fmt.Sprintf("%.0f ms, %.0f ms", quantile(all, 0.5), quantile(all, 0.95)), Claim: "under 200 ms",
				Limit: fmt.Sprintf("encoder and decoder, %.1f and %.1f ms here with their waits, and 0 to 16.7 ms until the next refresh", quantile(r.stage(0), 0.5), quantile(r.stage(2), 0.5)), Holds: quantile(all, 0.95) < 200,
			})
		}
		if len(r.Both) == 0 {
			both.Rows = append(both.Rows, []string{r.name(), fmt.Sprintf("0 of %d", r.Seen), "–", "–", "–", "–", ms(r.ClockError), "–"})
			continue
		}
		var apart, size []float64
		for _, p := range r.Both {
			d := p[1] - p[0]
			apart, size = append(apart, d), append(size, max(d, -d))
		}
		both.Rows = append(both.Rows, []string{
			r.name(), fmt.Sprintf("%d of %d", len(r.Both), r.Seen), ms(quantile(r.reading(0), 0.5)), ms(quantile(r.reading(1), 0.5)), fmt.Sprintf("%+.2f ms", quantile(apart, 0.5)), ms(quantile(size, 0.95)),
			ms(r.ClockError), ms(quantile(r.reading(2), 0.5)),
		})
	}
	off, twice := 0.0, 0
	for _, r := range f.Runs {
		var apart []float64
		for _, p := range r.Both {
			apart = append(apart, p[1]-p[0])
		}
		if len(apart) > 0 {
			twice++
			off = max(off, quantile(apart, 0.5), -quantile(apart, 0.5))
		}
	}
	s.Rows = append(s.Rows, verdict{What: "The two readings of latency differ by, the worst median", Got: fmt.Sprintf("%.2f ms", off), HeldTo: fmt.Sprintf("%d ms", agree), Limit: "the error of the clocks, and whole milliseconds in Firefox", Holds: twice == len(f.Runs) && twice > 0 && off <= agree})
	s.Blocks = append(s.Blocks, block{Table: t}, text("Medians of the stages need not add up to the median of the whole. `track` is a video element that the browser composes, `canvas` one that the player draws on."))
	for _, key := range order {
		s.Blocks = append(s.Blocks, plot("latency-"+key, strings.TrimPrefix(cdf[key].Title, "Capture to paint, ")+": the part of all pictures that took no longer than so long, the whole way with H.264 and with MJPEG, and the stages of H.264.", *cdf[key]))
	}
	why := "They agree: what is left is the error of the clocks, the strip's unit of 0.1 ms, and the whole milliseconds of Firefox."
	if off > agree {
		why = "They differ by more than 2 ms where the server's and the page's clocks were compared over a busy machine: the comparison takes half of a round trip as one way, and its error bound, beside it, is what it cannot know. " +
			"The strip has no such error here, since one machine has one wall clock, but it cannot be read across machines."
	}
	s.Blocks = append(s.Blocks, text("The same pictures, read both ways at the moment of painting, while the page looks at its own pixels at each refresh, which costs it time. %s "+
		"The last column is the strip as the page first sees it in its own pixels, at the beginning of a refresh after the paint; the more the machine has to do, the later.", why), block{Table: both})
	return s, nil
}
