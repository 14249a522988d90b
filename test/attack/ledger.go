//go:build linux

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"sightline/test/figures"
)

// ledger holds what was tried and what must be on record for it. Safe for concurrent use.
type ledger struct {
	target *target

	mu      sync.Mutex
	tries   []*attempt
	due     map[entry]int // what attempts from bulkAddress must have left
	byClass map[string]*sums
	said    []string
}

// sums are one line of the report.
type sums struct {
	cases                               map[string]bool
	attempts, refused, recorded, misses int
}

// attempt is one that came from an address of its own.
type attempt struct {
	of      *testCase
	remote  string
	entries []entry // that are due
	times   int     // how many attempts it stands for
}

func (l *ledger) class(name string) *sums {
	if l.byClass == nil {
		l.byClass, l.due = map[string]*sums{}, map[entry]int{}
	}
	if l.byClass[name] == nil {
		l.byClass[name] = &sums{cases: map[string]bool{}}
	}
	return l.byClass[name]
}

// try makes one attempt and takes note of what came of it.
func (l *ledger) try(ctx context.Context, c *testCase, v *visitor) {
	if ctx.Err() != nil {
		return
	}
	came, err := c.try(ctx, v)
	if err != nil || !v.keeps {
		v.leave()
	}
	if ctx.Err() != nil {
		return
	}
	l.note(c, v.remote, came, err, 1)
}

// note takes note of times attempts of one case that came to the same.
func (l *ledger) note(c *testCase, remote string, came outcome, err error, times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.class(c.class)
	if !c.allowed {
		s.cases[c.name] = true
		s.attempts += times
	}
	switch {
	case err != nil:
		s.misses++
		if s.misses <= 20 {
			l.said = append(l.said, fmt.Sprintf("MISS %s/%s: %v", c.class, c.name, err))
		}
		return
	case !c.allowed:
		s.refused += times
	}
	if !strings.HasPrefix(remote, bulkNetwork) {
		l.tries = append(l.tries, &attempt{c, remote, came.entries, times})
		return
	}
	for _, e := range came.entries {
		l.due[e] += times
	}
	if !c.allowed {
		s.recorded += times // unless the sum says otherwise
	}
}

// miss is something that went wrong besides an attempt.
func (l *ledger) miss(class, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.class(class).misses++
	l.said = append(l.said, "MISS "+class+": "+what)
}

func (l *ledger) say(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, what)
}

func (l *ledger) count() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.byClass {
		n += s.attempts
	}
	return n
}

func (l *ledger) figures(honest, honestRefused int) figures.Attack {
	f := figures.Attack{Honest: honest, HonestRefused: honestRefused, Said: l.said}
	for _, name := range slices.Sorted(maps.Keys(l.byClass)) {
		s := l.byClass[name]
		f.Classes = append(f.Classes, figures.AttackClass{
			Name: name, Cases: len(s.cases), Attempts: s.attempts, Refused: s.refused, Recorded: s.recorded, Misses: s.misses,
		})
		f.Cases += len(s.cases)
		f.Attempts += s.attempts
		f.Refused += s.refused
		f.Recorded += s.recorded
		f.Misses += s.misses
	}
	return f
}

// line is one record as it stands in the file.
type line struct {
	Event, Verdict, Reason, Remote string
	Count                          int // of a roll-up
}

// readRecords reads all files of the record, and checks of each line that it is one and shows itself harmlessly.
func readRecords(dir string) ([]line, error) {
	files, err := filepath.Glob(filepath.Join(dir, "audit*.jsonl*"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no record in %s: %w", dir, cmp.Or(err, os.ErrNotExist))
	}
	var lines []line
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if at := unprintable(data); at >= 0 {
			return nil, fmt.Errorf("%s: byte %d is of no visible character", file, at)
		}
		text := bufio.NewScanner(bytes.NewReader(data))
		text.Buffer(nil, 64<<10)
		for text.Scan() {
			var l line
			if err := json.Unmarshal(text.Bytes(), &l); err != nil {
				return nil, fmt.Errorf("%s: line %d: %w", file, len(lines)+1, err)
			}
			lines = append(lines, l)
		}
		if err := text.Err(); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// unprintable is where the first character stands that a terminal might obey; -1 where there is none.
func unprintable(data []byte) int {
	for i, r := range string(data) {
		if r != '\n' && !unicode.IsPrint(r) {
			return i
		}
	}
	return -1
}

// expand is what a record stands for: entries, each so many times.
func (l line) expand() map[entry]int {
	if l.Event != "any" {
		return map[entry]int{{l.Event, l.Verdict, brief(l.Event, l.Reason)}: max(1, l.Count)}
	}
	entries := map[entry]int{}
	for word := range strings.FieldsSeq(l.Reason) { // such as login/used=3
		kind, count, _ := strings.Cut(word, "=")
		event, reason, _ := strings.Cut(kind, "/")
		n, _ := strconv.Atoi(count) // 0 will not add up
		entries[entry{event, l.Verdict, brief(event, reason)}] += n
	}
	return entries
}

// brief is what is compared of a reason: of the end of a session only whether it is known at all, since sentences may change.
func brief(event, reason string) string {
	if event == "mjpeg-end" {
		return "*" // whoever notices first
	}
	if reason == "crowded-out" || reason == "no-handshake" {
		return nothingCame // of many at once, which of the two depends on who came first
	}
	if strings.HasSuffix(event, "-end") && strings.Contains(reason, " ") {
		return "fault"
	}
	return reason
}

// settle compares what was due with what is on record. The server has ended.
func (l *ledger) settle() error {
	records, err := readRecords(l.target.dir)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	byRemote := map[string]map[entry]int{}
	rolledUp, strangers := map[entry]int{}, map[entry]int{}
	for _, r := range records {
		for e, n := range r.expand() {
			switch {
			case r.Remote == honestAddress && e.verdict != "refused": // they are let in, and leave
			case r.Remote == honestAddress:
				strangers[e] += n
			case r.Remote == manySources || r.Count > 0:
				rolledUp[e] += n
			default:
				remote := r.Remote
				if strings.HasPrefix(remote, bulkNetwork) {
					remote = bulkAddress
				}
				if byRemote[remote] == nil {
					byRemote[remote] = map[entry]int{}
				}
				byRemote[remote][e] += n
			}
		}
	}
	for e, n := range strangers {
		l.missed("honest", fmt.Sprintf("%v: %d on record", e, n), 0)
	}
	owed := map[entry]int{} // refusals that have no record of their own
	debtors := map[entry][]*attempt{}
	dueFrom := map[string]map[entry]int{}
	for _, a := range l.tries {
		if dueFrom[a.remote] == nil {
			dueFrom[a.remote] = map[entry]int{}
		}
		for _, e := range a.entries {
			dueFrom[a.remote][e] += a.times
		}
	}
	for _, a := range l.tries {
		s := l.class(a.of.class)
		if byRemote[a.remote] == nil {
			byRemote[a.remote] = map[entry]int{}
		}
		due, found := dueFrom[a.remote], byRemote[a.remote]
		ok := true
		for _, e := range a.entries {
			if rest := due[e] - found[e]; rest > 0 && e.verdict == "refused" {
				owed[e] += rest
				debtors[e] = append(debtors[e], a)
				found[e] += rest // once for all that came from there
			} else if rest != 0 {
				ok = false
			}
		}
		for e := range found {
			ok = ok && due[e] > 0
		}
		switch {
		case ok && !a.of.allowed:
			s.recorded += a.times
		case !ok:
			s.misses++
			l.said = append(l.said, fmt.Sprintf("MISS %s/%s: on record %v, want %v", a.of.class, a.of.name, found, due))
		}
	}
	bulk := byRemote[bulkAddress]
	for e, n := range l.due {
		if e.verdict == "refused" {
			owed[e] += n - bulk[e]
		} else if bulk[e] != n {
			l.missed("repeated", fmt.Sprintf("%v: %d on record, want %d", e, bulk[e], n), n-bulk[e])
		}
	}
	for e, n := range bulk {
		if l.due[e] == 0 {
			l.missed("repeated", fmt.Sprintf("%v: %d on record, want none", e, n), 0)
		}
	}
	// What has no record of its own must be in a roll-up.
	total := 0
	for _, n := range rolledUp {
		total += n
	}
	for _, e := range slices.SortedFunc(maps.Keys(owed), compareEntries) {
		if rest := owed[e] - rolledUp[e]; rest != 0 {
			l.missed("rolled up", fmt.Sprintf("%v: %d are in no record, of which a roll-up must tell", e, rest), max(rest, 0))
			for _, a := range debtors[e][:min(3, len(debtors[e]))] {
				l.said = append(l.said, "     such as "+a.of.class+"/"+a.of.name)
			}
		}
		delete(rolledUp, e)
	}
	for e, n := range rolledUp {
		l.missed("rolled up", fmt.Sprintf("%v: %d more than were tried", e, n), 0)
	}
	l.said = append(l.said, fmt.Sprintf("%d records, of which roll-ups tell of %d refusals", len(records), total))
	return nil
}

func compareEntries(a, b entry) int {
	return cmp.Or(cmp.Compare(a.event, b.event), cmp.Compare(a.reason, b.reason))
}

// missed takes n attempts back whose records do not add up. The caller holds mu.
func (l *ledger) missed(class, what string, n int) {
	s := l.class(class)
	s.misses++
	s.recorded -= n
	l.said = append(l.said, "MISS "+class+": "+what)
}

// place is something that is searched for secrets.
type place interface {
	places() (map[string][]byte, error)
}

// secretsIn looks for every credential of t's that was ever made.
func (l *ledger) secretsIn(p place, t *target) {
	found, err := p.places()
	if err != nil {
		l.miss("secrets", err.Error())
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		data := found[name]
		hit := t.secret.in(data)
		if hit != "" {
			l.miss("secrets", fmt.Sprintf("the credential %s stands in %s", hit, name))
		}
		if at := unprintable(data); at >= 0 && strings.HasSuffix(name, ".log") {
			l.miss("secrets", fmt.Sprintf("byte %d of %s is of no visible character", at, name))
		}
		l.say(fmt.Sprintf("looked for %d credentials in %s (%d bytes): %s", len(t.secret.seen), name, len(data), cmp.Or(hit, "none")))
	}
}
