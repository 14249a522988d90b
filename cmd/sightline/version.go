package main

import (
	"runtime"

	"github.com/spf13/cobra"

	"sightline/internal/build"
)

// versionInfo is what `sightline version --json` prints.
type versionInfo struct {
	Version  string `json:"version"` // "(devel)" for a build from a work tree
	Go       string `json:"go"`
	Revision string `json:"revision"` // of the source, "unknown" where the build did not record it
	Modified bool   `json:"modified"` // the work tree had changes beyond the revision
	Platform string `json:"platform"`
}

func newVersionCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print what this program was built from",
		Example: "  sightline version --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := readVersion()
			if asJSON {
				return printJSON(cmd, v)
			}
			revision := v.Revision
			if v.Modified {
				revision += " with changes"
			}
			return printf(cmd, "sightline %s\nrevision %s\n%s\n%s\n", v.Version, revision, v.Go, v.Platform)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func readVersion() versionInfo {
	b := build.Read()
	return versionInfo{
		Version: b.Version, Go: runtime.Version(), Revision: b.Revision, Modified: b.Modified, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
}
