// Command sightline is the server, and the tools around it. This package holds flags, signals and exit codes,
// and hands the work to the rooms under internal. Exit codes: 0 for success, 1 for a failure, 2 for a command
// line that cannot be understood.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes scripts rely on.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, newRootCmd(), os.Args[1:])
	stop()
	os.Exit(code)
}

// run executes a command line and returns the exit code. Errors go to the command's standard error.
func run(ctx context.Context, root *cobra.Command, args []string) int {
	started := false // once a command has started, an error is a failure of its work, not of its use
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	root.PrintErrf("sightline: %v\n", err)
	var usage usageError
	if started && !errors.As(err, &usage) {
		return exitFailure
	}
	root.PrintErrf("Run '%s --help' for how to use it.\n", cmd.CommandPath())
	return exitUsage
}

// usageError is a command line that cannot be understood though its flags could be read.
type usageError struct{ error }

// usagef makes a usageError.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "sightline",
		Short: "Watch cameras live in a browser, fast and safely",
		Long: `Sightline shows cameras live in a browser: the newest picture always, to nobody
without leave, and all of it on record.`,
		SilenceErrors: true, // run prints them, once
		SilenceUsage:  true,
	}
	root.AddCommand(
		newAuditCmd(),
		newBenchCmd(),
		newConfigCmd(),
		newKeysCmd(),
		newLinkCmd(),
		newRevokeCmd(),
		newServeCmd(),
		newTokenCmd(),
		newTopCmd(),
		newTrustCmd(),
		newUsersCmd(),
		newVersionCmd(),
		newWatchCmd(),
	)
	return root
}
