//go:build race

package sandbox_test

// raceDetector needs terabytes of addresses, so tests of memory limits are for programs without it.
const raceDetector = true
