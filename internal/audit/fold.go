package audit

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// How refusals are folded. What a flood may write is bounded by all of them together: refillPerSecond records and
// 2*maxRollups+1 roll-ups in an interval, whatever comes.
const (
	foldAfter       = 20               // records a second of one source, event and reason before the rest is folded
	foldInterval    = 10 * time.Second // how long a roll-up counts
	maxRollups      = 12               // sources that get a roll-up of their own at one time
	refusalBurst    = 1000             // refusals of all sources written one by one before the rest is folded
	refillPerSecond = 2
	anySource       = "*"
)

// foldKey is what folded refusals have in common.
type foldKey struct{ source, event, reason string }

// rollup counts folded refusals.
type rollup struct {
	count       uint64
	first, last time.Time
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
	return true
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
	return foldKey{anySource, "any", "any"}
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
		if ru.count > 0 {
			items = append(items, item{
				Record: Record{Event: key.event, Verdict: Refused, Reason: key.reason, Remote: key.source},
				at:     now, count: ru.count, first: ru.first, last: ru.last,
			})
		}
		if ru.count <= foldAfter {
			delete(f.open, key)
		}
		ru.count = 0
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
