package capture

import (
	"fmt"
	"math"
	"time"

	"sightline/internal/timestrip"
)

// The smallest test pattern that has room for its parts.
const (
	minTestWidth  = 320
	minTestHeight = 180
)

// landscape is how wide the panning background is before it repeats, in pixels.
const landscape = 1024

// pattern draws the test picture: under the time strip a panning landscape with fine detail, a still panel with bars and a zone plate, textured
// tiles that wander about, a running gradient, and the time and frame number in words. All that moves is copied from
// textures made once, so that a picture costs little more than its memory's bandwidth, and yet gives an encoder honest work.
type pattern struct {
	w, h  int
	tag   uint8
	back  [3]texture
	panel [3]texture
	tiles []tile
	glyph int // size of a font's dot in pixels
}

// texture is a plane of pixels.
type texture struct {
	pix  []byte
	w, h int
}

// tile is a textured square that moves on a Lissajous figure.
type tile struct {
	planes         [3]texture
	fx, fy, px, py float64
}

func newPattern(w, h int, tag uint8) *pattern {
	p := &pattern{w: w, h: h, tag: tag, glyph: max(1, h/180)}
	seed := uint32(tag)*7919 + 1
	p.back[0] = noise(landscape, h, 40, 200, seed)
	p.back[1] = noise(landscape/2, h/2, 96, 160, seed+1)
	p.back[2] = noise(landscape/2, h/2, 96, 160, seed+2)
	side := (h / 4) &^ 1
	p.panel[0] = zonePlate(side)
	p.panel[1], p.panel[2] = flat(side/2, 128), flat(side/2, 128)
	size := (h / 6) &^ 1
	for i := range 6 {
		t := tile{fx: 0.31 + 0.07*float64(i), fy: 0.43 + 0.05*float64(i), px: float64(i), py: 2 * float64(i)}
		t.planes[0] = noise(size, size, 30+10*byte(i), 225, seed+uint32(10+i))
		t.planes[1] = flat(size/2, byte(70+20*i))
		t.planes[2] = flat(size/2, byte(190-20*i))
		p.tiles = append(p.tiles, t)
	}
	return p
}

// draw paints picture number n, as taken at t, onto img.
func (p *pattern) draw(img Canvas, n int64, t time.Time) {
	pan := int(n*2%landscape) &^ 1
	for i := range p.back {
		pix, stride := img.Plane(i)
		w, h, x := p.plane(i, p.w), p.plane(i, p.h), p.plane(i, pan)
		for y := range h {
			row := p.back[i].pix[y*p.back[i].w : (y+1)*p.back[i].w]
			to := pix[y*stride : y*stride+w]
			for from := x; len(to) > 0; from = 0 {
				to = to[copy(to, row[from:]):]
			}
		}
	}
	p.paste(img, p.panel, (p.w/2-p.panel[0].w/2)&^1, (p.h/2-p.panel[0].h/2)&^1)
	seconds := float64(n) / 30
	top := timestrip.Height(p.h) + 2
	for i := range p.tiles {
		tile := &p.tiles[i]
		size := tile.planes[0].w
		x := (0.5 + 0.5*math.Sin(tile.fx*seconds+tile.px)) * float64(p.w-size)
		y := float64(top) + (0.5+0.5*math.Sin(tile.fy*seconds+tile.py))*float64(p.h-size-top-2)
		p.paste(img, tile.planes, int(x)&^1, int(y)&^1)
	}
	p.gradient(img, n)
	p.words(img, n, t)
	luma, stride := img.Plane(0)
	timestrip.Draw(luma, stride, p.w, p.h, timestrip.At(t, uint16(n), p.tag))
	for i := 1; i < 3; i++ {
		pix, stride := img.Plane(i)
		fill(pix, stride, 0, 0, p.w/2, (timestrip.Height(p.h)+1)/2, 128)
	}
}

// plane is length v, of luma, in plane i.
func (p *pattern) plane(i, v int) int {
	if i > 0 {
		return v / 2
	}
	return v
}

// paste copies planes to x, y, both even.
func (p *pattern) paste(img Canvas, planes [3]texture, x, y int) {
	for i, t := range planes {
		pix, stride := img.Plane(i)
		x, y := p.plane(i, x), p.plane(i, y)
		for row := range t.h {
			copy(pix[(y+row)*stride+x:], t.pix[row*t.w:(row+1)*t.w])
		}
	}
}

// gradient draws a ramp that runs along the bottom edge.
func (p *pattern) gradient(img Canvas, n int64) {
	luma, stride := img.Plane(0)
	from := p.h - (p.h/24)&^1
	first := luma[from*stride : from*stride+p.w]
	for x := range first {
		first[x] = 16 + byte((int64(x)*220/int64(p.w)+n)%220)
	}
	for y := from + 1; y < p.h; y++ {
		copy(luma[y*stride:y*stride+p.w], first)
	}
	for i := 1; i < 3; i++ {
		pix, stride := img.Plane(i)
		fill(pix, stride, 0, from/2, p.w/2, p.h/2, 128)
	}
}

// words writes the wall clock and the frame number into a dark box at the upper left, below the strip: players lay their words over
// the lower edge.
func (p *pattern) words(img Canvas, n int64, t time.Time) {
	lines := [2]string{t.Format("15:04:05.000"), fmt.Sprintf("%02d-%09d", p.tag%100, n%1e9)}
	g := p.glyph
	x0, y0 := (4*g)&^1, (timestrip.Height(p.h)+4*g)&^1
	x1, y1 := (x0+76*g)&^1, (y0+26*g)&^1
	luma, stride := img.Plane(0)
	fill(luma, stride, x0, y0, x1, y1, 24)
	for i := 1; i < 3; i++ {
		pix, stride := img.Plane(i)
		fill(pix, stride, x0/2, y0/2, x1/2, y1/2, 128)
	}
	for i, line := range lines {
		for j, r := range line {
			for dy, bits := range font(r) {
				for dx := range 5 {
					if bits>>(4-dx)&1 == 1 {
						x, y := x0+(2+6*j+dx)*g, y0+(4+11*i+dy)*g
						fill(luma, stride, x, y, x+g, y+g, 220)
					}
				}
			}
		}
	}
}

// fill paints the rectangle from x0,y0 up to but without x1,y1.
func fill(pix []byte, stride, x0, y0, x1, y1 int, v byte) {
	if y0 >= y1 {
		return
	}
	first := pix[y0*stride+x0 : y0*stride+x1]
	for i := range first {
		first[i] = v
	}
	for y := y0 + 1; y < y1; y++ {
		copy(pix[y*stride+x0:y*stride+x1], first)
	}
}

func flat(side int, v byte) texture {
	t := texture{pix: make([]byte, side*side), w: side, h: side}
	for i := range t.pix {
		t.pix[i] = v
	}
	return t
}

// zonePlate is rings that grow finer outwards over bars: every frequency a picture can hold, within limits that survive coding.
func zonePlate(side int) texture {
	t := texture{pix: make([]byte, side*side), w: side, h: side}
	half := float64(side) / 2
	for y := range side {
		for x := range side {
			dx, dy := float64(x)-half, float64(y)-half
			t.pix[y*side+x] = byte(126 + 90*math.Cos(0.5*math.Pi*(dx*dx+dy*dy)/float64(side)))
		}
	}
	return t
}

// noise is a texture of smooth noise in four octaves, each half as strong and twice as fine. It goes on seamlessly beside itself.
func noise(w, h int, low, high byte, seed uint32) texture {
	t := texture{pix: make([]byte, w*h), w: w, h: h}
	sum := make([]uint16, w)
	for y := range h {
		clear(sum)
		for octave := range 4 {
			cell := 64 >> octave
			strength := 128 >> octave
			cy, fy := y/cell, (y%cell)*256/cell
			for cx := 0; cx*cell < w; cx++ {
				// Values at the cell's corners, brought to this row; the last column of corners is the first again.
				right := (cx + 1) % ((w + cell - 1) / cell)
				l := mix(lattice(cx, cy, octave, seed), lattice(cx, cy+1, octave, seed), fy)
				r := mix(lattice(right, cy, octave, seed), lattice(right, cy+1, octave, seed), fy)
				for x := cx * cell; x < min((cx+1)*cell, w); x++ {
					sum[x] += uint16(mix(l, r, (x-cx*cell)*256/cell) * strength / 256)
				}
			}
		}
		row := t.pix[y*w : (y+1)*w]
		for x := range row {
			row[x] = low + byte(int(sum[x])*int(high-low)/240)
		}
	}
	return t
}

func mix(a, b, at int) int { return a + (b-a)*at/256 }

// lattice is the noise at a corner of the octave's grid: 0 to 255, the same each time (the finalizer of MurmurHash3).
func lattice(x, y, octave int, seed uint32) int {
	v := uint32(x)*0x9E3779B1 ^ uint32(y)*0x85EBCA77 ^ uint32(octave)*0xC2B2AE3D ^ seed*0x27D4EB2F
	v ^= v >> 16
	v *= 0x85EBCA6B
	v ^= v >> 13
	v *= 0xC2B2AE35
	v ^= v >> 16
	return int(v & 0xff)
}

// font is the 5 by 7 dots of a digit, colon, point or dash.
func font(r rune) [7]byte {
	switch r {
	case '0':
		return [7]byte{0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e}
	case '1':
		return [7]byte{0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e}
	case '2':
		return [7]byte{0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f}
	case '3':
		return [7]byte{0x1f, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0e}
	case '4':
		return [7]byte{0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02}
	case '5':
		return [7]byte{0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e}
	case '6':
		return [7]byte{0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e}
	case '7':
		return [7]byte{0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08}
	case '8':
		return [7]byte{0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e}
	case '9':
		return [7]byte{0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c}
	case ':':
		return [7]byte{0x00, 0x04, 0x04, 0x00, 0x04, 0x04, 0x00}
	case '.':
		return [7]byte{0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x0c}
	}
	return [7]byte{0x00, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x00}
}
