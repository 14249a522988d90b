//go:build fixed

package viewer

// With the tag fixed, with which test/networks measures what adapting is worth, each viewer is sent the best there is.
const adaptive = false
