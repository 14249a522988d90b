package watch

import (
	"slices"
	"time"
)

// When a second connection is worth opening beside one that brings nothing any more. Either way waits for itself after an
// outage: what comes does not tell that anything gets through to the server, but an answer does. The page's player keeps to the
// same rules (web/src/player/blackout.ts), and both are tested by testdata/blackout.json.
const (
	// silent is how long a silence is suspicious on any path, and mostPatience how long it is borne on the worst.
	silent, mostPatience = time.Second, 5 * time.Second
	// attemptTakes is how long the two ends themselves take over an attempt, besides the round trips.
	attemptTakes = 80 * time.Millisecond
	// attemptBits are an attempt's own bits, certificates mostly; messageBits those of one message of the largest kind: while
	// it is under way on a slow path, nothing is heard.
	attemptBits, messageBits = 4_000 * 8, 16_400 * 8
	// rarer is how the tries grow rarer: for each round trip that an attempt takes it is given one part in so many of the
	// silence, at least.
	rarer = 30
	// early is how much too early rather than a whole look too late something is done.
	early = 40 * time.Millisecond
	// notable is the silence from which on there is something to be learned, and remembered for how long.
	notable, remembered = 300 * time.Millisecond, 30 * time.Second
	// lookEvery is how often to look.
	lookEvery = 100 * time.Millisecond
)

// pathState is what is known of the path.
type pathState struct {
	expects    bool // whether pictures are due
	rtt        time.Duration
	carriesBps int           // 0: more than is sent
	askedAt    time.Duration // when that was asked what the server answered last
	answered   bool          // the second connection was: what it brings is worth waiting for
}

type advice int

const (
	adviseWait    advice = iota
	adviseAsk            // for something that is answered at once
	adviseConnect        // open a second connection, in place of the last one that was
	adviseStop           // a second one is not needed any more
)

// blackout tells what to do about a silent connection. It is pure: times are since any moment, and must not go backwards.
type blackout struct {
	trips int // how many round trips an attempt takes until it is known to be answered

	lately   []heardSilence // that ended. A path that was that silent may be so again
	heardAt  time.Duration
	lookedAt time.Duration
	expects  bool // when last looked at
	asked    bool
	next     time.Duration // meaningful once asked
}

type heardSilence struct{ ended, lasted time.Duration }

// heard takes in that something arrived. Once the server was asked, only its answer counts.
func (b *blackout) heard(now time.Duration) {
	if !b.asked {
		b.over(now)
	}
}

// over takes in that the silence ended, or that another connection is watched from now on.
func (b *blackout) over(now time.Duration) {
	if lasted := now - b.heardAt; b.expects && now-b.lookedAt < silent && lasted > notable {
		b.lately = append(b.lately, heardSilence{now, lasted})
	}
	b.begin(now)
}

func (b *blackout) begin(now time.Duration) { b.heardAt, b.asked = now, false }

// look is to be asked each lookEvery. chance is from 0 up to 1.
func (b *blackout) look(now time.Duration, p pathState, chance float64) advice {
	slept := now-b.lookedAt > silent
	b.lookedAt = now
	resumed := p.expects && !b.expects
	b.expects = p.expects
	if !p.expects || resumed || slept {
		b.begin(now)
		return adviseWait
	}
	if b.asked && p.askedAt > b.heardAt {
		b.over(now)
		return adviseStop
	}
	silence := now - b.heardAt
	patience := b.patience(now, p)
	if !b.asked {
		if silence <= patience/2 {
			return adviseWait
		}
		// Slow cameras and still pictures are silent too, but not when they are spoken to.
		b.asked = true
		b.next = b.heardAt + patience + time.Duration(chance/4*float64(patience))
		return adviseAsk
	}
	if now+early < b.next || p.answered {
		return adviseWait
	}
	trips := time.Duration(b.trips)
	b.next = now + max(trips*p.rtt+attemptTakes+take(attemptBits, p.carriesBps), trips*silence/rarer)
	return adviseConnect
}

func (b *blackout) patience(now time.Duration, p pathState) time.Duration {
	b.lately = slices.DeleteFunc(b.lately, func(s heardSilence) bool { return s.ended <= now-remembered })
	var worst time.Duration
	for _, s := range b.lately {
		worst = max(worst, s.lasted)
	}
	return min(max(silent, 4*p.rtt, 3*take(messageBits, p.carriesBps)/2, 3*worst/2), mostPatience)
}

// take is how long so many bits take; 0 on a path that carries more than is sent.
func take(bits, carriesBps int) time.Duration {
	if carriesBps == 0 {
		return 0
	}
	return time.Duration(bits) * time.Second / time.Duration(carriesBps)
}
