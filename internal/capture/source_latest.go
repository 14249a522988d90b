package capture

import (
	"sync"
	"time"
)

// latest hands over the newest of a row of byte blocks from one goroutine that reads them to one that uses them. Who reads never
// waits for who uses: a block nobody took is replaced by the next. Three buffers go round, so nothing is allocated in the long run.
type latest struct {
	ready chan struct{} // holds a token while there is a block or an end that was not taken

	mu    sync.Mutex
	block []byte
	at    time.Time
	fresh bool
	err   error
	spare []byte
}

func newLatest() *latest { return &latest{ready: make(chan struct{}, 1)} }

// put takes over block and gives a buffer for the next.
func (l *latest) put(block []byte, at time.Time) []byte {
	l.mu.Lock()
	next := l.spare
	if l.fresh {
		next = l.block
	} else {
		l.spare = nil
	}
	l.block, l.at, l.fresh = block, at, true
	l.mu.Unlock()
	l.wake()
	return next
}

// end says that no more will come. The last block can still be taken.
func (l *latest) end(err error) {
	l.mu.Lock()
	l.err = err
	l.mu.Unlock()
	l.wake()
}

func (l *latest) wake() {
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// take gives the newest block, nil if there is none since the last one. The caller hands it back with give. The error is that of
// end, once all blocks are taken.
func (l *latest) take() ([]byte, time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.fresh {
		return nil, time.Time{}, l.err
	}
	if l.err != nil {
		l.wake() // the end is yet to be seen
	}
	block := l.block
	l.block, l.fresh = nil, false
	return block, l.at, nil
}

// give takes a block back whose content is no longer needed.
func (l *latest) give(block []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spare = block
}

// peek lets look look at the newest block, if there is one, and leaves it there.
func (l *latest) peek(look func(block []byte)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fresh {
		look(l.block)
	}
	if l.fresh || l.err != nil {
		l.wake()
	}
}

// ended is the error of end, before or after the last block is taken.
func (l *latest) ended() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// dropOlder gives up the newest block if it came longer ago than age; a younger one is ready again.
func (l *latest) dropOlder(age time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.fresh:
	case time.Since(l.at) > age:
		l.spare, l.block, l.fresh = l.block, nil, false
	default:
		l.wake()
	}
}
