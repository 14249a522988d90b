//go:build race

package sandbox_test

// raceDetector takes several times the memory, so what bounds memory is tested without it.
const raceDetector = true
