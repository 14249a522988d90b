package accounts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"sightline/internal/datadir"
)

// journal is the file in which a limiter keeps its buckets, so that a restart, or a crash that somebody knows to cause, gives
// nobody new tries. Each line is what one bucket holds from then on; the last one of a bucket counts. Lines are written before
// what they count is tried, and not flushed to the disk: a power cut may lose the last seconds of them. Not safe for
// concurrent use.
type journal struct {
	dir   string
	lines int
	torn  bool // the file ends in the midst of a line
}

const (
	journalName = "login-failures.jsonl"
	// maxJournalLines is how long the file gets before it is written anew with the buckets that still say something.
	maxJournalLines = 2 * maxBuckets
	maxJournal      = 16 << 20 // bytes that are read
)

// entry is a line of the journal.
type entry struct {
	Account string       `json:"account,omitempty"`
	Source  netip.Prefix `json:"source,omitzero"`
	Left    float64      `json:"left"`
	At      time.Time    `json:"at"`
}

// openJournal reads the journal in dir and calls each for its lines in their order.
func openJournal(dir string, each func(key, bucket)) (*journal, error) {
	path := filepath.Join(dir, journalName)
	data, err := datadir.ReadSecret(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("failed logins: %w", err)
	}
	if len(data) > maxJournal {
		return nil, fmt.Errorf("failed logins: %s has %d bytes, over %d: it is none of this server's; delete it", path, len(data), maxJournal)
	}
	return &journal{
		dir: dir, lines: readJournal(data, each), torn: len(data) > 0 && data[len(data)-1] != '\n',
	}, nil
}

// readJournal tells how many lines there are. What is no line of a journal, such as the half of one, is passed over.
func readJournal(data []byte, each func(key, bucket)) (lines int) {
	for line := range bytes.Lines(data) {
		lines++
		var e entry
		if json.Unmarshal(line, &e) != nil || e.At.IsZero() || e.Account == "" && !e.Source.IsValid() {
			continue
		}
		k := key{e.Account, e.Source}
		burst, _ := k.pace()
		each(k, bucket{max(-burst, min(burst, e.Left)), e.At})
	}
	return lines
}

func appendEntry(to []byte, k key, b bucket) ([]byte, error) {
	line, err := json.Marshal(entry{k.account, k.source, b.left, b.at.UTC()})
	if err != nil {
		return to, fmt.Errorf("failed logins: %w", err)
	}
	return append(append(to, line...), '\n'), nil
}

// write adds what buckets hold now. all are those of the limiter, for when the file is written anew.
func (j *journal) write(now time.Time, keys []key, all map[key]bucket) error {
	var text []byte
	var err error
	if j.torn {
		text = append(text, '\n')
	}
	for _, k := range keys {
		if text, err = appendEntry(text, k, all[k]); err != nil {
			return err
		}
	}
	if j.lines += len(keys); j.lines > maxJournalLines {
		return j.rewrite(now, all)
	}
	file, err := os.OpenFile(filepath.Join(j.dir, journalName), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("failed logins: %w", err)
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("failed logins: %w", err)
	}
	j.torn = false
	return nil
}

// rewrite begins the file anew with the buckets that are not full.
func (j *journal) rewrite(now time.Time, all map[key]bucket) (err error) {
	var text []byte
	lines := 0
	for k, b := range all {
		burst, _ := k.pace()
		if b.filled(k, now).left >= burst {
			continue
		}
		if text, err = appendEntry(text, k, b); err != nil {
			return err
		}
		lines++
	}
	if err := datadir.Replace(j.dir, journalName, text); err != nil {
		return fmt.Errorf("failed logins: %w", err)
	}
	j.lines, j.torn = lines, false
	return nil
}
