package datadir

import (
	"fmt"
	"os"
	"path/filepath"
)

// Lock takes dir/name, a file that is made when it is not there, for this caller alone among all processes: it waits
// until no other has it. The file is empty and stays. Hold it for as long as it takes to read, change and write a
// file of this directory, which other commands may be changing too. unlock gives it back.
func Lock(dir, name string) (unlock func(), err error) {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, cause(err))
	}
	if err := lock(f); err != nil {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { _ = f.Close() }, nil // closing unlocks; nothing was written
}
