package watch

import (
	"testing"
	"time"
)

const frame = 33 * time.Millisecond

// quiet brings p past its start: n access units that took way each.
func quiet(p *pace, n int, way time.Duration) (end time.Duration) {
	for i := range n {
		end = time.Duration(i) * frame
		p.Arrived(end, way)
	}
	return end
}

func TestPace(t *testing.T) {
	const way = 20 * time.Millisecond
	tests := []struct {
		name  string
		after int           // quiet access units before
		later time.Duration // how long after those the one in question comes
		way   time.Duration
		want  bool
	}{
		{"the first", 0, 0, way, true},
		{"the tenth", 9, frame, way, true},
		{"a quiet one", 11, frame, way, false},
		{"a quiet one, the third since", 10, 3 * frame, way, true},
		{"after a second of calm, the fifth since", 44, frame, way, false},
		{"after a second of calm, the sixth since", 44, 2 * frame, way, true},
		{"just within", 100, frame, way + eager, false},
		{"late", 100, frame, way + eager + 1, true},
		{"early", 100, frame, way - eager, false},
		{"late, and the least is forgotten only after twice its age", 100, baseAge + frame, way + 2*eager, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p pace
			end := quiet(&p, tt.after, way)
			if got := p.Arrived(end+tt.later, tt.way); got != tt.want {
				t.Errorf("at once: %t, want %t", got, tt.want)
			}
		})
	}
}

func TestPace_ANewRouteIsTheNewLeast(t *testing.T) {
	var p pace
	end := quiet(&p, 100, 20*time.Millisecond)
	longer := 60 * time.Millisecond
	eagerFor := time.Duration(0)
	for at, before := end, false; at < end+3*baseAge; at += frame {
		now := p.Arrived(at, longer)
		if now && before {
			eagerFor = at - end
		}
		before = now
	}
	if eagerFor < baseAge || eagerFor > 2*baseAge+frame {
		t.Errorf("acknowledged at once for %s after the route changed, want between %s and %s", eagerFor, baseAge, 2*baseAge)
	}
}

func TestPace_ClockOffsetDoesNotMatter(t *testing.T) {
	for _, offset := range []time.Duration{-5 * time.Hour, 0, 5 * time.Hour} {
		var p pace
		end := quiet(&p, 50, offset)
		if p.Arrived(end+frame, offset) || !p.Arrived(end+2*frame, offset+2*eager) {
			t.Errorf("offset %s changes the outcome", offset)
		}
	}
}

func TestPace_TwoInARowThatAreLateEndTheCalm(t *testing.T) {
	const way = 20 * time.Millisecond
	for late, next := range map[int]int{1: 6, 2: 3} {
		var p pace
		at := quiet(&p, 100, way)
		for range late {
			at += frame
			if !p.Arrived(at, way+2*eager) {
				t.Error("a late one is not acknowledged")
			}
		}
		for i := 1; i <= next; i++ {
			if got := p.Arrived(at+time.Duration(i)*frame, way); got != (i == next) {
				t.Errorf("after %d late ones number %d is acknowledged: %t", late, i, got)
			}
		}
	}
}

func TestPace_AfterAPauseItBeginsAnew(t *testing.T) {
	const way = 20 * time.Millisecond
	var p pace
	at := quiet(&p, 100, way) + pause + 1
	for i := range firstUnits {
		if !p.Arrived(at+time.Duration(i)*frame, way) {
			t.Errorf("number %d after the pause is not acknowledged", i+1)
		}
	}
	if p.Arrived(at+firstUnits*frame, way) {
		t.Error("one more is acknowledged")
	}
}

func TestPace_WhatIsLeftIsOverdueAfterAWhile(t *testing.T) {
	var p pace
	end := quiet(&p, 44, 20*time.Millisecond) // the last but four was acknowledged
	acked := end - 4*frame
	if p.Overdue(acked + overdue - 1) {
		t.Error("overdue too soon")
	}
	if !p.Overdue(acked + overdue) {
		t.Error("not overdue")
	}
	if p.Overdue(acked + overdue + frame) {
		t.Error("overdue again at once")
	}
}
