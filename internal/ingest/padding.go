package ingest

import (
	"sync"

	"sightline/internal/media"
	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

// Padding is the least size, in bytes on the wire, that an access unit is filled up to, so that somebody who sees encrypted sizes
// tells less of what moves before the camera. Larger ones are filled up to the least size doubled, doubled again, and so on. 0
// leaves them as they are.
type Padding int

// minPad is the shortest piece of padding: a PAD message behind its frame header.
const minPad = 2 + wire.PadHeaderLen

// Size is how many bytes an access unit of n bytes has on the wire, frame headers included.
func (p Padding) Size(n int) int {
	if p <= 0 {
		return n
	}
	size := int(p)
	for size < n || size > n && size-n < minPad {
		size *= 2
	}
	return size
}

// appendPadding appends n bytes of PAD messages behind their frame headers, for n of at least minPad, and returns how many of
// them are payload.
func appendPadding(b []byte, n int) ([]byte, int) {
	payload := 0
	for n > 0 {
		piece := min(n, ws.MaxFrameHeader+wire.MaxChunkLen)
		if rest := n - piece; rest > 0 && rest < minPad {
			piece -= minPad
		}
		header := 2
		switch {
		case piece == 128 || piece == 129: // no frame has this length: its header grows by two bytes at a payload of 126
			piece = 64
		case piece > 129:
			header = 4
		}
		b = ws.AppendFrameHeader(b, piece-header)
		b = append(b, make([]byte, piece-header)...)
		b[len(b)-piece+header] = byte(wire.TypePad)
		payload += piece - header
		n -= piece
	}
	return b, payload
}

// fill fills the access unit up whose MEDIA messages, behind their frame headers, are chunks: with PAD messages behind the last of
// them, in the same bytes, since a write of their own would be seen. It returns how many bytes of payload that adds.
func (p Padding) fill(chunks [][]byte) int {
	n := 0
	for _, c := range chunks {
		n += len(c)
	}
	add := p.Size(n) - n
	if add == 0 {
		return 0
	}
	last := &chunks[len(chunks)-1]
	filled, payload := appendPadding(append(make([]byte, 0, len(*last)+add), *last...), add)
	*last = filled
	return payload
}

const (
	// overheadOver is over how many access units overhead is a mean.
	overheadOver = 64
	// maxOverhead is the most by which a rendition is asked for fewer bits on account of its padding. Where the least size fills
	// most access units, fewer bits would only make a worse picture of the same size on the wire.
	maxOverhead = 2
)

// overhead is by how much padding makes renditions larger. The zero value knows of none. Safe for concurrent use.
type overhead struct {
	mu    sync.Mutex
	means map[media.RenditionID]*[2]float64 // bytes of an access unit, and of its padding; guarded by mu
}

func (o *overhead) add(id media.RenditionID, n, padding int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.means[id]
	if m == nil {
		if padding == 0 {
			return
		}
		if o.means == nil {
			o.means = map[media.RenditionID]*[2]float64{}
		}
		m = &[2]float64{float64(n), float64(padding)}
		o.means[id] = m
	}
	m[0] += (float64(n) - m[0]) / overheadOver
	m[1] += (float64(padding) - m[1]) / overheadOver
}

// without is what is left of a bit rate for the access units themselves.
func (o *overhead) without(id media.RenditionID, bps int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.means[id]
	if m == nil {
		return bps
	}
	return int(float64(bps) / min(maxOverhead, 1+m[1]/m[0]))
}
