package capture

import (
	"time"

	"sightline/internal/media"
	"sightline/internal/quality"
)

// Decoders is an Engine that can decode what its encoders make.
type Decoders interface {
	Engine
	// NewDecoder makes a decoder that gives each picture at once.
	NewDecoder(codec media.Codec) (Decoder, error)
}

// Decoder turns access units back into pictures. One goroutine uses it.
type Decoder interface {
	// Decode gives the picture of au, which is valid until the next call.
	Decode(au []byte) (Canvas, error)
	Close()
}

// Comparable is an Encoder that tells what it encoded.
type Comparable interface {
	Encoder
	// Input is the picture that Encode coded last, scaled as it was, and valid until the next call.
	Input() Canvas
}

const (
	inspectInterval = 2 * time.Second
	// inspectShare is how much of a core may go into looking at one's own output, and inspectSaved how much of that may be saved up: enough to follow a 720p30
	// rendition for some seconds of its group of pictures.
	inspectShare = 0.03
	inspectSaved = 300 * time.Millisecond
	inspectStart = 50 * time.Millisecond
)

// inspector compares what a rendition shows with what it was given, now and then. A predicted picture cannot be decoded without all before it, so the inspector
// follows the access units from a keyframe on for as long as its share of the processor lasts, and then waits for the next keyframe. It belongs to its
// stream's goroutine; the comparison, which takes longer than a decode, runs beside it.
type inspector struct {
	dec       Decoder
	codec     media.Codec
	following bool
	saved     time.Duration
	accrued   time.Time // up to here saved is counted
	sampled   time.Time
	comparing bool
	outcomes  chan outcome // one at most
	given     picture      // copies, those of the comparison while there is one
	shown     picture
}

// similarity is how like its original a picture is.
type similarity struct{ psnr, ssim float64 }

// outcome is that of one comparison, with the time it took.
type outcome struct {
	similarity
	err  error
	cost time.Duration
}

func newInspector(e Decoders, codec media.Codec) (*inspector, error) {
	dec, err := e.NewDecoder(codec)
	if err != nil {
		return nil, err
	}
	return &inspector{dec: dec, codec: codec, saved: inspectStart, outcomes: make(chan outcome, 1)}, nil
}

// see takes in an access unit just made of input. ok is true when a comparison, of one of those before, has been made since the last call.
func (q *inspector) see(au []byte, key bool, input Canvas) (result similarity, ok bool) {
	now := time.Now()
	if !q.accrued.IsZero() {
		q.saved = min(q.saved+time.Duration(inspectShare*float64(now.Sub(q.accrued))), inspectSaved)
	}
	q.accrued = now
	select {
	case o := <-q.outcomes:
		q.comparing = false
		q.saved -= o.cost
		result, ok = o.similarity, o.err == nil
	default:
	}
	due := now.Sub(q.sampled) >= inspectInterval && !q.comparing
	if key {
		q.following = due || q.codec == media.CodecH264
	}
	if q.following = q.following && q.saved > 0; !q.following {
		return result, ok
	}
	switch shown, err := q.dec.Decode(au); {
	case err != nil:
		q.following = false
	case due:
		q.sampled, q.comparing = now, true
		q.given.copyLuma(input)
		q.shown.copyLuma(shown)
		go q.compare()
	}
	q.saved -= time.Since(now)
	return result, ok
}

// compare runs in a goroutine of its own, whose end is its outcome.
func (q *inspector) compare() {
	began := time.Now()
	var o outcome
	if o.psnr, o.err = quality.PSNR(q.given.plane, q.shown.plane); o.err == nil {
		o.ssim, o.err = quality.SSIM(q.given.plane, q.shown.plane)
	}
	o.cost = time.Since(began)
	q.outcomes <- o
}

// close ends the inspector and whatever it has begun.
func (q *inspector) close() {
	if q.comparing {
		<-q.outcomes
	}
	q.dec.Close()
}

// picture is a copy of a picture's luma.
type picture struct{ plane quality.Plane }

func (p *picture) copyLuma(c Canvas) {
	pix, stride := c.Plane(0)
	p.plane.Pix = append(p.plane.Pix[:0], pix...)
	p.plane.Stride, p.plane.Width, p.plane.Height = stride, c.Width(), c.Height()
}
