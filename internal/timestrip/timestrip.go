// Package timestrip writes the capture time into a picture as black and white cells and reads it back, so that latency can
// be judged from what a screen shows. It knows luma planes only, no codecs and no clocks, and owns no goroutines.
//
// The strip is the top twelfth of the picture: 2 rows of 40 cells, each W/40 wide and H/24 high. Its 80 bits run row by
// row, the most significant first: 1010, 40 bits of Time, 16 of Counter, 8 of Tag, 12 of CRC (polynomial 0x80F, initial value 0,
// no reflection, over the 68 bits before it). A 1 is luma 235, a 0 luma 16; chroma is 128 throughout.
package timestrip

import (
	"errors"
	"fmt"
	"time"
)

// The geometry of the strip and the size of what it carries.
const (
	Columns  = 40
	Rows     = 2
	Bits     = Columns * Rows
	TimeUnit = 100 * time.Microsecond // the unit of Strip.Time
	TimeBits = 40                     // Strip.Time wraps at 1<<TimeBits units, a little over 3.4 years

	sync     = 0b1010
	crcPoly  = 0x80F
	crcBits  = 12
	headBits = Bits - crcBits

	white, black = 235, 16
	threshold    = 128
)

// MinWidth and MinHeight are the smallest picture whose cells are two pixels or more each way.
const (
	MinWidth  = 2 * Columns
	MinHeight = 2 * 24
	maxSide   = 1 << 16
)

// Strip is what a strip carries.
type Strip struct {
	Time    uint64 // wall-clock Unix time in TimeUnit, modulo 1<<TimeBits
	Counter uint16 // frames
	Tag     uint8  // which source drew it
}

// ErrUnreadable is wrapped by every error of Read: the picture shows no strip, or a damaged one.
var ErrUnreadable = errors.New("no readable time strip")

// At makes a strip for the wall-clock time t.
func At(t time.Time, counter uint16, tag uint8) Strip {
	return Strip{Time: uint64(t.UnixMicro()/100) & (1<<TimeBits - 1), Counter: counter, Tag: tag}
}

// Age is how long before now the strip was drawn. It is negative when now is the earlier one.
func (s Strip) Age(now time.Time) time.Duration {
	const half = 1 << (TimeBits - 1)
	d := (int64(At(now, 0, 0).Time) - int64(s.Time)) & (1<<TimeBits - 1)
	if d >= half {
		d -= 1 << TimeBits
	}
	return time.Duration(d)*TimeUnit + time.Duration(now.UnixNano())%TimeUnit
}

// Height is how many rows of pixels, from the top, the strip covers in a picture of height h.
func Height(h int) int { return Rows * h / 24 }

// bits lays the strip out, CRC included, bit 0 of the result first.
func (s Strip) bits() [Bits]bool {
	var b [Bits]bool
	n := 0
	put := func(v uint64, width int) {
		for i := width - 1; i >= 0; i-- {
			b[n] = v>>i&1 == 1
			n++
		}
	}
	put(sync, 4)
	put(s.Time, TimeBits)
	put(uint64(s.Counter), 16)
	put(uint64(s.Tag), 8)
	put(uint64(crc(b[:headBits])), crcBits)
	return b
}

func crc(bits []bool) uint16 {
	var c uint16
	for _, bit := range bits {
		top := c>>(crcBits-1)&1 == 1
		c = c << 1 & (1<<crcBits - 1)
		if top != bit {
			c ^= crcPoly
		}
	}
	return c
}

// Draw writes the strip into the luma plane of a picture of w by h pixels whose rows are stride bytes apart. The
// picture must be at least MinWidth by MinHeight.
func Draw(luma []byte, stride, w, h int, s Strip) {
	bits := s.bits()
	for row := range Rows {
		top, bottom := row*h/24, (row+1)*h/24
		first := luma[top*stride : top*stride+w]
		for col := range Columns {
			v := byte(black)
			if bits[row*Columns+col] {
				v = white
			}
			cell := first[col*w/Columns : (col+1)*w/Columns]
			for i := range cell {
				cell[i] = v
			}
		}
		for y := top + 1; y < bottom; y++ {
			copy(luma[y*stride:y*stride+w], first)
		}
	}
}

// Read finds the strip in the luma plane of a picture of w by h pixels whose rows are stride bytes apart. Each cell is judged by
// the mean of its central half. Every error wraps ErrUnreadable.
func Read(luma []byte, stride, w, h int) (Strip, error) {
	if w < MinWidth || w > maxSide || h < MinHeight || h > maxSide || stride < w || stride > maxSide || len(luma) < stride*(Height(h)-1)+w {
		return Strip{}, fmt.Errorf("%w: picture of %dx%d pixels", ErrUnreadable, w, h)
	}
	var b [Bits]bool
	for i := range b {
		row, col := i/Columns, i%Columns
		b[i] = cellMean(luma, stride, col*w/Columns, (col+1)*w/Columns, row*h/24, (row+1)*h/24) >= threshold
	}
	n := 0
	take := func(width int) (v uint64) {
		for range width {
			v <<= 1
			if b[n] {
				v |= 1
			}
			n++
		}
		return v
	}
	if got := take(4); got != sync {
		return Strip{}, fmt.Errorf("%w: starts with %04b", ErrUnreadable, got)
	}
	s := Strip{Time: take(TimeBits), Counter: uint16(take(16)), Tag: uint8(take(8))}
	if want, got := uint64(crc(b[:headBits])), take(crcBits); got != want {
		return Strip{}, fmt.Errorf("%w: checksum %03x, want %03x", ErrUnreadable, got, want)
	}
	return s, nil
}

// cellMean is the mean of the central half, in both directions, of the cell from x0,y0 up to but without x1,y1.
func cellMean(luma []byte, stride, x0, x1, y0, y1 int) int {
	qx, qy := (x1-x0)/4, (y1-y0)/4
	sum, n := 0, 0
	for y := y0 + qy; y < y1-qy; y++ {
		for _, v := range luma[y*stride+x0+qx : y*stride+x1-qx] {
			sum += int(v)
			n++
		}
	}
	return sum / n
}
