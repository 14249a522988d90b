package capture

import (
	"slices"
	"sync"
	"time"

	"sightline/internal/media"
	"sightline/internal/quality"
)

// Decoders is an Engine that can decode what its encoders make.
type Decoders interface {
	Engine
	// NewDecoder makes a decoder that gives each picture at once.
	NewDecoder(codec media.Codec) (Decoder, error)
	// CopyLuma gives a copy of c's plane 0, which the caller closes. Its memory is not Go's, which would be kept for the next one.
	CopyLuma(c Canvas) (Canvas, error)
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
	// turnComparisons is how many an inspector makes while others wait for their turn. The first is that of a keyframe, which may look better than what follows.
	turnComparisons = 2
)

// turns has one inspector at a time at work, so that a process needs the memory of one decoder, however many renditions it makes. Who asks while another is at
// work is next, in the order of asking. Safe for concurrent use; the zero value is ready.
type turns struct {
	mu      sync.Mutex
	holder  *inspector
	waiting []*inspector
}

// take gives q the turn, which it keeps until it leaves, or puts it into the queue.
func (t *turns) take(q *inspector) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.waiting, q) && t.holder != q {
		t.waiting = append(t.waiting, q)
	}
	if t.holder == nil && t.waiting[0] == q {
		t.holder, t.waiting = q, slices.Delete(t.waiting, 0, 1)
	}
	return t.holder == q
}

// awaited tells whether q's turn would be welcome to others.
func (t *turns) awaited(q *inspector) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.holder == q && len(t.waiting) > 0
}

// leave ends q's turn, or its wait for one.
func (t *turns) leave(q *inspector) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.holder == q {
		t.holder = nil
	}
	t.waiting = slices.DeleteFunc(t.waiting, func(w *inspector) bool { return w == q })
}

// inspector compares what a rendition shows with what it was given, now and then. A predicted picture cannot be decoded without all before it, so the inspector
// follows the access units from a keyframe on for as long as its share of the processor lasts, or until it has had its turn while others wait. It has a decoder
// only meanwhile. It belongs to its stream's goroutine; the comparison, which takes longer than a decode, runs beside it.
type inspector struct {
	engine    Decoders
	codec     media.Codec
	turns     *turns
	dec       Decoder // while it is q's turn
	made      int     // comparisons in this turn
	following bool
	saved     time.Duration
	accrued   time.Time // up to here saved is counted
	sampled   time.Time
	comparing bool
	outcomes  chan outcome // one at most
	given     Canvas       // copies, those of the comparison while there is one
	shown     Canvas
}

// similarity is how like its original a picture is.
type similarity struct{ psnr, ssim float64 }

// outcome is that of one comparison, with the time it took.
type outcome struct {
	similarity
	err  error
	cost time.Duration
}

func newInspector(e Decoders, codec media.Codec, t *turns) *inspector {
	return &inspector{engine: e, codec: codec, turns: t, saved: inspectStart, outcomes: make(chan outcome, 1)}
}

// see takes in an access unit just made of input. ok is true when a comparison, of one of those before, has been made since the last call. An error
// means that nothing can be compared.
func (q *inspector) see(au []byte, key bool, input Canvas) (result similarity, ok bool, err error) {
	now := time.Now()
	if !q.accrued.IsZero() {
		q.saved = min(q.saved+time.Duration(inspectShare*float64(now.Sub(q.accrued))), inspectSaved)
	}
	q.accrued = now
	select {
	case o := <-q.outcomes:
		q.compared()
		q.saved -= o.cost
		result, ok = o.similarity, o.err == nil
		if q.made++; q.made >= turnComparisons && q.turns.awaited(q) {
			q.following = false
		}
	default:
	}
	due := now.Sub(q.sampled) >= inspectInterval && !q.comparing
	if key {
		q.following = q.saved > 0 && (due || q.codec == media.CodecH264) && q.turns.take(q)
	}
	if q.following = q.following && q.saved > 0; !q.following {
		if !q.comparing && q.dec != nil {
			q.rest()
		}
		return result, ok, nil
	}
	if err := q.follow(au, due, input); err != nil {
		return result, ok, err
	}
	q.saved -= time.Since(now)
	return result, ok, nil
}

// follow decodes the next access unit, and has it compared if that is due. What cannot be decoded ends it until the next keyframe.
func (q *inspector) follow(au []byte, due bool, input Canvas) (err error) {
	if q.dec == nil {
		if q.dec, err = q.engine.NewDecoder(q.codec); err != nil {
			return err
		}
	}
	shown, err := q.dec.Decode(au)
	if err != nil {
		q.following = false
		return nil
	}
	if !due {
		return nil
	}
	if q.given, err = q.engine.CopyLuma(input); err != nil {
		return err
	}
	if q.shown, err = q.engine.CopyLuma(shown); err != nil {
		q.given.Close()
		return err
	}
	q.sampled, q.comparing = time.Now(), true
	go q.compare()
	return nil
}

// compare runs in a goroutine of its own, whose end is its outcome.
func (q *inspector) compare() {
	began := time.Now()
	var o outcome
	given, shown := luma(q.given), luma(q.shown)
	if o.psnr, o.err = quality.PSNR(given, shown); o.err == nil {
		o.ssim, o.err = quality.SSIM(given, shown)
	}
	o.cost = time.Since(began)
	q.outcomes <- o
}

// compared takes note that the outcome is there.
func (q *inspector) compared() {
	q.comparing = false
	q.given.Close()
	q.shown.Close()
}

// rest ends q's turn, or its wait for one.
func (q *inspector) rest() {
	if q.dec != nil {
		q.dec.Close()
		q.dec = nil
	}
	q.made = 0
	q.turns.leave(q)
}

// close ends the inspector and whatever it has begun.
func (q *inspector) close() {
	if q.comparing {
		<-q.outcomes
		q.compared()
	}
	q.rest()
}

func luma(c Canvas) quality.Plane {
	pix, stride := c.Plane(0)
	return quality.Plane{Pix: pix, Stride: stride, Width: c.Width(), Height: c.Height()}
}
