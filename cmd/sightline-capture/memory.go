//go:build cgo && linux

package main

import (
	"log/slog"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"sightline/internal/sandbox"
)

// heapGrowth is how many percent of the live heap may be garbage. Pictures are not in Go's heap, which is small and fills slowly.
const heapGrowth = 25

// keepSmall has the process spend a little time on memory, since a machine may have one for each of many cameras.
func keepSmall(log *slog.Logger) {
	debug.SetGCPercent(heapGrowth)
	if sandbox.Inside() {
		return // the first stage has done the rest, and it stays so
	}
	// x264 asks for huge pages, and of its largest buffers it uses only the beginning.
	if err := unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0); err != nil {
		log.Warn("huge pages are used, which takes memory", "error", err)
	}
}
