package accounts

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"sightline/internal/auth"
)

// The pace of failed logins: so many at once, then one each so often. An account is tried at most a hundred times in the
// first hour by all strangers together, and as often from each place where it has logged in before.
const (
	accountBurst = 10
	accountEvery = 40 * time.Second
	sourceBurst  = 30
	sourceEvery  = 6 * time.Second

	maxBuckets = 20_000
	sample     = 16 // buckets looked at to find one to forget
)

// limiter slows failed logins down. It makes nobody wait: who comes too early is told so, and may come again. Safe for
// concurrent use.
type limiter struct {
	mu      sync.Mutex
	buckets map[key]bucket
	journal *journal // nil for a limiter that remembers nothing over restarts
}

// key is an account seen by strangers (no source), a source (no account), or an account at a source it knows.
type key struct {
	account string
	source  netip.Prefix
}

// bucket holds what may still be tried: full at burst.
type bucket struct {
	left float64
	at   time.Time
}

// attempt is a login under way, which counts as a failure until it is undone.
type attempt struct {
	l    *limiter
	keys []key
}

func newLimiter() *limiter { return &limiter{buckets: map[key]bucket{}} }

// remember has the limiter go on with what the journal in dir holds, and keep it.
func (l *limiter) remember(dir string, now time.Time) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.journal, err = openJournal(dir, func(k key, b bucket) {
		if b.at.After(now) {
			b.at = now
		}
		l.put(k, b)
	})
	return err
}

// note keeps what the buckets of keys hold now; mu is held.
func (l *limiter) note(now time.Time, keys []key) error {
	if l.journal == nil {
		return nil
	}
	if err := l.journal.write(now, keys, l.buckets); err != nil {
		return fmt.Errorf("%w: %w", auth.ErrUnavailable, err)
	}
	return nil
}

// begin counts a login that is tried. The error wraps auth.ErrSlowDown, or auth.ErrUnavailable where it cannot be counted for good.
func (l *limiter) begin(now time.Time, account string, source netip.Prefix, known bool) (attempt, error) {
	if !nameGrammar.MatchString(account) {
		account = "?" // all names that cannot be are one
	}
	keys := []key{{source: source}, {account: account}}
	if known {
		keys = []key{{account, source}}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		if wait := l.look(k, now); wait > 0 {
			return attempt{}, fmt.Errorf("login in %s: %w", wait.Round(time.Second), auth.ErrSlowDown)
		}
	}
	for _, k := range keys {
		b := l.fill(k, now)
		b.left--
		l.put(k, b)
	}
	return attempt{l, keys}, l.note(now, keys)
}

// undo takes a login out of the count: it succeeded, or was not tried after all. Where that cannot be kept, a restart counts it as
// a failure.
func (a attempt) undo(now time.Time) {
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	for _, k := range a.keys {
		if b, ok := a.l.buckets[k]; ok {
			b.left++
			a.l.buckets[k] = b
		}
	}
	_ = a.l.note(now, a.keys)
}

func (k key) pace() (burst float64, every time.Duration) {
	if k.account == "" {
		return sourceBurst, sourceEvery
	}
	return accountBurst, accountEvery
}

// fill is k's bucket at now; mu is held here and below.
func (l *limiter) fill(k key, now time.Time) bucket {
	b, ok := l.buckets[k]
	if !ok {
		burst, _ := k.pace()
		return bucket{burst, now}
	}
	return b.filled(k, now)
}

// filled is what the bucket of k holds at now.
func (b bucket) filled(k key, now time.Time) bucket {
	burst, every := k.pace()
	if passed := now.Sub(b.at); passed > 0 {
		b.left, b.at = min(burst, b.left+float64(passed)/float64(every)), now
	}
	return b
}

// look is how long k has to wait for its next try.
func (l *limiter) look(k key, now time.Time) time.Duration {
	_, every := k.pace()
	return time.Duration((1 - l.fill(k, now).left) * float64(every))
}

// put keeps a bucket. Where there are too many, one that is nearly full is forgotten: who floods this with names makes
// room among those, and not by forgetting the account that is under attack.
func (l *limiter) put(k key, b bucket) {
	if _, ok := l.buckets[k]; !ok && len(l.buckets) >= maxBuckets {
		var fullest key
		most, n := -1.0, 0
		for other, b := range l.buckets { // in random order
			burst, _ := other.pace()
			if full := b.left / burst; full > most {
				fullest, most = other, full
			}
			if n++; n == sample {
				break
			}
		}
		delete(l.buckets, fullest)
	}
	l.buckets[k] = b
}
