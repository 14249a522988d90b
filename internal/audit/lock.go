package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// lockSuffix makes the name of the file that is locked for a record from that of its current file, which cannot be
// locked itself: rotation gives it another name.
const lockSuffix = ".lock"

// lockPath takes the record at path for this process alone, until the result is closed.
func lockPath(path string) (io.Closer, error) {
	f, err := os.OpenFile(path+lockSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock audit file: %w: set audit.path to a file that can be written", err)
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock audit file %s: %w", path, err), f.Close())
	}
	return f, nil
}

// InUse reports whether a server is writing the record at path now.
func InUse(path string) (bool, error) {
	f, err := os.OpenFile(path+lockSuffix, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("audit record's lock: %w", err)
	}
	err = lock(f)
	inUse := errors.Is(err, errInUse)
	if inUse {
		err = nil
	}
	return inUse, errors.Join(err, f.Close())
}
