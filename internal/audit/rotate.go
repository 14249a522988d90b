package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// seqDigits makes the names of full files sort as their records do.
const seqDigits = 16

// fullName is the name that the file at path gets when it is full, by the seq with which it begins:
// audit-0000000000000001.jsonl.
func fullName(path string, first uint64) string {
	ext := filepath.Ext(path)
	return fmt.Sprintf("%s-%0*d%s", strings.TrimSuffix(path, ext), seqDigits, first, ext)
}

// firstOf reads the seq from a name that fullName made; false for any other name.
func firstOf(path, name string) (uint64, bool) {
	ext := filepath.Ext(path)
	digits, ok := strings.CutPrefix(name, strings.TrimSuffix(path, ext)+"-")
	digits, ok2 := strings.CutSuffix(digits, ext)
	if !ok || !ok2 || len(digits) != seqDigits {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	return seq, err == nil
}

// fullFiles lists the full files of the record at path, oldest first.
func fullFiles(path string) ([]string, error) {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list audit files: %w", err)
	}
	var names []string
	for _, e := range entries { // sorted by name
		name := filepath.Join(dir, e.Name())
		if _, ok := firstOf(filepath.Clean(path), name); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// Files lists the files of the record at path, oldest first. The error wraps fs.ErrNotExist where there are none.
func Files(path string) ([]string, error) {
	names, err := fullFiles(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err == nil {
		return append(names, path), nil
	} else if !errors.Is(err, fs.ErrNotExist) || len(names) == 0 {
		return nil, fmt.Errorf("audit file: %w", err)
	}
	return names, nil // a crash came between two files
}

// full reports whether a new file is to be begun.
func (l *Log) full(now time.Time) bool {
	if l.size == 0 || l.first > l.tip.seq || now.Before(l.rotateAfter) {
		return false
	}
	return l.size >= l.opts.RotateSize || l.opts.RotateAge > 0 && now.Sub(l.began) >= l.opts.RotateAge
}

// rotate ends the current file with a checkpoint, gives it the name of a full one, and removes the oldest beyond
// those that are kept, of which a record says so first. The next commit makes the new file. After an error the
// log goes on as it was, or with the new file where the old one has its name already.
func (l *Log) rotate(now time.Time) error {
	to := fullName(l.path, l.first)
	names, err := fullFiles(l.path)
	if err != nil {
		return err
	}
	if slices.Contains(names, to) {
		return fmt.Errorf("rename to %s: %w", to, fs.ErrExist)
	}
	names = append(names, to)
	excess := names[:max(0, len(names)-l.opts.Keep)]
	var notes []item
	if len(excess) > 0 {
		kept, _ := firstOf(filepath.Clean(l.path), filepath.Clean(names[len(excess)]))
		notes = append(notes, note(actionPrune, now, pruneReason, kept-1, l.opts.Keep))
	}
	if err := l.commit(notes, true, now); err != nil {
		return err
	}
	if err := l.file.Close(); err != nil { // all of it is durable
		l.opts.Log.Warn("audit file closed with an error", "file", l.path, "error", err)
	}
	l.file = nil
	if err := l.disk.rename(l.path, to); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	l.size = 0
	err = l.disk.syncDir(filepath.Dir(l.path))
	for _, name := range excess {
		err = errors.Join(err, l.disk.remove(name))
	}
	return err
}

// pruneReason is the reason of records that say which others are gone; removedTo reads it.
const pruneReason = "records to %d are removed: audit.keep is %d"

// removedTo is the last record that e says is removed, 0 if it says nothing of that.
func removedTo(e Entry) uint64 {
	if e.Event != eventAudit || e.Action != actionPrune {
		return 0
	}
	var to uint64
	var keep int
	if _, err := fmt.Sscanf(e.Reason, pruneReason, &to, &keep); err != nil {
		return 0
	}
	return to
}
