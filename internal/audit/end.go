package audit

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"time"
)

// fileEnd is where a record stands.
type fileEnd struct {
	tip       tip
	first     uint64 // seq with which the current file begins
	began     time.Time
	size      int64  // bytes of it up to and with the last newline
	tail      []byte // what comes after, at most maxWindow bytes of it
	tailBytes int64
}

// maxWindow is how far from the end of a file its last record and checkpoint are looked for.
const maxWindow = 1 << 20

// completes reports whether the tail is a whole next line that lacks its newline alone.
func (e fileEnd) completes() bool {
	l, err := parseLine(e.tail)
	switch {
	case err != nil || l.Seq != l.nextTo(e.tip.seq):
		return false
	case l.isCheckpoint() && l.Seq == 0:
		return l.prev == genesis(l.log).String()
	}
	return l.prev == e.tip.head.String() || l.prev == "" && e.tip.log == ""
}

// readEnd reads where the record at path ends: in its current file or, while that has no line, in the full one before.
func readEnd(path string) (fileEnd, error) {
	end, err := readFileEnd(path)
	if err != nil || end.size > 0 {
		return end, err
	}
	full, err := fullFiles(path)
	if err != nil || len(full) == 0 {
		return end, err
	}
	before, err := readFileEnd(full[len(full)-1])
	end.tip = before.tip
	return end, err
}

func readFileEnd(path string) (fileEnd, error) {
	f, err := os.Open(path)
	if err != nil {
		return fileEnd{}, err
	}
	end, err := readOpenEnd(f)
	return end, errors.Join(err, f.Close())
}

func readOpenEnd(f *os.File) (fileEnd, error) {
	info, err := f.Stat()
	if err != nil {
		return fileEnd{}, err
	}
	if !info.Mode().IsRegular() {
		return fileEnd{}, errors.New("it is not a regular file: set audit.path to one")
	}
	start := max(0, info.Size()-maxWindow)
	window := make([]byte, info.Size()-start)
	if _, err := f.ReadAt(window, start); err != nil && !errors.Is(err, io.EOF) {
		return fileEnd{}, err
	}
	// After a power cut, bytes that never reached the disk read as zeros, which no line has, and what stands behind
	// them was never durable either.
	sound := window
	if zero := bytes.IndexByte(window, 0); zero >= 0 {
		sound = window[:zero]
	}
	whole := bytes.LastIndexByte(sound, '\n') + 1
	end := fileEnd{size: start + int64(whole), tail: window[whole:], first: 1, began: info.ModTime()}
	end.tailBytes = info.Size() - end.size
	if whole == 0 && start == 0 {
		if !beginsLikeALine(end.tail) {
			return fileEnd{}, errors.New("it holds something else than audit records: set audit.path to another file")
		}
		return end, nil // empty, or nothing but an unfinished first line
	}
	if !end.readTip(window[:whole]) {
		return fileEnd{}, errors.New("its last lines are no audit records: move it away, or set audit.path to another file")
	}
	text, err := bufio.NewReaderSize(io.NewSectionReader(f, 0, end.size), maxLine).ReadSlice('\n')
	if err != nil {
		return end, nil //nolint:nilerr // a first line that long is for Verify to find
	}
	if l, err := parseLine(text[:len(text)-1]); err == nil {
		end.began, end.first = l.Time, l.Seq
		if l.isCheckpoint() {
			end.first++
		}
	}
	return end, nil
}

// readTip reads the chain's state from the last lines of a file, back to the last checkpoint.
func (e *fileEnd) readTip(lines []byte) bool {
	if len(lines) == 0 {
		return false
	}
	found := false
	e.tip.head = digestOf(lastLine(lines))
	for rest := lines; len(rest) > 0; {
		text := lastLine(rest)
		rest = rest[:len(rest)-len(text)-1]
		l, err := parseLine(text)
		if err != nil {
			continue
		}
		if !found {
			e.tip.seq, found = l.Seq, true
		}
		if l.isCheckpoint() {
			e.tip.log, e.tip.number = l.log, l.number
			e.tip.unsigned = int64(len(lines) - len(rest) - len(text) - 1)
			break
		}
	}
	return found
}

// lastLine is the last of whole lines, without its newline.
func lastLine(lines []byte) []byte {
	lines = lines[:len(lines)-1]
	return lines[bytes.LastIndexByte(lines, '\n')+1:]
}

// beginsLikeALine tells an unfinished first line from a file of another kind, which must not be cut. After a
// power cut, bytes that never reached the disk read as zeros.
func beginsLikeALine(tail []byte) bool {
	const begin = `{"seq":`
	if zero := bytes.IndexByte(tail, 0); zero >= 0 {
		tail = tail[:zero]
	}
	n := min(len(tail), len(begin))
	return string(tail[:n]) == begin[:n]
}
