package rtsp

import "time"

const (
	// believable is how long a picture may have been on its way by the camera's clock for that clock to be believed.
	believable = time.Second
	// fastest is for how long the fastest packet counts, twice: longer, and a camera whose clock is slower than ours by 100 millionths would be late by more than 2 ms.
	fastest = 10 * time.Second
	// unbelievable is a step of RTP timestamps, or a delay by them, that is none.
	unbelievable = 5 * time.Second
	// slew is the part of the time that passes by which capture times may be put right.
	slew = 8
)

// timeline says when pictures were captured, by three clocks: the camera's RTP timestamps, which are exact but begin anywhere; the camera's wall clock, which its
// sender reports tie to them and which may be wrong; and ours, by which packets come in later than they were captured, by a delay that changes.
//
//   - The spacing of pictures is that of their RTP timestamps, so that the network's jitter is not in it.
//   - If by the camera's wall clock the fastest packet of the last 10 to 20 s took between 0 and 1 s, that clock is believed: its time is the capture time.
//   - Otherwise, and without sender reports, the fastest packet counts as having taken no time: capture times are too late by the camera's and the network's least
//     delay, never by more.
//   - What is learnt later, such as from the first sender report, moves capture times by an eighth of the time that passes, so that they always rise.
//   - No capture time is after the arrival of the picture's first packet.
//   - Timestamps that step back or run ahead by more than 5 s, or lag behind by that, begin anew.
type timeline struct {
	rate    int64 // RTP timestamps a second
	started bool
	origin  time.Time // ours, of the first picture, with a monotonic reading
	ts      uint32    // newest RTP timestamp
	media   int64     // the same, counted on from the first

	// The least of arrival less media time since each of these began; the older one is given up after 2*fastest.
	least, older time.Duration
	turn         time.Duration // when least began

	reported bool
	wall     time.Duration // what to add to media time for capture time by the camera's clock, on ours
	offset   time.Duration // what is added

	// A sender report that came before the first picture.
	early     senderReport
	earlyCame time.Time
}

// span is the time from the first picture to n RTP timestamps later.
func (t *timeline) span(n int64) time.Duration {
	return time.Duration(n/t.rate)*time.Second + time.Duration(n%t.rate*int64(time.Second)/t.rate)
}

func (t *timeline) restart(ts uint32, came time.Time) {
	*t = timeline{rate: t.rate, started: true, origin: came, ts: ts}
}

// report takes in a sender report that came at this time.
func (t *timeline) report(r senderReport, came time.Time) {
	if r.ntp == 0 {
		return
	}
	if !t.started {
		t.early, t.earlyCame = r, came
		return
	}
	media := t.span(t.media + int64(int32(r.rtp-t.ts)))
	t.reported = true
	t.wall = came.Sub(t.origin) + r.wall().Sub(came) - media
}

// capture gives the time of the picture with this RTP timestamp, whose first packet came at this time.
func (t *timeline) capture(ts uint32, came time.Time) time.Time {
	fresh := !t.started
	if fresh {
		early, earlyCame := t.early, t.earlyCame
		t.restart(ts, came)
		t.report(early, earlyCame)
	}
	step := int64(int32(ts - t.ts))
	media, arrival := t.span(t.media+step), came.Sub(t.origin)
	lag := arrival - media // but for a constant
	if back := t.span(step); back < -unbelievable || t.least-lag > unbelievable || lag-min(t.least, t.older) > unbelievable {
		t.restart(ts, came)
		fresh = true
		step, arrival, lag = 0, 0, 0
	}
	t.media, t.ts = t.media+step, ts
	if arrival-t.turn > fastest {
		t.least, t.older, t.turn = lag, t.least, arrival
	}
	t.least = min(t.least, lag)
	target := min(t.least, t.older)
	if took := target - t.wall; t.reported && took >= 0 && took <= believable {
		target = t.wall
	}
	if most := max(0, t.span(step)/slew); fresh {
		t.offset = target
	} else {
		t.offset = min(max(target, t.offset-most), t.offset+most)
	}
	return came.Add(min(0, t.offset-lag))
}
