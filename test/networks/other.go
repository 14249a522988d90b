//go:build !linux

// Command networks measures what viewers behind bad networks get. It needs Linux's network namespaces.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "networks: this needs network namespaces, which only Linux has")
	os.Exit(1)
}
