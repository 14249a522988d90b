//go:build !linux

// Command attack needs Linux, for the many addresses of its loopback interface.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "attack: this needs Linux: attackers come from many addresses of the loopback interface")
	os.Exit(2)
}
