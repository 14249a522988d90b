package main

import (
	"github.com/spf13/cobra"

	"sightline/internal/authority"
)

func newTrustCmd() *cobra.Command {
	var (
		data dataDirFlags
		undo bool
	)
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Make this machine's browsers trust the server's certificate authority",
		Long: `Put the certificate authority of the server, made at its first start, into the
stores of this system and of this user's Firefox and Chromium, so that its pages open
without a warning. It may ask for your password by way of sudo. Compare the
fingerprint it prints with the one the server prints.`,
		Example: `  sightline trust
  sightline trust --undo`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := data.load()
			if err != nil {
				return err
			}
			ca, err := authority.ReadCA(c.DataDir)
			if err != nil {
				return err
			}
			if err := ca.Trust(undo); err != nil {
				return err
			}
			if undo {
				return printf(cmd, "No longer trusted: %s\n%s\n", ca.Name(), ca.Fingerprint())
			}
			return printf(cmd, "Trusted: %s\n%s\nRestart browsers that are open.\n", ca.Name(), ca.Fingerprint())
		},
	}
	data.add(cmd)
	cmd.Flags().BoolVar(&undo, "undo", false, "take the authority out of the stores again")
	return cmd
}
