package detect

import (
	"slices"
	"time"
)

// maxMarks is how many marks a window keeps of one key: the newest.
const maxMarks = 256

// window remembers marks of the last span of time, by key, and counts how many differ.
type window struct {
	span  time.Duration
	marks map[string][]mark
}

type mark struct {
	at  time.Time
	seq uint64
	tag string
}

func newWindow(span time.Duration) *window { return &window{span: span, marks: map[string][]mark{}} }

// add puts a mark under key and gives how many different tags there are, and the records that they stand for.
func (w *window) add(key string, at time.Time, seq uint64, tag string) (different int, evidence []uint64) {
	if _, known := w.marks[key]; !known && len(w.marks) >= maxKeys {
		w.forget(at)
	}
	list := append(w.marks[key], mark{at, seq, tag})
	if len(list) > maxMarks {
		list = slices.Delete(list, 0, len(list)-maxMarks)
	}
	w.marks[key] = list
	return w.count(key, at)
}

// count is what add gives, without adding.
func (w *window) count(key string, now time.Time) (different int, evidence []uint64) {
	list := slices.DeleteFunc(w.marks[key], func(m mark) bool { return now.Sub(m.at) > w.span })
	if len(list) == 0 {
		delete(w.marks, key)
		return 0, nil
	}
	w.marks[key] = list
	tags := map[string]bool{}
	for _, m := range list {
		tags[m.tag] = true
		evidence = append(evidence, m.seq)
	}
	return len(tags), evidence[max(0, len(evidence)-maxEvidence):]
}

// first is when the oldest mark under key was put there.
func (w *window) first(key string) time.Time {
	if list := w.marks[key]; len(list) > 0 {
		return list[0].at
	}
	return time.Time{}
}

// forget makes room: all that is over goes, and if that is little, the half that was quiet longest.
func (w *window) forget(now time.Time) {
	var newest []time.Time
	for key, list := range w.marks {
		at := list[len(list)-1].at
		if now.Sub(at) > w.span {
			delete(w.marks, key)
			continue
		}
		newest = append(newest, at)
	}
	if len(newest) < maxKeys/2 {
		return
	}
	slices.SortFunc(newest, time.Time.Compare)
	median := newest[len(newest)/2]
	for key, list := range w.marks {
		if !list[len(list)-1].at.After(median) {
			delete(w.marks, key)
		}
	}
}
