package main

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"sightline/internal/config"
	"sightline/internal/walltime"
)

// dataDirFlags say which server is meant, for commands that read its configuration and work on its data directory.
type dataDirFlags struct{ file, dir string }

func (d *dataDirFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.file, "config", "", "the server's configuration file, for its data directory and the rest")
	cmd.Flags().StringVar(&d.dir, "data-dir", "", "the server's data directory")
}

// load reads the configuration.
func (d *dataDirFlags) load() (config.Config, error) {
	return config.Load(config.Options{File: d.file, Getenv: os.Getenv, DataDir: d.dir})
}

// existing is the data directory, which must exist: a mistyped one would otherwise be made, and no server would look there.
func (d *dataDirFlags) existing() (string, error) {
	c, err := d.load()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(c.DataDir); err != nil {
		return "", fmt.Errorf("data directory: %w: name the server's with --data-dir", err)
	}
	return c.DataDir, nil
}

// clockOf is the server's clock: it has never gone back, even where this system's has.
func clockOf(dir string) (func() time.Time, error) {
	c, err := walltime.Open(dir, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return c.Now, nil
}
