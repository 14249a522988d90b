// Package chart draws lines over numbers as SVG and PNG. It knows nothing of what they mean; it is pure and starts no goroutines.
package chart

import (
	"bytes"
	"errors"
	"image/color"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Point is one of a line's.
type Point struct{ X, Y float64 }

// Line is drawn through its points, in their order. A point that is not finite leaves a gap.
type Line struct {
	Name   string // in the legend; empty: in none
	Points []Point
	Marks  bool    // with a dot at each point
	Dashed bool    // for limits and other people's figures
	Steps  bool    // each value holds until the next
	Fit    []Point // the line that is drawn instead; Points are dots
}

// Chart is lines over one pair of axes. X and Y begin at 0 unless something is below it.
type Chart struct {
	Title  string
	X, Y   string // what the axes say, with the unit
	LogX   bool   // for X above 0 alone
	Lines  []Line
	YMin   float64 // where Y begins, if not at 0
	YMax   float64 // where Y ends; 0: with the largest value
	XMax   float64 // where X ends; 0: with the largest value
	Height float64 // in points; 0: 230. The tallest of several says for all
}

// ErrEmpty says that there is nothing to draw.
var ErrEmpty = errors.New("a chart without a point")

const (
	width         = 640 // points
	defaultHeight = 230
	fontSize      = 10
)

// colours are those of Okabe and Ito, which people with any kind of colour blindness tell apart, the darker ones first.
func colours() []color.Color {
	var list []color.Color
	for _, rgb := range []uint32{0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0xe69f00, 0x56b4e9} {
		list = append(list, shade(rgb))
	}
	return list
}

func ink() color.Color  { return shade(0x333b46) }
func rule() color.Color { return shade(0xe3e7ec) }

func shade(rgb uint32) color.Color {
	return color.NRGBA{R: uint8(rgb >> 16), G: uint8(rgb >> 8), B: uint8(rgb), A: 0xff}
}

// WriteSVG draws charts one below the other, with their axes in line and the same X. The error is ErrEmpty if there are none, or one has no line with
// a finite point.
func WriteSVG(w io.Writer, charts ...Chart) error {
	var canvas *vgsvg.Canvas
	err := paint(charts, func(height vg.Length) vg.CanvasSizer {
		canvas = vgsvg.New(width, height)
		return canvas
	})
	if err != nil {
		return err
	}
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return err
	}
	_, err = w.Write(bytes.ReplaceAll(svg.Bytes(), []byte("font-family:"+family), []byte("font-family:"+family+",Arial,Helvetica,sans-serif")))
	return err
}

// dotsPerInch makes a PNG sharp on screens of twice the usual density.
const dotsPerInch = 144

// WritePNG draws charts as WriteSVG does, as a picture.
func WritePNG(w io.Writer, charts ...Chart) error {
	var canvas *vgimg.Canvas
	err := paint(charts, func(height vg.Length) vg.CanvasSizer {
		canvas = vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(dotsPerInch))
		return canvas
	})
	if err != nil {
		return err
	}
	_, err = vgimg.PngCanvas{Canvas: canvas}.WriteTo(w)
	return err
}

// paint draws charts upon a canvas of the height that they need.
func paint(charts []Chart, canvas func(height vg.Length) vg.CanvasSizer) error {
	tall := vg.Length(0)
	var plots [][]*plot.Plot
	var legends []plot.Legend
	for _, c := range charts {
		p, legend, err := c.plot()
		if err != nil {
			return err
		}
		plots, legends = append(plots, []*plot.Plot{p}), append(legends, legend)
		tall = max(tall, vg.Length(c.Height))
	}
	if len(charts) == 0 {
		return ErrEmpty
	}
	if tall == 0 {
		tall = defaultHeight
	}
	for i, row := range plots { // one X for all
		row[0].X.Min, row[0].X.Max = min(row[0].X.Min, plots[0][0].X.Min), max(row[0].X.Max, plots[0][0].X.Max)
		for _, other := range plots[:i] {
			other[0].X.Min, other[0].X.Max = row[0].X.Min, row[0].X.Max
		}
	}
	whole := draw.New(canvas(tall * vg.Length(len(charts))))
	aside := vg.Length(0)
	for _, l := range legends {
		if wide := l.Rectangle(whole).Size().X; wide > 0 {
			aside = max(aside, wide*1.15+12) // a font of another width may stand in
		}
	}
	tiles := draw.Tiles{Rows: len(charts), Cols: 1, PadY: 8}
	for i, row := range plot.Align(plots, tiles, draw.Crop(whole, 2, -aside-8, 2, -2)) {
		plots[i][0].Draw(row[0])
		beside := row[0]
		beside.Min.X, beside.Max.X = whole.Max.X-aside+6, whole.Max.X
		if charts[i].Title != "" {
			beside.Max.Y -= fontSize + 16
		}
		legends[i].Draw(beside)
	}
	return nil
}

// plot is the chart and its legend, which stands beside it.
func (c Chart) plot() (*plot.Plot, plot.Legend, error) {
	p := plot.New()
	c.style(p)
	legend := plot.NewLegend()
	legend.TextStyle.Font, legend.TextStyle.Color = letters(fontSize), ink()
	legend.Top, legend.Left, legend.YPosition = true, true, -0.3
	legend.ThumbnailWidth, legend.Padding = 14, 4
	most, drawn, number := 0.0, false, 0
	for _, l := range c.Lines {
		hue := colours()[number%len(colours())]
		if l.Dashed {
			hue = ink()
		} else {
			number++
		}
		dots := parts(l.Points, c.LogX)
		lines := dots
		if l.Fit != nil {
			lines = parts(l.Fit, c.LogX)
		}
		var thumbs []plot.Thumbnailer
		for _, part := range slices.Concat(dots, lines) {
			for _, xy := range part {
				most = max(most, xy.Y)
			}
		}
		for _, part := range lines {
			line := &plotter.Line{XYs: part, LineStyle: draw.LineStyle{Color: hue, Width: 1.6}}
			if l.Steps {
				line.StepStyle = plotter.PostStep
			}
			if l.Dashed {
				line.Width, line.Dashes = 1, []vg.Length{4, 3}
			}
			p.Add(line)
			thumbs = []plot.Thumbnailer{line}
		}
		for i, part := range dots {
			drawn = true
			if l.Marks || l.Fit != nil {
				marks := &plotter.Scatter{XYs: part, GlyphStyle: draw.GlyphStyle{Color: hue, Radius: 2.4, Shape: draw.CircleGlyph{}}}
				p.Add(marks)
				if i == 0 {
					thumbs = append(thumbs, marks)
				}
			}
		}
		if l.Name != "" && thumbs != nil {
			legend.Add(l.Name, thumbs...)
		}
	}
	if !drawn {
		return nil, legend, ErrEmpty
	}
	p.Y.Min = min(p.Y.Min, 0)
	if !c.LogX {
		p.X.Min = min(p.X.Min, 0)
	}
	if c.YMin != 0 {
		p.Y.Min = c.YMin
	}
	p.Y.Max = most * 1.05
	if p.Y.Max <= p.Y.Min { // of zeroes alone
		p.Y.Max = p.Y.Min + 1
	}
	if c.YMax != 0 {
		p.Y.Max = c.YMax
	}
	if c.XMax != 0 {
		p.X.Max = c.XMax
	}
	if p.X.Max <= p.X.Min { // one point
		p.X.Max = p.X.Min + 1
	}
	return p, legend, nil
}

// family is the font that texts are measured with. An SVG only names it; Arial and Helvetica are as wide.
const family = "Liberation Sans"

// letters is that font.
func letters(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

// style sets what all charts share.
func (c Chart) style(p *plot.Plot) {
	p.BackgroundColor = color.White
	p.Title.Text, p.Title.Padding = c.Title, 8
	p.Title.TextStyle.Font, p.Title.TextStyle.Color = letters(fontSize+2), ink()
	for axis, label := range map[*plot.Axis]string{&p.X: c.X, &p.Y: c.Y} {
		axis.Label.Text, axis.Padding = label, 0
		axis.Label.TextStyle.Font, axis.Label.TextStyle.Color = letters(fontSize), ink()
		axis.Tick.Label.Font, axis.Tick.Label.Color = letters(fontSize-1), ink()
		axis.Color, axis.Tick.Color, axis.Tick.Length = rule(), rule(), 3
		axis.Tick.Marker = plot.TickerFunc(ticks)
	}
	if c.LogX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
	}
	grid := plotter.NewGrid()
	grid.Horizontal = draw.LineStyle{Color: rule(), Width: 0.7}
	grid.Vertical = grid.Horizontal
	p.Add(grid)
}

// ticks are some six round numbers from least to most.
func ticks(least, most float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10((most-least)/5)))
	for _, k := range []float64{1, 2, 5, 10} {
		if (most-least)/(step*k) <= 6 {
			step *= k
			break
		}
	}
	var list []plot.Tick
	for i := math.Ceil(least/step - 1e-9); i*step <= most+step*1e-9; i++ {
		list = append(list, tick(i*step))
	}
	return list
}

// logTicks are 1, 2 and 5 and their decades.
func logTicks(least, most float64) []plot.Tick {
	var list []plot.Tick
	for decade := math.Pow(10, math.Floor(math.Log10(least))); decade <= most; decade *= 10 {
		for _, k := range []float64{1, 2, 5} {
			if v := k * decade; v >= least*0.999 && v <= most*1.001 {
				list = append(list, tick(v))
			}
		}
	}
	return list
}

func tick(v float64) plot.Tick {
	// + 0: -0 is 0.
	text := strconv.FormatFloat(math.Round(v*1e9)/1e9+0, 'f', -1, 64)
	for i := len(text) - 3; i > 0 && !strings.ContainsAny(text, ".-"); i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return plot.Tick{Value: v, Label: text}
}

// parts are the pieces of a line through points, between its gaps.
func parts(points []Point, positive bool) []plotter.XYs {
	var all []plotter.XYs
	var part plotter.XYs
	for _, p := range points {
		bad := math.IsNaN(p.X+p.Y) || math.IsInf(p.X, 0) || math.IsInf(p.Y, 0) || positive && p.X <= 0
		if !bad {
			part = append(part, plotter.XY(p))
		} else if len(part) > 0 {
			all, part = append(all, part), nil
		}
	}
	if len(part) > 0 {
		all = append(all, part)
	}
	return all
}

// Distribution is the line of a distribution: for each value what part of all, in percent, is no larger. It sorts values.
func Distribution(name string, values []float64) Line {
	slices.Sort(values)
	l := Line{Name: name}
	const most = 400 // points: more than a screen shows
	n := len(values)
	for i := range min(n, most) {
		k := n - 1
		if i < most-1 {
			k = i * n / min(n, most)
		}
		l.Points = append(l.Points, Point{values[k], 100 * float64(k+1) / float64(n)})
	}
	return l
}
