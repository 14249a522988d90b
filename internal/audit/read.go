package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"time"
)

// maxLine is more than any line can have: ten fields of maxField bytes.
const maxLine = 16 << 10

// line is a line of the record, parsed.
type line struct {
	Entry
	prev   string // a digest, or "" in files older than the chain
	number uint64 // of a checkpoint, from 1; 0 for a record
	log    string // of a checkpoint
	key    string // of a checkpoint: the id of the key that signed it
}

func (l line) isCheckpoint() bool { return l.number > 0 }

// nextTo is the seq that l must have behind a record seq.
func (l line) nextTo(seq uint64) uint64 {
	if l.isCheckpoint() {
		return seq
	}
	return seq + 1
}

// parseLine reads a line, without its newline. The error says what is no line of the record.
func parseLine(text []byte) (line, error) {
	if len(text) > maxLine {
		return line{}, fmt.Errorf("it has more than %d bytes", maxLine)
	}
	var w struct {
		Seq       *uint64 `json:"seq"`
		Time      string  `json:"time"`
		Event     string  `json:"event"`
		Verdict   Verdict `json:"verdict"`
		Reason    string  `json:"reason"`
		Subject   string  `json:"subject"`
		TokenID   string  `json:"token_id"`
		Stream    string  `json:"stream"`
		Action    string  `json:"action"`
		Remote    string  `json:"remote"`
		UserAgent string  `json:"user_agent"`
		Session   string  `json:"session"`
		Count     *uint64 `json:"count"`
		First     string  `json:"first"`
		Last      string  `json:"last"`
		Number    *uint64 `json:"number"`
		Log       string  `json:"log"`
		Key       string  `json:"key"`
		Prev      *string `json:"prev"`
		Signature string  `json:"signature"`
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&w); err != nil {
		return line{}, fmt.Errorf("it is no JSON object of the record: %w", err)
	}
	if dec.InputOffset() != int64(len(text)) {
		return line{}, errors.New("something stands behind its end")
	}
	if w.Seq == nil || w.Prev == nil || w.Event == "" {
		return line{}, errors.New("it lacks seq, event or prev")
	}
	at, err := time.Parse(timeFormat, w.Time)
	if err != nil {
		return line{}, fmt.Errorf("its time is %.40q", w.Time)
	}
	l := line{prev: *w.Prev, log: w.Log, key: w.Key, Entry: Entry{
		Seq: *w.Seq, Time: at, Line: string(text), Hash: digestOf(text).String(),
		Record: Record{
			Event: w.Event, Verdict: w.Verdict, Reason: w.Reason, Subject: w.Subject, TokenID: w.TokenID, Stream: w.Stream,
			Action: w.Action, Remote: w.Remote, UserAgent: w.UserAgent, Session: w.Session,
		},
	}}
	if w.Number != nil {
		l.number = *w.Number
	}
	if w.Count != nil {
		var firstErr, lastErr error
		l.Count = *w.Count
		l.First, firstErr = time.Parse(timeFormat, w.First)
		l.Last, lastErr = time.Parse(timeFormat, w.Last)
		if firstErr != nil || lastErr != nil || l.Count == 0 {
			return line{}, errors.New("its count, first and last are of no roll-up")
		}
	}
	switch {
	case l.isCheckpoint() != (l.Event == eventCheckpoint):
		return line{}, errors.New("it is half a checkpoint")
	case !l.isCheckpoint() && (l.Seq == 0 || l.Verdict == ""):
		return line{}, errors.New("it lacks seq or verdict")
	}
	return l, nil
}

// rawLine is a line where it was read.
type rawLine struct {
	file  string
	row   int    // its place in the file, from 1
	text  []byte // without the newline; no more than maxLine+1 bytes of it
	whole bool   // the newline is there
}

// readLines yields the lines of r.
func readLines(name string, r io.Reader) iter.Seq2[rawLine, error] {
	return func(yield func(rawLine, error) bool) {
		buf := bufio.NewReaderSize(r, 64<<10)
		for row := 1; ; row++ {
			l := rawLine{file: name, row: row}
			for {
				part, err := buf.ReadSlice('\n')
				l.whole = err == nil
				if l.whole {
					part = part[:len(part)-1]
				}
				l.text = append(l.text, part[:min(len(part), maxLine+1-len(l.text))]...)
				if err == nil || errors.Is(err, io.EOF) {
					break
				}
				if !errors.Is(err, bufio.ErrBufferFull) {
					yield(rawLine{}, fmt.Errorf("read audit file %s: %w", name, err))
					return
				}
			}
			if !l.whole && len(l.text) == 0 || !yield(l, nil) || !l.whole {
				return
			}
		}
	}
}

// openFiles opens all files of the record at path, oldest first. A server may rotate them meanwhile.
func openFiles(path string) ([]*os.File, error) {
	for range 10 {
		names, err := Files(path)
		if err != nil {
			return nil, err
		}
		files, err := openAll(names)
		if err == nil {
			again, err := Files(path)
			if err == nil && slices.Equal(names, again) {
				return files, nil
			}
		}
		closeAll(files)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return nil, errors.New("audit files are being rotated too fast to be read")
}

func openAll(names []string) (files []*os.File, err error) {
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return files, fmt.Errorf("audit file: %w", err)
		}
		files = append(files, f)
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // read only: nothing is lost
	}
}

// allLines yields the lines of all files of the record at path.
func allLines(path string) iter.Seq2[rawLine, error] {
	return func(yield func(rawLine, error) bool) {
		files, err := openFiles(path)
		if err != nil {
			yield(rawLine{}, err)
			return
		}
		defer closeAll(files)
		for _, f := range files {
			for l, err := range readLines(f.Name(), f) {
				if !yield(l, err) || err != nil {
					return
				}
			}
		}
	}
}

// Entries yields the lines of the record at path in their order, checkpoints too, and skips what is no line of it:
// whether all is as it was written is for Verify to say. After an error it ends.
func Entries(path string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for raw, err := range allLines(path) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if l, err := parseLine(raw.text); err == nil && raw.whole && !yield(l.Entry, nil) {
				return
			}
		}
	}
}
