package audit

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// How refusals are folded. What a flood may write is bounded by all of them together: refillPerSecond records and
// 2*maxRollups roll-ups and those of maxKinds in an interval, whatever comes.
const (
	foldAfter       = 20               // records a second of one source, event and reason before the rest is folded
	foldInterval    = 10 * time.Second // how long a roll-up counts
	maxRollups      = 12               // sources that get a roll-up of their own at one time
	refusalBurst    = 1000             // refusals of all sources written one by one before the rest is folded
	refillPerSecond = 2
	maxKinds        = 400 // of event and reason, that are told apart in the roll-up of all that has none of its own
	anySource       = "*"
	anyEvent        = "any" // of the roll-up of all that has no other, whose records name what they count
)

// foldKey is what folded refusals have in common.
type foldKey struct{ source, event, reason string }

// rollup counts folded refusals.
type rollup struct {
	count       uint64
	first, last time.Time
	kinds       map[string]uint64 // of anyEvent: how many of each "event/reason"
}

// folder decides which refusals are written one by one and which are counted. The sum of what is written and what
// is counted is what came, exactly.
type folder struct {
	second   time.Time // recent counts since then
	recent   map[foldKey]int
	budget   float64 // how many may still be written one by one
	refilled time.Time
	open     map[foldKey]*rollup
	until    time.Time // when the open roll-ups are written
}

func newFolder() folder {
	return folder{recent: map[foldKey]int{}, budget: refusalBurst, open: map[foldKey]*rollup{}}
}

// fold counts r and reports true, or reports false when r is to be written as it is.
func (f *folder) fold(r Record, now time.Time) bool {
	key := foldKey{source(r.Remote), r.Event, r.Reason}
	if f.open[key] == nil {
		if f.admit(key, now) {
			return false
		}
		key = f.room(key)
	}
	if len(f.open) == 0 {
		f.until = now.Add(foldInterval)
	}
	ru := f.open[key]
	if ru == nil {
		ru = &rollup{}
		f.open[key] = ru
	}
	if ru.count == 0 {
		ru.first = now
	}
	ru.count++
	ru.last = now
	if key.event == anyEvent {
		ru.tell(r.Event + "/" + r.Reason)
	}
	return true
}

// tell counts one of kind.
func (ru *rollup) tell(kind string) {
	if ru.kinds == nil {
		ru.kinds = map[string]uint64{}
	}
	if _, known := ru.kinds[kind]; !known && len(ru.kinds) >= maxKinds {
		kind = "other"
	}
	ru.kinds[kind]++
}

// admit reports whether one more refusal may be written as it is.
func (f *folder) admit(key foldKey, now time.Time) bool {
	if d := now.Sub(f.second); d < 0 || d >= time.Second {
		f.second = now
		clear(f.recent)
	}
	f.budget = min(refusalBurst, f.budget+refillPerSecond*max(0, now.Sub(f.refilled).Seconds()))
	f.refilled = now
	if f.budget < 1 || f.recent[key] >= foldAfter {
		return false
	}
	f.budget--
	f.recent[key]++
	return true
}

// room finds the roll-up for key: its own, or where there are too many, one that it shares with others.
func (f *folder) room(key foldKey) foldKey {
	if len(f.open) < maxRollups {
		return key
	}
	key.source = anySource
	if f.open[key] != nil || len(f.open) < 2*maxRollups {
		return key
	}
	return foldKey{anySource, anyEvent, ""}
}

// due is when roll-ups are to be written; false where there are none.
func (f *folder) due() (time.Time, bool) { return f.until, len(f.open) > 0 }

// take ends the interval, if it is over or all is set, and returns its roll-ups. A source that goes on flooding
// goes on being folded: the next interval does not begin with foldAfter records of it.
func (f *folder) take(now time.Time, all bool) []item {
	if len(f.open) == 0 || now.Before(f.until) && !all {
		return nil
	}
	f.until = now.Add(foldInterval)
	var items []item
	for _, key := range slices.SortedFunc(maps.Keys(f.open), compareKeys) {
		ru := f.open[key]
		add := func(reason string, n uint64) {
			items = append(items, item{
				Record: Record{Event: key.event, Verdict: Refused, Reason: reason, Remote: key.source},
				at:     now, count: n, first: ru.first, last: ru.last,
			})
		}
		switch {
		case key.event == anyEvent:
			for _, p := range portions(ru.kinds) {
				add(p.text, p.sum)
			}
		case ru.count > 0:
			add(key.reason, ru.count)
		}
		if ru.count <= foldAfter {
			delete(f.open, key)
		}
		ru.count = 0
		clear(ru.kinds)
	}
	return items
}

func compareKeys(a, b foldKey) int {
	return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.event, b.event), cmp.Compare(a.reason, b.reason))
}

// source is whom a refusal is counted against: an IPv4 address, or the network of an IPv6 address, of which one
// host commands 2^64 (RFC 4291, section 2.5.1).
func source(remote string) string {
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		port, err := netip.ParseAddrPort(remote)
		if err != nil {
			return remote
		}
		addr = port.Addr()
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	return netip.PrefixFrom(addr, 64).Masked().String()
}
