package capture

import (
	"io"
	"time"
)

const (
	// paceRate is how fast a camera is read at most, in bytes a second: a gigabit network's half, and more than the largest
	// pictures at the highest rates come to. A camera that sends without end costs no more than this.
	paceRate = 64 << 20
	// paceBurst is what may come at once.
	paceBurst = 8 << 20
)

// pacedReader reads no faster than paceRate over time. Not safe for concurrent use.
type pacedReader struct {
	r     io.Reader
	sleep func(time.Duration)
	now   func() time.Time

	room float64 // bytes that may come at once
	last time.Time
}

func paced(r io.Reader) *pacedReader {
	return &pacedReader{r: r, sleep: time.Sleep, now: time.Now, room: paceBurst, last: time.Now()}
}

// Read implements io.Reader.
func (p *pacedReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	now := p.now()
	p.room = min(paceBurst, p.room+now.Sub(p.last).Seconds()*paceRate) - float64(n)
	p.last = now
	if p.room < 0 {
		p.sleep(time.Duration(-p.room / paceRate * float64(time.Second)))
	}
	return n, err
}
