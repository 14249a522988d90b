package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sightline/internal/auth"
	"sightline/internal/revocation"
)

func newKeysCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Work with the keys that sign this server's tokens",
		Long: `Work with the keys in the data directory that sign this server's tokens. A server that runs sees
a change within a second; it need not be restarted.`,
		Example: "  sightline keys list\n  sightline keys rotate",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usagef("keys needs to be told what to do: list, rotate or retire")
		},
	}
	cmd.AddCommand(newKeysListCmd(), newKeysRotateCmd(), newKeysRetireCmd())
	return cmd
}

// keys opens the keys in the data directory.
func (d *dataDirFlags) keys() (*auth.Authenticator, string, error) {
	dir, err := d.existing()
	if err != nil {
		return nil, "", err
	}
	now, err := clockOf(dir)
	if err != nil {
		return nil, "", err
	}
	a, err := auth.Open(dir, auth.Options{Now: now})
	return a, dir, err
}

// revocations opens the list in a data directory.
func revocations(dir string) (*revocation.List, error) {
	now, err := clockOf(dir)
	if err != nil {
		return nil, err
	}
	return revocation.Open(dir, revocation.Options{Now: now})
}

// keyJSON is a key as commands print it.
type keyJSON struct {
	ID      string     `json:"kid"`
	State   string     `json:"state"` // active or retired
	Made    *time.Time `json:"made,omitempty"`
	Retired *time.Time `json:"retired,omitempty"`
	Until   *time.Time `json:"until,omitempty"` // the last of its tokens has expired then
}

func viewOfKey(k auth.Key) keyJSON {
	v := keyJSON{ID: k.ID, State: "active", Made: maybe(k.Made), Retired: maybe(k.Retired), Until: maybe(k.Until)}
	if v.Retired != nil {
		v.State = "retired"
	}
	return v
}

func newKeysListCmd() *cobra.Command {
	var (
		data   dataDirFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the keys whose tokens are accepted",
		Example: "  sightline keys list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, _, err := data.keys()
			if err != nil {
				return err
			}
			keys := []keyJSON{}
			for _, k := range a.Keys() {
				keys = append(keys, viewOfKey(k))
			}
			if asJSON {
				return printJSON(cmd, struct {
					Keys []keyJSON `json:"keys"`
				}{keys})
			}
			var rows [][]string
			for _, k := range keys {
				rows = append(rows, []string{k.ID, k.State, when(k.Made), when(k.Retired), when(k.Until)})
			}
			return printTable(cmd, []string{"KEY", "STATE", "MADE", "RETIRED", "ACCEPTED UNTIL"}, rows)
		},
	}
	data.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print kid, state and times as JSON")
	return cmd
}

func newKeysRotateCmd() *cobra.Command {
	var (
		data   dataDirFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new key to sign with; tokens of the old one stay good until they expire",
		Long: `Make a new key to sign with. Tokens that the old one signed are accepted until the last of them has expired;
its private half is destroyed, so that nobody can sign with it any more. Keys whose time is over are removed.`,
		Example: "  sightline keys rotate --data-dir /var/lib/sightline",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, _, err := data.keys()
			if err != nil {
				return err
			}
			key, err := a.Rotate()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, viewOfKey(key))
			}
			return printf(cmd, "Now signing with key %s.\n", key.ID)
		},
	}
	data.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print kid, state and times as JSON")
	return cmd
}

func newKeysRetireCmd() *cobra.Command {
	var data dataDirFlags
	cmd := &cobra.Command{
		Use:   "retire ID",
		Short: "Remove a key that signs no more, before its last token has expired",
		Long: `Remove a key that signs no more, and revoke it: none of its tokens is accepted any more, and what runs by them ends.
For the key that signs, rotate first. To end the tokens of a key that was stolen, use sightline revoke --key ID.`,
		Example: "  sightline keys retire NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, dir, err := data.keys()
			if err != nil {
				return err
			}
			if err := a.RemoveKey(args[0]); err != nil {
				return err
			}
			list, err := revocations(dir)
			if err == nil {
				err = list.Add(revocation.Entry{Kind: revocation.Key, Value: args[0]})
			}
			if err != nil {
				return fmt.Errorf("the key is removed, but what runs by it goes on; run sightline revoke --key=%s: %w", args[0], err)
			}
			return printf(cmd, "Key %s is removed; its tokens are refused.\n", args[0])
		},
	}
	data.add(cmd)
	return cmd
}
