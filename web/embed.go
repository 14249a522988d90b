// Package web holds the built pages and player as files. It knows nothing of HTTP, of routes or of what the files do,
// and starts no goroutines.
package web

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// ErrNotBuilt says that this binary was compiled before the player was bundled.
var ErrNotBuilt = errors.New(`the player is not built into this binary: run "make web", then build again`)

// Files gives the built files: index.html at the root, and beside it what the pages ask for under /assets/. It returns
// ErrNotBuilt where there are none. The file system is read-only and safe for concurrent use.
func Files() (fs.FS, error) {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, fmt.Errorf("open the player's files: %w", err)
	}
	if _, err := fs.Stat(files, "index.html"); err != nil {
		return nil, ErrNotBuilt
	}
	return files, nil
}
