package audit

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// record is a record in memory, as its files' lines, each with its newline.
type record [][][]byte

// makeRecord writes a record of n records in up to three files, with checkpoints, that ended cleanly if n is a
// multiple of 6.
func makeRecord(n int) record {
	var r record
	now := time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)
	t := tip{log: "TESTLOG"}
	t.head = genesis(t.log)
	lines := t.checkpoint(nil, testKey(), now)
	for i := range n {
		now = now.Add(time.Second)
		it := item{at: now, Record: Record{
			Event: "watch", Verdict: []Verdict{Granted, Refused, Ended}[i%3], Subject: fmt.Sprint("user-", i), Stream: "door", Remote: "192.0.2.7",
		}}
		if i%7 == 6 {
			it.count, it.first, it.last = uint64(i), now, now
		}
		lines = t.record(lines, it, now)
		if i%6 == 5 {
			lines = t.checkpoint(lines, testKey(), now)
		}
		if i == 9 || i == 17 {
			r = append(r, bytes.SplitAfter(lines, []byte("\n")))
			lines = nil
		}
	}
	r = append(r, bytes.SplitAfter(lines, []byte("\n")))
	for f := range r {
		r[f] = r[f][:len(r[f])-1] // behind the last newline is nothing
	}
	return r
}

func (r record) clone() record {
	c := make(record, len(r))
	for f := range r {
		c[f] = slices.Clone(r[f])
	}
	return c
}

// lines yields the record as if it were read from files called 0, 1 and 2.
func (r record) lines() iter.Seq2[rawLine, error] {
	return func(yield func(rawLine, error) bool) {
		for f, lines := range r {
			for l, err := range readLines(strconv.Itoa(f), bytes.NewReader(bytes.Join(lines, nil))) {
				if !yield(l, err) {
					return
				}
			}
		}
	}
}

func (r record) verify(tb testing.TB, head *Head) Report {
	tb.Helper()
	report, err := verify(r.lines(), VerifyOptions{Keys: []ed25519.PublicKey{testKey().Public().(ed25519.PublicKey)}, Head: head})
	if err != nil {
		tb.Fatal(err)
	}
	return report
}

// place is a line: the file and the row in it, from 0.
type place struct{ file, row int }

// places lists all lines.
func (r record) places() (all []place) {
	for f := range r {
		for row := range r[f] {
			all = append(all, place{f, row})
		}
	}
	return all
}

// before and after give the lines around a place, in the next file where it has to be.
func (r record) after(p place) place {
	if p.row+1 < len(r[p.file]) || p.file+1 == len(r) {
		return place{p.file, p.row + 1}
	}
	return place{p.file + 1, 0}
}

func (r record) before(p place) place {
	if p.row > 0 || p.file == 0 {
		return place{p.file, p.row - 1}
	}
	return place{p.file - 1, len(r[p.file-1]) - 1}
}

// tampering is what was done to a record, and which places name it.
type tampering struct {
	what  string
	named []place
	// onlyWitness: the record ends earlier, between two lines, which its files alone cannot show.
	onlyWitness bool
}

// tamper changes r in a random way.
func (r record) tamper(rng *rand.Rand) tampering {
	all := r.places()
	at := rng.IntN(len(all))
	p := all[at]
	line := r[p.file][p.row]
	switch rng.IntN(7) {
	case 0:
		i, bit := rng.IntN(len(line)), rng.IntN(8)
		changed := bytes.Clone(line)
		changed[i] ^= 1 << bit
		r[p.file][p.row] = changed
		return tampering{fmt.Sprintf("flip bit %d of byte %d of %v", bit, i, p), []place{p}, false}
	case 1:
		last := at == len(all)-1
		named := []place{p, r.before(p)}
		if p.row == len(r[p.file])-1 {
			named[0] = r.after(p)
		}
		r[p.file] = slices.Delete(r[p.file], p.row, p.row+1)
		return tampering{fmt.Sprintf("delete %v", p), named, last}
	case 2:
		q := all[rng.IntN(len(all))]
		if p == q {
			q = all[(at+1)%len(all)]
		}
		r[p.file][p.row], r[q.file][q.row] = r[q.file][q.row], line
		return tampering{fmt.Sprintf("swap %v and %v", p, q), []place{p, q}, false}
	case 3:
		r[p.file] = slices.Insert(r[p.file], p.row, line)
		return tampering{fmt.Sprintf("duplicate %v", p), []place{{p.file, p.row + 1}}, false}
	case 4: // a forged line that claims to follow the one before
		forged := item{Record: Record{Event: "watch", Verdict: Granted, Subject: "nobody"}, at: time.Unix(1e9, 0)}
		seq, prev := rng.Uint64N(40)+1, digest{}
		if b := r.before(p); b.row >= 0 && rng.IntN(2) == 0 {
			parent, err := parseLine(bytes.TrimSuffix(r[b.file][b.row], []byte("\n")))
			if err != nil {
				panic(err)
			}
			seq, prev = parent.Seq+1, digestOf([]byte(parent.Line))
		}
		r[p.file] = slices.Insert(r[p.file], p.row, forged.appendLine(nil, seq, prev.String()))
		return tampering{fmt.Sprintf("insert at %v a record %d", p, seq), []place{p}, false}
	case 5: // the end of the record
		cut := rng.IntN(len(line) + 1)
		r[p.file] = append(r[p.file][:p.row:p.row], line[:cut])
		for f := p.file + 1; f < len(r); f++ {
			r[f] = nil
		}
		named := []place{p}
		if cut == 0 {
			named = []place{r.before(p)}
		}
		whole := cut == 0 || cut == len(line)
		if at == len(all)-1 && cut == len(line) { // nothing was cut: cut the line
			r[p.file] = r[p.file][:p.row]
			named = []place{r.before(p)}
		}
		return tampering{fmt.Sprintf("truncate %v to %d bytes, and all behind", p, cut), named, whole}
	default: // the end of a file
		cut := rng.IntN(len(line))
		next := place{p.file + 1, 0}
		r[p.file] = append(r[p.file][:p.row:p.row], line[:cut])
		return tampering{
			fmt.Sprintf("truncate file %d at %v to %d bytes", p.file, p, cut),
			[]place{p, next, r.before(p)},
			cut == 0 && p.file == len(r)-1,
		}
	}
}

// TestVerify_FindsEveryTampering tampers 2,000 times; SIGHTLINE_TAMPERINGS=10000 says how often instead.
func TestVerify_FindsEveryTampering(t *testing.T) {
	times := 2000
	if n, err := strconv.Atoi(os.Getenv("SIGHTLINE_TAMPERINGS")); err == nil {
		times = n
	}
	original := makeRecord(30)
	sound := original.verify(t, nil)
	if !sound.Sound || sound.Records != 30 || sound.Checkpoints != 6 || sound.Signed != 30 || sound.Attempts != 30-4+6+13+20+27 {
		t.Fatalf("the untouched record: %+v", sound)
	}
	if seen := original.verify(t, &sound.Head); !seen.Sound {
		t.Fatalf("with its own head: %+v", seen)
	}
	witnessOnly := 0
	for seed := range uint64(times) {
		r := original.clone()
		done := r.tamper(rand.New(rand.NewPCG(1, seed)))
		report := r.verify(t, &sound.Head)
		if report.Sound {
			t.Fatalf("seed %d: %s: not found", seed, done.what)
		}
		if !slices.ContainsFunc(done.named, func(p place) bool { return report.Findings[0].at(p) }) {
			t.Fatalf("seed %d: %s: not named: %+v", seed, done.what, report.Findings)
		}
		if alone := r.verify(t, nil); alone.Sound != done.onlyWitness {
			t.Fatalf("seed %d: %s: without the witness sound is %t: %+v", seed, done.what, alone.Sound, alone.Findings)
		}
		if done.onlyWitness {
			witnessOnly++
		}
	}
	t.Logf("%d tamperings, all found and named; %d of them by the witness's head alone", times, witnessOnly)
}

func (f Finding) at(p place) bool { return f.File == strconv.Itoa(p.file) && f.Line == p.row+1 }
