// Package build tells what a program was built from.
package build

import "runtime/debug"

// Info is what the Go command recorded in the program.
type Info struct {
	Version  string // of the module: "(devel)" for a build from a work tree, "unknown" where nothing was recorded
	Revision string // of the source, "unknown" where the build did not record it
	Modified bool   // the work tree had changes beyond the revision
}

// Read reads it.
func Read() Info {
	i := Info{Version: "unknown", Revision: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return i
	}
	if info.Main.Version != "" {
		i.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			i.Revision = s.Value
		case "vcs.modified":
			i.Modified = s.Value == "true"
		}
	}
	return i
}
