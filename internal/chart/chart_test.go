package chart_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"

	"sightline/internal/chart"
)

func draw(t *testing.T, charts ...chart.Chart) string {
	t.Helper()
	var b bytes.Buffer
	if err := chart.WriteSVG(&b, charts...); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(b.Bytes())); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("no XML: %v", err)
		}
	}
	return b.String()
}

func TestChart_SaysWhatItShows(t *testing.T) {
	svg := draw(t, chart.Chart{
		Title: "Viewers <and> pictures", X: "viewers", Y: "pictures a second", LogX: true,
		Lines: []chart.Line{
			{Name: "delivered", Marks: true, Points: []chart.Point{{1, 30}, {10, 30}, {2000, 21}}},
			{Name: "limit", Dashed: true, Points: []chart.Point{{1, 25}, {2000, 25}}},
		},
	})
	for _, want := range []string{"Viewers &lt;and&gt; pictures", ">viewers<", ">delivered<", ">limit<", ">1,000<", ">500<", "stroke-dasharray"} {
		if !strings.Contains(svg, want) {
			t.Errorf("there is no %q in it", want)
		}
	}
}

func TestWritePNG_IsThePictureOfTheSVG(t *testing.T) {
	c := chart.Chart{Title: "x", Lines: []chart.Line{{Name: "one", Points: []chart.Point{{0, 1}, {1, 2}}}}}
	var b bytes.Buffer
	if err := chart.WritePNG(&b, c, c); err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	// 640 by twice 230 points of 1/72 inch, at 144 dots an inch.
	if size := picture.Bounds().Size(); size != image.Pt(1280, 920) {
		t.Errorf("it has %v dots", size)
	}
	colours := map[color.Color]int{}
	for y := range 920 {
		for x := range 1280 {
			colours[picture.At(x, y)]++
		}
	}
	if n := colours[color.RGBA{0, 0x72, 0xb2, 0xff}]; n < 1000 {
		t.Errorf("%d dots have the colour of the line", n)
	}
	if err := chart.WritePNG(io.Discard); !errors.Is(err, chart.ErrEmpty) {
		t.Errorf("of no chart: error %v, want ErrEmpty", err)
	}
}

func TestChart_OfNothing(t *testing.T) {
	for _, c := range []chart.Chart{
		{}, {Lines: []chart.Line{{Points: []chart.Point{{1, math.NaN()}}}}}, {LogX: true, Lines: []chart.Line{{Points: []chart.Point{{0, 1}}}}},
	} {
		if err := chart.WriteSVG(io.Discard, c); !errors.Is(err, chart.ErrEmpty) {
			t.Errorf("%+v: error %v, want ErrEmpty", c, err)
		}
	}
}

func TestChart_OfOnePointAndOfZeroes(t *testing.T) {
	draw(t, chart.Chart{Lines: []chart.Line{{Points: []chart.Point{{3, 0}}}}})
	if svg := draw(t, chart.Chart{Lines: []chart.Line{{Points: []chart.Point{{0, 0}, {1, 0}}}}}); strings.Contains(svg, ">0.0000") || !strings.Contains(svg, ">0.8<") {
		t.Error("zeroes are not drawn from 0 to 1")
	}
}

func TestChart_ALineHasAGapWhereAPointIsMissing(t *testing.T) {
	one := draw(t, chart.Chart{Lines: []chart.Line{{Points: []chart.Point{{0, 1}, {1, 1}, {2, 1}, {3, 1}}}}})
	two := draw(t, chart.Chart{Lines: []chart.Line{{Points: []chart.Point{{0, 1}, {1, 1}, {1, math.NaN()}, {2, 1}, {3, 1}}}}})
	if a, b := strings.Count(one, "<path"), strings.Count(two, "<path"); b != a+1 {
		t.Errorf("%d paths with a gap, %d without", b, a)
	}
}

func TestChart_AFitIsDrawnInThePlaceOfTheLine(t *testing.T) {
	points := []chart.Point{{0, 1}, {1, 3}, {2, 2}, {3, 4}}
	line := draw(t, chart.Chart{Lines: []chart.Line{{Points: points, Marks: true}}})
	fit := draw(t, chart.Chart{Lines: []chart.Line{{Points: points, Fit: []chart.Point{{0, 1}, {3, 4}}}}})
	if a, b := strings.Count(line, "<path"), strings.Count(fit, "<path"); a != b || line == fit {
		t.Errorf("%d paths with the fit, %d with the line through %d dots; want as many, and others", b, a, len(points))
	}
}

func TestDistribution(t *testing.T) {
	l := chart.Distribution("x", []float64{3, 1, 2, 4})
	want := []chart.Point{{1, 25}, {2, 50}, {3, 75}, {4, 100}}
	if len(l.Points) != len(want) {
		t.Fatalf("got %v", l.Points)
	}
	for i := range want {
		if l.Points[i] != want[i] {
			t.Errorf("point %d is %v, want %v", i, l.Points[i], want[i])
		}
	}
	many := make([]float64, 10_000)
	for i := range many {
		many[i] = float64(i)
	}
	if l := chart.Distribution("x", many); l.Points[0].X != 0 || l.Points[len(l.Points)-1] != (chart.Point{X: 9999, Y: 100}) {
		t.Errorf("from %v to %v", l.Points[0], l.Points[len(l.Points)-1])
	}
}
