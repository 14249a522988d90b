package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Filter says which records are wanted: those that meet all fields that are set.
type Filter struct {
	// Each is compared as a whole or, where it ends with *, by what it begins with.
	Stream, Subject, Event, Verdict string
	Remote                          string    // an address, a network such as 192.0.2.0/24, or as above
	Since, Until                    time.Time // Until is not included
}

// Match reports whether e is wanted. Checkpoints never are.
func (f Filter) Match(e Entry) bool {
	return e.Event != eventCheckpoint &&
		matches(f.Stream, e.Stream) && matches(f.Subject, e.Subject) && matches(f.Event, e.Event) &&
		matches(f.Verdict, string(e.Verdict)) && matchesRemote(f.Remote, e.Remote) &&
		(f.Since.IsZero() || !e.Time.Before(f.Since)) && (f.Until.IsZero() || e.Time.Before(f.Until))
}

func matches(want, got string) bool {
	if prefix, ok := strings.CutSuffix(want, "*"); ok {
		return strings.HasPrefix(got, prefix)
	}
	return want == "" || want == got
}

// matchesRemote compares addresses without their ports, and a roll-up's network of IPv6 with addresses in it.
func matchesRemote(want, got string) bool {
	if matches(want, got) {
		return true
	}
	network, err := netip.ParsePrefix(want)
	if err != nil {
		addr, err := netip.ParseAddr(want)
		if err != nil {
			return false
		}
		network = netip.PrefixFrom(addr, addr.BitLen())
	}
	if counted, err := netip.ParsePrefix(got); err == nil {
		return network.Overlaps(counted)
	}
	if port, err := netip.ParseAddrPort(got); err == nil {
		return network.Contains(port.Addr().Unmap())
	}
	addr, err := netip.ParseAddr(got)
	return err == nil && network.Contains(addr.Unmap())
}

// Last returns the last n records of the record at path that f wants, oldest first.
func Last(path string, n int, f Filter) ([]Entry, error) {
	files, err := openFiles(path)
	if err != nil {
		return nil, err
	}
	defer closeAll(files)
	var found []Entry
	for i := len(files) - 1; i >= 0 && len(found) < n; i-- {
		var here []Entry
		for raw, err := range readLines(files[i].Name(), files[i]) {
			if err != nil {
				return nil, err
			}
			if l, err := parseLine(raw.text); err == nil && raw.whole && f.Match(l.Entry) {
				here = append(here, l.Entry)
			}
		}
		found = append(here, found...)
	}
	return found[max(0, len(found)-n):], nil
}

// followEvery is how often Follow looks for new records.
const followEvery = 250 * time.Millisecond

// Follow calls each for every record after the one numbered after that f wants, as they come, until ctx ends or each
// returns an error, which is Follow's then.
func Follow(ctx context.Context, path string, after uint64, f Filter, each func(Entry) error) error {
	ticks := time.NewTicker(followEvery)
	defer ticks.Stop()
	var current os.FileInfo
	for {
		info, err := os.Stat(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // it does not exist between two files
			return fmt.Errorf("follow audit file: %w", err)
		}
		if err == nil && (current == nil || !os.SameFile(current, info)) {
			// Another file: records may have gone to those before it meanwhile.
			for e, err := range Entries(path) {
				if err != nil {
					return err
				}
				if err := pass(e, &after, f, each); err != nil {
					return err
				}
			}
			current = info
		} else if err == nil && info.Size() != current.Size() {
			if err := followFile(path, current.Size(), &after, f, each); err != nil {
				return err
			}
			current = info
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// followFile reads the file at path from a place near which a line began.
func followFile(path string, from int64, after *uint64, f Filter, each func(Entry) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("follow audit file: %w", err)
	}
	defer file.Close() //nolint:errcheck // read only: nothing is lost
	// A line may have been half written when the size was read.
	if _, err := file.Seek(max(0, from-maxLine), io.SeekStart); err != nil {
		return fmt.Errorf("follow audit file: %w", err)
	}
	for raw, err := range readLines(path, file) {
		if err != nil {
			return err
		}
		if l, err := parseLine(raw.text); err == nil && raw.whole {
			if err := pass(l.Entry, after, f, each); err != nil {
				return err
			}
		}
	}
	return nil
}

// pass hands e on if it is new and wanted.
func pass(e Entry, after *uint64, f Filter, each func(Entry) error) error {
	if e.Event == eventCheckpoint || e.Seq <= *after {
		return nil
	}
	*after = e.Seq
	if !f.Match(e) {
		return nil
	}
	return each(e)
}
