package audit

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// gap counts the records that could not be written.
type gap struct {
	counts   map[string]uint64 // by event and verdict: "watch/refused"
	from, to time.Time
}

func (g *gap) empty() bool { return len(g.counts) == 0 }

func (g *gap) add(it item) {
	from, to := it.at, it.at
	if it.count > 0 {
		from, to = it.first, it.last
	}
	g.merge(gap{counts: map[string]uint64{it.Event + "/" + string(it.Verdict): it.attempts()}, from: from, to: to})
}

func (g *gap) merge(other gap) {
	if other.empty() {
		return
	}
	if g.empty() {
		*g = gap{counts: map[string]uint64{}, from: other.from, to: other.to}
	}
	for key, n := range other.counts {
		g.counts[key] += n
	}
	if other.from.Before(g.from) {
		g.from = other.from
	}
	if other.to.After(g.to) {
		g.to = other.to
	}
}

func (g *gap) total() (n uint64) {
	for _, count := range g.counts {
		n += count
	}
	return n
}

// items writes the gap as records, of which each holds as many counts as its reason has room for.
func (g *gap) items(policy Policy, now time.Time) []item {
	outcome := "what they would have granted was refused"
	if policy == Continue {
		outcome = "access went on"
	}
	var items []item
	for _, p := range portions(g.counts) {
		items = append(items, note(actionGap, now, "%d records from %s to %s were not written, %s: %s",
			p.sum, g.from.UTC().Format(timeFormat), g.to.UTC().Format(timeFormat), outcome, p.text))
	}
	return items
}

// portion is as many counts as a reason has room for beside other words: "login/used=3 watch/expired=12", and their sum.
type portion struct {
	text string
	sum  uint64
}

func portions(counts map[string]uint64) (list []portion) {
	for keys := slices.Sorted(maps.Keys(counts)); len(keys) > 0; {
		var p portion
		for len(keys) > 0 && len(p.text) < maxField/2 {
			p.sum += counts[keys[0]]
			p.text += fmt.Sprintf(" %.200s=%d", keys[0], counts[keys[0]])
			keys = keys[1:]
		}
		p.text = p.text[1:]
		list = append(list, p)
	}
	return list
}

// note is a record of the log about itself.
func note(action string, now time.Time, format string, args ...any) item {
	return item{Record: Record{Event: eventAudit, Verdict: Ended, Action: action, Reason: fmt.Sprintf(format, args...)}, at: now}
}
