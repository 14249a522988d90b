package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"sightline/internal/app"
	"sightline/internal/config"
	"sightline/internal/httpd"
)

func newConfigCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Work with configuration files",
		Example: "  sightline config check sightline.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usagef("config needs to be told what to do: check")
		},
	}
	cmd.AddCommand(newConfigCheckCmd())
	return cmd
}

func newConfigCheckCmd() *cobra.Command {
	var asJSON, policy bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a configuration file without starting anything",
		Long: `Read a configuration file as the server would, environment included, and print a
summary, or every fault with its line and column; its policy tests are run. Nothing is opened or changed.

With --policy it prints who may use which address of the server, and what comes on record; that is
the same for every configuration, so no file needs to be named.`,
		Example: "  sightline config check sightline.yaml\n  sightline config check --policy",
		Args: func(cmd *cobra.Command, args []string) error {
			if policy {
				return cobra.MaximumNArgs(1)(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if policy && len(args) == 0 {
				return printPolicy(cmd, asJSON)
			}
			c, err := config.Load(config.Options{File: args[0], Getenv: os.Getenv})
			if err != nil {
				return err
			}
			if err := app.CheckPolicy(c); err != nil {
				return err
			}
			if policy {
				return printPolicy(cmd, asJSON)
			}
			if asJSON {
				return printJSON(cmd, viewOf(c))
			}
			return printf(cmd, "%s: OK\n%s", args[0], summary(c))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the configuration as JSON, without logins; or the policy")
	cmd.Flags().BoolVar(&policy, "policy", false, "print who may use which address")
	return cmd
}

// printPolicy prints the table that the server routes by.
func printPolicy(cmd *cobra.Command, asJSON bool) error {
	if asJSON {
		return printJSON(cmd, httpd.Policy())
	}
	var rows [][]string
	for _, r := range httpd.Policy() {
		record := "no"
		switch {
		case r.Grants:
			record = r.Event
		case r.Event != "":
			record = r.Event + ", refusals"
		}
		rows = append(rows, []string{r.Route, r.Who, cmp.Or(r.Action, "-"), record})
	}
	return printTable(cmd, []string{"ADDRESS", "WHO", "ACTION", "ON RECORD"}, rows)
}

// configView is what `sightline config check --json` prints.
type configView struct {
	Listen  string       `json:"listen"`
	DataDir string       `json:"data_dir"`
	Audit   string       `json:"audit"`
	Cert    string       `json:"cert"` // empty: the server's own authority
	Streams []streamView `json:"streams"`
}

type streamView struct {
	Name       string          `json:"name"`
	Source     config.Source   `json:"source"`
	Publish    bool            `json:"publish"`
	Renditions []renditionView `json:"renditions"`
}

type renditionView struct {
	Name       string  `json:"name"`
	Codec      string  `json:"codec"`
	Height     int     `json:"height"`
	FPS        float64 `json:"fps"`
	BitrateBps int     `json:"bitrate_bps"`
	Preset     string  `json:"preset"`
	Encoder    string  `json:"encoder"`
}

func viewOf(c config.Config) configView {
	v := configView{Listen: c.Listen, DataDir: c.DataDir, Audit: c.Audit.Path, Cert: c.TLS.Cert, Streams: []streamView{}}
	for _, s := range c.Streams {
		sv := streamView{Name: string(s.ID), Source: s.Source, Publish: s.Publish, Renditions: []renditionView{}}
		for _, r := range s.Renditions {
			codec := r.Codec.String()
			if r.Passthrough {
				codec = "source"
			}
			sv.Renditions = append(sv.Renditions, renditionView{
				r.Name, codec, r.Height, float64(r.FrameRateMilli) / 1000, r.BitrateBps, r.Preset, r.Encoder,
			})
		}
		v.Streams = append(v.Streams, sv)
	}
	return v
}

// summary tells a person what the configuration means, a line for each thing.
func summary(c config.Config) string {
	certificate := "of the server's own authority"
	if c.TLS.Cert != "" {
		certificate = c.TLS.Cert
	}
	s := fmt.Sprintf("listen %s, data in %s, certificate %s, audit in %s\n", c.Listen, c.DataDir, certificate, c.Audit.Path)
	for _, stream := range c.Streams {
		if stream.Publish {
			s += fmt.Sprintf("stream %s: published from elsewhere\n", stream.ID)
			continue
		}
		renditions := "renditions that suit it"
		if n := len(stream.Renditions); n > 0 {
			renditions = fmt.Sprintf("%d renditions", n)
		}
		s += fmt.Sprintf("stream %s: %s, %s\n", stream.ID, stream.Source, renditions)
	}
	return s
}
