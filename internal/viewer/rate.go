//go:build !fixed

package viewer

// adaptive has what a viewer is sent follow its network.
const adaptive = true
