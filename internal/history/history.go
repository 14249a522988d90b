// Package history keeps a day of figures, one sample a minute of each stream and of the server, for the charts of the administrator's page.
// It knows no HTTP and nothing of how figures come about but in Sampler. It owns no goroutines; the one that calls Run is its caller's.
//
// A sample is a line of a file: the CRC-32C of what follows in hexadecimal, a space, and JSON. There are two files of half a day each, of
// which the older is dropped when the newer is full: that bounds the disk, and a crash leaves at worst an unfinished last line.
package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"sightline/internal/datadir"
)

const (
	// Kept is how many minutes are kept at least, once there have been so many.
	Kept = 24 * 60
	// MaxStreams bounds the streams of one minute: those that are watched most, and then by name.
	MaxStreams = 100

	halfDay      = Kept / 2
	maxFileBytes = 10 << 20
	maxLineBytes = 64 << 10
	newer, older = "history.log", "history.1.log"
	crcDigits    = 8
)

// Minute is the sample of one minute.
type Minute struct {
	At      int64             `json:"at"` // minutes since 1970
	Server  Server            `json:"server"`
	Streams map[string]Stream `json:"streams"`
}

// Server is how the server fared.
type Server struct {
	Viewers int     `json:"v"`
	SentBps float64 `json:"b"` // to all viewers, bit/s
	Refused int     `json:"r"` // attempts, in this minute
	Memory  int64   `json:"m"` // bytes that it holds
}

// Stream is how a stream fared. What is not known is 0.
type Stream struct {
	Viewers    int     `json:"v,omitempty"` // at the end of the minute
	FrameRate  float64 `json:"f,omitempty"` // pictures a second of the rendition that had most
	Bps        float64 `json:"b,omitempty"` // bit/s that came of all its renditions
	LatencyP50 float64 `json:"p,omitempty"` // ms from capture to screen: the median of its viewers' medians
	LatencyP95 float64 `json:"q,omitempty"` // ms: that of the viewer who saw it the latest
	Dropped    int     `json:"d,omitempty"` // access units that were not sent to a viewer, in this minute
	PSNR       float64 `json:"n,omitempty"` // dB, of the rendition that most watch
	SSIM       float64 `json:"s,omitempty"` // 0 to 1, of the same
}

// Store keeps minutes. Safe for concurrent use. Make one with Open.
type Store struct {
	dir string

	mu      sync.Mutex
	minutes []Minute // oldest first, of at most Kept+halfDay minutes; guarded by mu
	first   int64    // the newer file's first minute; guarded by mu
	size    int      // of the newer file, bytes; guarded by mu
}

// Open reads what is kept in dir. A file that is broken is set aside under a name that ends in .broken, said in the log, and what can be read
// of it stays.
func Open(dir string, log *slog.Logger) (*Store, error) {
	s := &Store{dir: dir}
	for _, name := range []string{older, newer} {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		minutes, good, broken := parse(data)
		if broken {
			if err := os.Rename(path, path+".broken"); err != nil {
				return nil, fmt.Errorf("history: %w", err)
			}
			log.Warn("a file of the charts' figures is broken: it was set aside, and what could be read of it stays",
				"file", path+".broken", "minutes", len(minutes))
		}
		if good < len(data) { // or the crash of a server left the last line unfinished
			if err := datadir.Replace(dir, name, data[:good]); err != nil {
				return nil, fmt.Errorf("history: %w", err)
			}
		}
		if name == newer {
			s.size = good
			if len(minutes) > 0 {
				s.first = minutes[0].At
			}
		}
		for _, m := range minutes {
			s.keep(m)
		}
	}
	return s, nil
}

// parse reads the minutes of a file. good is how many bytes of it are whole lines that can be read, from its beginning; broken tells that
// what follows is more than one unfinished line.
func parse(data []byte) (minutes []Minute, good int, broken bool) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxLineBytes)
	lines.Split(func(data []byte, _ bool) (int, []byte, error) { // whole lines alone
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			return 0, nil, nil
		}
		return i + 1, data[:i], nil
	})
	for lines.Scan() {
		m, err := parseLine(lines.Bytes())
		if err != nil {
			return minutes, good, true
		}
		minutes = append(minutes, m)
		good += len(lines.Bytes()) + 1
	}
	return minutes, good, lines.Err() != nil
}

var errLine = errors.New("no line of a history")

func parseLine(line []byte) (m Minute, err error) {
	if len(line) < crcDigits+1 {
		return m, errLine
	}
	body := line[crcDigits+1:]
	if string(line[:crcDigits+1]) != sum(body) {
		return m, errLine
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("%w: %w", errLine, err)
	}
	return m, nil
}

// sum is what stands before body.
func sum(body []byte) string {
	return fmt.Sprintf("%0*x ", crcDigits, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
}

// Add keeps a minute, and returns when it is on disk. One that is not after the last is not kept: clocks are set back at times.
func (s *Store) Add(m Minute) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.minutes); n > 0 && m.At <= s.minutes[n-1].At {
		return nil
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	line := append(append([]byte(sum(body)), body...), '\n')
	s.keep(m) // whatever the disk does, the charts go on
	if s.size > 0 && (m.At-s.first >= halfDay || s.size+len(line) > maxFileBytes) {
		if err := os.Rename(filepath.Join(s.dir, newer), filepath.Join(s.dir, older)); err != nil {
			return fmt.Errorf("history: %w", err)
		}
		s.size = 0
	}
	if s.size == 0 {
		s.first = m.At
	}
	if err := s.write(line); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	s.size += len(line)
	return nil
}

// write appends a line durably, or leaves nothing of it. mu is held.
func (s *Store) write(line []byte) error {
	f, err := os.OpenFile(filepath.Join(s.dir, newer), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(line, int64(s.size)); err == nil {
		err = f.Truncate(int64(s.size + len(line))) // what a failed write left behind is gone
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// keep adds to what is in memory. mu is held, or nobody else has s.
func (s *Store) keep(m Minute) {
	if n := len(s.minutes); n > 0 && m.At <= s.minutes[n-1].At {
		return
	}
	s.minutes = append(s.minutes, m)
	if len(s.minutes) > Kept+halfDay {
		s.minutes = slices.Delete(s.minutes, 0, halfDay)
	}
}

// Since gives the minutes from t on, oldest first. There are gaps where the server was off.
func (s *Store) Since(t time.Time) []Minute {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, _ := slices.BinarySearchFunc(s.minutes, t.Unix()/60, func(m Minute, at int64) int { return int(m.At - at) })
	return slices.Clone(s.minutes[from:])
}
