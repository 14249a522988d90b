package audit

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"os"
)

// Page is the newest part of the record, as Recent found it.
type Page struct {
	Entries []Entry // the newest first
	From    uint64  // the oldest record that was looked at; 0: none
	All     bool    // there is nothing older
}

// Recent finds the newest n records at most that f wants, in the record at path. It reads from the end backwards, and no more
// than about limit bytes, so that its work is bounded whatever f wants: Page tells how far it looked.
func Recent(path string, n int, limit int64, f Filter) (Page, error) {
	files, err := openFiles(path)
	if err != nil {
		return Page{}, err
	}
	defer closeAll(files)
	page := Page{Entries: []Entry{}}
	for i := len(files) - 1; i >= 0; i-- {
		for text, err := range linesBackwards(files[i], &limit) {
			if err != nil {
				return Page{}, fmt.Errorf("read audit file %s: %w", files[i].Name(), err)
			}
			if len(page.Entries) == n {
				return page, nil
			}
			l, err := parseLine(text)
			if err != nil {
				continue // whether all is as it was written is for Verify to say
			}
			page.From = l.Seq
			if f.Match(l.Entry) {
				page.Entries = append(page.Entries, l.Entry)
			}
		}
		if limit <= 0 {
			return page, nil
		}
	}
	page.All = true
	return page, nil
}

// backBlock is how much linesBackwards reads at once, in bytes.
const backBlock = 64 << 10

// linesBackwards yields the whole lines of f without their newlines, the last one first, and stops when it has read limit bytes,
// of which it takes off what it read. A line is valid until the next.
func linesBackwards(f *os.File, limit *int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		info, err := f.Stat()
		if err != nil {
			yield(nil, err)
			return
		}
		var rest []byte // what was read and not yielded: it begins in the midst of a line, or with one at the file's start
		ended := false  // rest ends where a line does: what follows the last newline is no whole line
		for at := info.Size(); at > 0 && *limit > 0; {
			size := min(at, backBlock)
			at -= size
			*limit -= size
			block := make([]byte, size, int(size)+len(rest))
			if _, err := f.ReadAt(block, at); err != nil && err != io.EOF {
				yield(nil, err)
				return
			}
			rest = append(block, rest...)
			for {
				i := bytes.LastIndexByte(rest, '\n')
				if i < 0 {
					break
				}
				if ended && !yield(rest[i+1:], nil) {
					return
				}
				rest, ended = rest[:i], true
			}
			if at == 0 && ended && !yield(rest, nil) {
				return
			}
		}
	}
}
