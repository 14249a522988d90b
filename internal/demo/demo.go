// Package demo holds what `sightline serve --demo` shows: two cameras that every machine has. It knows nothing of the rooms that show
// them and starts no goroutines.
package demo

import (
	_ "embed" // the clip
	"path/filepath"

	"sightline/internal/datadir"
)

//go:embed street.mp4
var street []byte

const clipFile = "street.mp4"

// Clip puts the footage of a street into dir, where a capture process can play it, and returns its path. dir exists.
func Clip(dir string) (string, error) {
	if err := datadir.Replace(dir, clipFile, street); err != nil {
		return "", err
	}
	return filepath.Join(dir, clipFile), nil
}

// Devices lists this machine's video devices.
func Devices() []string {
	devices, err := filepath.Glob("/dev/video*")
	if err != nil { // the pattern is well formed
		return nil
	}
	return devices
}
