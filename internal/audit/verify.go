package audit

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strconv"
	"strings"
)

// Head is a line of the record as a witness outside saw it.
type Head struct {
	Seq  uint64
	Hash string
}

// ParseHead reads what Head's String wrote: SEQ:HASH.
func ParseHead(s string) (Head, error) {
	seq, hash, ok := strings.Cut(s, ":")
	n, err := strconv.ParseUint(seq, 10, 64)
	if !ok || err != nil || len(hash) != 2*len(digest{}) || strings.Trim(hash, "0123456789abcdef") != "" {
		return Head{}, errors.New("it is no SEQ:HASH: a record's number and the SHA-256 of its line in 64 hexadecimal digits")
	}
	return Head{n, hash}, nil
}

// String writes the head as SEQ:HASH.
func (h Head) String() string { return strconv.FormatUint(h.Seq, 10) + ":" + h.Hash }

// MarshalText writes the head as SEQ:HASH.
func (h Head) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// Kind is what is wrong with a line.
type Kind string

// The kinds.
const (
	Changed    Kind = "changed"    // it is not as it was written
	Missing    Kind = "missing"    // lines before it are gone
	Inserted   Kind = "inserted"   // it was never written here
	Duplicated Kind = "duplicated" // it is the line before once more
	Misplaced  Kind = "misplaced"  // another record stands where it belongs
	Unfinished Kind = "unfinished" // it has no end: cut, or a crash that the next start mends
	Unsigned   Kind = "unsigned"   // a checkpoint that the key did not sign
	Cut        Kind = "cut"        // the record ends before what the witness saw, or is another one
)

// Finding is one thing that is wrong.
type Finding struct {
	Kind Kind   `json:"kind"`
	File string `json:"file"`
	Line int    `json:"line"` // in the file, from 1
	Seq  uint64 `json:"seq"`  // of the record that is meant, or the first of several
	Text string `json:"text"` // all of it in a sentence
}

// maxFindings is how many findings a report holds.
const maxFindings = 100

// Report is what Verify found.
type Report struct {
	Sound       bool      `json:"sound"`
	Records     uint64    `json:"records"`
	Attempts    uint64    `json:"attempts"` // that the records stand for, roll-ups unfolded
	Checkpoints uint64    `json:"checkpoints"`
	First       uint64    `json:"first"`     // record
	Last        uint64    `json:"last"`      // record
	Removed     uint64    `json:"removed"`   // records before First, in files that rotation removed
	Unchained   uint64    `json:"unchained"` // records from before the chain began
	Signed      uint64    `json:"signed"`    // the last record that a checkpoint vouches for
	Head        Head      `json:"head"`      // of the last line: to be kept elsewhere
	Findings    []Finding `json:"findings"`
	More        int       `json:"more"` // findings beyond those
}

// ErrStopped says that Verify was stopped before its end.
var ErrStopped = errors.New("stopped before the end of the audit record")

// VerifyOptions are what Verify goes by.
type VerifyOptions struct {
	Keys []ed25519.PublicKey // that may have signed checkpoints
	Head *Head               // what a witness saw last; nil: nothing
	Live bool                // a server writes the record: its last line may be half written
	Stop <-chan struct{}     // closed when nobody waits for the report any more; nil: never
}

// Verify reads the record at path from its first line to its last and reports everything that is not as it was
// written. A chain alone cannot tell a record whose end was cut off between two lines, or that was put back as a
// whole to what it was earlier, from one that was never longer: Head can. Nor is anything proven about records after
// the last checkpoint but that they follow each other. The error is about reading, not about what was read.
func Verify(path string, o VerifyOptions) (Report, error) { return verify(allLines(path), o) }

func verify(lines iter.Seq2[rawLine, error], o VerifyOptions) (Report, error) {
	v := verifier{o: o, suspect: -1, report: Report{Findings: []Finding{}}}
	// A line is judged when the one behind it is known, whose prev vouches for it.
	var held *checked
	for raw, err := range lines {
		if err != nil {
			return Report{}, err
		}
		select {
		case <-o.Stop:
			return Report{}, ErrStopped
		default:
		}
		c := &checked{rawLine: raw, hash: digestOf(raw.text).String()}
		c.line, c.err = parseLine(raw.text)
		if held != nil {
			v.step(held, c)
		}
		held = c
	}
	if held != nil {
		v.step(held, nil)
	}
	v.end(held)
	v.report.Sound = len(v.report.Findings) == 0
	return v.report, nil
}

// checked is a line on its way through a verifier.
type checked struct {
	rawLine
	line
	err  error // no line of the record
	hash string
}

// verifier walks along a record.
type verifier struct {
	o      VerifyOptions
	report Report

	start     *checked // the first line that could be read
	last      *checked // the line accepted last
	want      string   // prev of the next line; "" when that is not known
	before    string   // prev that last had to have
	seq       uint64   // of the last record
	loose     bool     // what was unreadable may have been a record or a checkpoint
	number    uint64   // of the last checkpoint; 0 when that is not known
	chained   bool     // the chain has begun
	removedTo uint64
	headSeen  bool
	suspect   int // index of a finding "changed" that may turn out a missing checkpoint; -1 for none
}

// step judges c, behind which stands next, nil at the end.
func (v *verifier) step(c, next *checked) {
	if !c.whole && next == nil && v.o.Live {
		return
	}
	switch {
	case !c.whole:
		v.find(Unfinished, c, v.seq+1, "the line has no end: it was cut, or a crash came between, which the next start mends")
		v.lose(c)
	case c.err != nil:
		v.find(Changed, c, v.seq+1, "record %d is not as it was written: %v", v.seq+1, c.err)
		v.lose(c)
	case v.last == nil:
		v.begin(c, next)
	case !v.chained && c.prev == "":
		v.order(c)
		v.report.Unchained++
		v.accept(c)
	case !v.chained && (c.Event != eventAudit || c.Action != actionChain):
		v.find(Missing, c, c.Seq, "the record with which the chain begins is missing before this line")
		v.chained, v.want = true, ""
		v.linked(c, next)
	case v.want != "" && c.prev != v.want:
		v.chained = true
		v.broken(c, next)
	default:
		v.chained = true
		v.linked(c, next)
	}
}

// begin judges the first line that can be read.
func (v *verifier) begin(c, next *checked) {
	before := v.report.More + len(v.report.Findings) // lines that could not be read
	v.start = c
	v.seq = c.Seq
	if !c.isCheckpoint() {
		v.seq--
	}
	v.report.First = max(1, v.seq+1-min(v.seq, uint64(before)))
	v.chained = c.isCheckpoint() || c.prev != ""
	switch {
	case !v.chained:
		v.report.Unchained++
		v.accept(c)
		return
	case c.isCheckpoint() && c.Seq == 0 && c.number == 1:
		if c.prev != genesis(c.log).String() {
			v.find(Changed, c, 1, "the line that begins the chain is not as it was written")
			v.number = 1
			v.lose(c)
			v.loose = false
			return
		}
	case v.report.First == 1 && before == 0:
		v.find(Missing, c, 1, "the line that begins the chain is missing before this one")
	}
	if c.isCheckpoint() {
		v.number = c.number - 1
	}
	v.linked(c, next)
}

// broken judges c, which does not follow the line before.
func (v *verifier) broken(c, next *checked) {
	switch {
	case bytes.Equal(c.text, v.last.text):
		v.find(Duplicated, c, c.Seq, "the line before stands here once more")
	case next != nil && next.err == nil && next.prev == v.want:
		v.find(Inserted, c, c.Seq, "this line was never written here")
	case c.prev == v.before && v.vouched(c, next):
		v.find(Inserted, v.last, v.last.Seq, "this line was never written here")
		if !v.last.isCheckpoint() {
			v.seq--
		} else if v.number > 0 {
			v.number--
		}
		v.want = c.prev
		v.linked(c, next)
	case v.vouched(c, next):
		v.gap(c)
		v.want = "" // c is as it was written, whatever came before it
		v.linked(c, next)
	case c.Seq != c.nextTo(v.seq):
		v.find(Misplaced, c, c.nextTo(v.seq), "record %d stands where %d belongs", c.Seq, c.nextTo(v.seq))
		v.lose(c)
	default:
		v.find(Changed, c, c.Seq, "%s is not as it was written", c.what())
		v.seq = c.Seq
		v.skipCheckpoint(c)
		v.lose(c)
		v.loose = false
	}
}

// gap says what is wrong between the last line and c, which is as it was written.
func (v *verifier) gap(c *checked) {
	switch expected := c.nextTo(v.seq); {
	case c.Seq > expected:
		v.missing(c)
	case c.Seq < expected:
		v.find(Misplaced, c, c.Seq, "record %d stands behind record %d", c.Seq, v.seq)
		v.seq = c.Seq
		if !c.isCheckpoint() {
			v.seq--
		}
		v.number = 0
	case v.last.isCheckpoint() || c.isCheckpoint() && v.number > 0 && c.number > v.number+1:
		v.find(Missing, c, c.Seq, "a checkpoint is missing before this line")
		v.number = 0
	default:
		v.find(Changed, v.last, v.last.Seq, "%s is not as it was written", v.last.what())
		v.suspect = len(v.report.Findings) - 1
	}
}

// missing says which records are gone before c.
func (v *verifier) missing(c *checked) {
	from, to := v.seq+1, c.Seq
	if !c.isCheckpoint() {
		to--
	}
	if from == to {
		v.find(Missing, c, from, "record %d is missing before this line", from)
	} else {
		v.find(Missing, c, from, "records %d to %d are missing before this line", from, to)
	}
	v.seq = to
	v.number = 0
}

// linked judges c, which follows the line before as far as that is known.
func (v *verifier) linked(c, next *checked) {
	if known := v.want != ""; known && c.Seq != c.nextTo(v.seq) {
		v.find(Changed, c, c.nextTo(v.seq), "record %d says that it is %d", c.nextTo(v.seq), c.Seq)
		v.seq = c.nextTo(v.seq)
		v.skipCheckpoint(c)
		v.lose(c)
		v.loose = false
		return
	}
	v.order(c)
	if c.isCheckpoint() && !v.signed(c) {
		if next == nil || next.prev != c.hash || v.keyOf(c) == nil {
			v.find(Changed, c, c.Seq, "%s is not as it was written, or was signed by another key than those given", c.what())
		} else {
			v.find(Unsigned, c, v.report.Signed+1, "%s was not signed by its key: records %d to %d may have been written anew",
				c.what(), v.report.Signed+1, c.Seq)
		}
		v.skipCheckpoint(c)
		if next != nil && next.prev == c.hash {
			v.accept(c)
		} else {
			v.lose(c)
			v.loose = false
		}
		return
	}
	if c.isCheckpoint() {
		v.count(c)
		v.report.Signed = c.Seq
		v.report.Checkpoints++
	}
	v.accept(c)
}

// order judges the number of a record where nothing else says where it belongs.
func (v *verifier) order(c *checked) {
	expected := c.nextTo(v.seq)
	switch {
	case c.Seq == expected, v.loose && c.Seq == expected+1:
	case c.Seq > expected:
		v.missing(c)
	default:
		v.find(Misplaced, c, c.Seq, "record %d stands behind record %d", c.Seq, v.seq)
		v.number = 0
	}
}

// count judges the number of a checkpoint that is signed.
func (v *verifier) count(c *checked) {
	if v.number > 0 && c.number != v.number+1 {
		if i := v.suspect; i >= 0 {
			f := &v.report.Findings[i]
			f.Kind, f.Text = Missing, strings.Replace(f.Text, "is not as it was written", "is the last before a checkpoint that is missing", 1)
		} else {
			v.find(Missing, c, c.Seq, "checkpoint %d is missing before this one", v.number+1)
		}
	}
	v.number = c.number
	v.suspect = -1
}

// skipCheckpoint counts a checkpoint that cannot be trusted with its number.
func (v *verifier) skipCheckpoint(c *checked) {
	if c.isCheckpoint() && v.number > 0 {
		v.number++
	}
}

// vouched reports whether c is known to be as it was written.
func (v *verifier) vouched(c, next *checked) bool {
	if next != nil && next.err == nil {
		return next.prev == c.hash
	}
	return c.isCheckpoint() && v.signed(c) || v.o.Head != nil && c.Seq == v.o.Head.Seq && c.hash == v.o.Head.Hash
}

func (v *verifier) signed(c *checked) bool {
	key := v.keyOf(c)
	return key != nil && signedBy(key, c.text)
}

func (v *verifier) keyOf(c *checked) ed25519.PublicKey {
	for _, key := range v.o.Keys {
		if KeyID(key) == c.key {
			return key
		}
	}
	return nil
}

// accept takes c as the line before the next.
func (v *verifier) accept(c *checked) {
	v.before, v.want, v.last, v.seq, v.loose = v.want, c.hash, c, c.Seq, false
	if !c.isCheckpoint() {
		v.report.Records++
		v.report.Attempts += item{count: c.Count}.attempts()
		v.removedTo = max(v.removedTo, removedTo(c.Entry))
	}
	if v.o.Head != nil && *v.o.Head == (Head{c.Seq, c.hash}) {
		v.headSeen = true
	}
}

// lose goes on behind a line about which nothing is known.
func (v *verifier) lose(c *checked) {
	if v.last != nil || c.err == nil && c.whole {
		v.last = c
	}
	v.want, v.before, v.loose = "", "", true
}

// end judges the record as a whole; last is its last line.
func (v *verifier) end(last *checked) {
	v.report.Last = v.seq
	if v.last != nil {
		v.report.Head = Head{v.seq, v.last.hash}
	}
	if last == nil {
		v.report.Findings = append(v.report.Findings, Finding{Kind: Cut, Seq: 1, Text: "the record is empty: from its first start on, a server never leaves it so"})
		return
	}
	if v.report.First > 1 {
		v.report.Removed = v.report.First - 1
		if v.removedTo < v.report.Removed {
			found := v.report.Findings
			v.report.Findings = nil
			v.find(Missing, v.start, v.removedTo+1, "records %d to %d are missing before this line: no record says that rotation removed them",
				v.removedTo+1, v.report.Removed)
			v.report.Findings = append(v.report.Findings, found...) // where it stands in the record
		}
	}
	switch head := v.o.Head; {
	case head == nil || v.headSeen:
	case head.Seq < v.report.First && v.report.First > 1:
		v.find(Cut, last, head.Seq, "record %d, which the witness saw, is in a file that is removed: name a later head", head.Seq)
	case head.Seq > v.seq:
		v.find(Cut, last, v.seq+1, "the record ends with %d, but the witness saw %d: its end is cut off, or all of it was put back to an earlier state", v.seq, head.Seq)
	default:
		v.find(Cut, last, head.Seq, "record %d is not the one that the witness saw: it was changed, its end is cut off, or the record is another", head.Seq)
	}
}

// find adds a finding at c.
func (v *verifier) find(kind Kind, c *checked, seq uint64, format string, args ...any) {
	if len(v.report.Findings) >= maxFindings {
		v.report.More++
		return
	}
	where := fmt.Sprintf("%s line %d: ", filepath.Base(c.file), c.row)
	v.report.Findings = append(v.report.Findings, Finding{kind, c.file, c.row, seq, where + fmt.Sprintf(format, args...)})
}

// what names a line in a sentence.
func (c *checked) what() string {
	if c.isCheckpoint() {
		return fmt.Sprintf("checkpoint %d, behind record %d,", c.number, c.Seq)
	}
	return fmt.Sprintf("record %d", c.Seq)
}
