// Package datadir keeps the directory that holds what the server must remember, and the secret files in it:
// private to its owner, made once, never half written. It knows nothing of what the secrets are for. It owns
// no goroutines.
package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Make creates the directory, and its parents, with mode 0700 where they do not exist, and proves that a file
// can be made in it. The error is one sentence that names the directory and what to do. Safe to call again.
func Make(dir string) error {
	if dir == "" {
		return errors.New("no data directory is set: name one with --data-dir")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data directory %s cannot be made (%w): choose another with --data-dir, or make it and give it to this user", dir, cause(err))
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return fmt.Errorf("data directory %s cannot be written (%w): choose another with --data-dir, or give it to this user", dir, cause(err))
	}
	_ = f.Close() // empty: nothing is lost
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("tidy the data directory: %w", err)
	}
	return nil
}

// Secret is File for what others may not see: a file that others than its owner may read or write is refused.
func Secret(dir, name string, create func() ([]byte, error)) (data []byte, made bool, err error) {
	return once(dir, name, ReadSecret, create)
}

// File returns the contents of dir/name. Where the file does not exist, it is made with mode 0600 from what
// create returns, durably and as a whole: of two processes that start at once, one makes it and both read the
// same bytes. made tells that this call made it.
func File(dir, name string, create func() ([]byte, error)) (data []byte, made bool, err error) {
	return once(dir, name, os.ReadFile, create)
}

func once(dir, name string, read func(string) ([]byte, error), create func() ([]byte, error)) (data []byte, made bool, err error) {
	path := filepath.Join(dir, name)
	data, err = read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return data, false, err
	}
	data, err = create()
	if err != nil {
		return nil, false, fmt.Errorf("make %s: %w", path, err)
	}
	made, err = publish(dir, path, data, false)
	if err != nil || made {
		return data, made, err
	}
	data, err = read(path) // another process was first: its file counts
	return data, false, err
}

// Replace writes dir/name anew with mode 0600, durably: a reader sees the old contents or the new, never a mixture.
func Replace(dir, name string, data []byte) error {
	_, err := publish(dir, filepath.Join(dir, name), data, true)
	return err
}

// ReadSecret reads a file that others than its owner may neither read nor write.
func ReadSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	// Windows reports no owner bits: there the directory's access list guards the file.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read or written by other users (mode %04o): it holds a secret; run chmod 600 on it, and delete it instead if others have had access", path, info.Mode().Perm())
	}
	return os.ReadFile(path)
}

// publish puts data under path by way of a temporary file. Without replace it reports false, and changes
// nothing, when path exists already.
func publish(dir, path string, data []byte, replace bool) (done bool, err error) {
	tmp, err := os.CreateTemp(dir, ".new-*") // CreateTemp makes it 0600
	if err != nil {
		return false, fmt.Errorf("write %s: %w", path, cause(err))
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // after a rename there is none: nothing to report
	if _, err := tmp.Write(data); err != nil {
		_ = tmp.Close()
		return false, fmt.Errorf("write %s: %w", path, cause(err))
	}
	if err := tmp.Sync(); err != nil {
		_ = tmp.Close()
		return false, fmt.Errorf("sync %s: %w", path, cause(err))
	}
	if err := tmp.Close(); err != nil {
		return false, fmt.Errorf("close %s: %w", path, cause(err))
	}
	if replace {
		err = os.Rename(tmp.Name(), path)
	} else {
		// A link, unlike a rename, fails where the name is taken: that makes the first writer the only one.
		err = os.Link(tmp.Name(), path)
	}
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("put %s in its place: %w", path, cause(err))
	}
	return true, syncDir(dir)
}

// syncDir makes a new name in dir durable. Windows cannot open a directory for that and needs no such call.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open data directory: %w", err)
	}
	syncErr := d.Sync()
	if err := errors.Join(syncErr, d.Close()); err != nil {
		return fmt.Errorf("sync data directory: %w", err)
	}
	return nil
}

// cause strips the path that os errors carry, for sentences that name it themselves.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err
	}
	return err
}
