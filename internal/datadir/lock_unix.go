//go:build unix

package datadir

import (
	"errors"
	"os"
	"syscall"
)

// lock waits for f.
func lock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
