package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sightline/internal/revocation"
)

func newRevokeCmd() *cobra.Command {
	var (
		data                        dataDirFlags
		token, subject, key, stream string
		all                         bool
		before                      string
		asJSON                      bool
	)
	cmd := &cobra.Command{
		Use:   "revoke (--token ID | --subject NAME | --key ID | --stream PATTERN | --all)",
		Short: "End tokens and sessions before their time",
		Long: `End tokens, and the sessions that run by them, before their time. It is on disk when the command returns, and a
server that runs ends what it bars within a second. The server need not run.

A token is named by its ID (token_id in the audit record), never by itself. A subject, a stream or all are barred with
every credential that was made up to now, or up to --before: whoever logs in anew gets in again, so disable the account
too, or take the person off the identity provider. A key is barred for ever; if it is the one that signs, a new one is
made first.`,
		Example: `  sightline revoke --subject alice
  sightline revoke --stream 'site/**' --before 2026-01-02T15:04:05Z
  sightline revoke --token 0Z5hQ3dXkq2mV7yB1nT8cE4fJ6aL9wRu`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := entryOf(map[revocation.Kind]string{
				revocation.Token: token, revocation.Subject: subject, revocation.Key: key, revocation.Stream: stream,
			}, all, before)
			if err != nil {
				return err
			}
			a, dir, err := data.keys()
			if err != nil {
				return err
			}
			if e.Kind == revocation.Key && e.Value == a.KeyID() {
				// Else the server would go on making tokens that it refuses.
				key, err := a.Rotate()
				if err != nil {
					return fmt.Errorf("nothing is revoked yet: %w", err)
				}
				cmd.PrintErrf("sightline: it was the key that signs: now signing with %s\n", key.ID)
			}
			list, err := revocations(dir)
			if err != nil {
				return err
			}
			now, err := clockOf(dir)
			if err != nil {
				return err
			}
			e = dated(e, now())
			if err := list.Add(e); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, struct {
					Kind   revocation.Kind `json:"kind"`
					Value  string          `json:"value,omitempty"`
					Before *time.Time      `json:"before,omitempty"`
				}{e.Kind, e.Value, maybe(e.Before)})
			}
			return printf(cmd, "Revoked: %s.\n", strings.TrimSpace(string(e.Kind)+" "+e.Value))
		},
	}
	data.add(cmd)
	f := cmd.Flags()
	f.StringVar(&token, "token", "", "a token, by its ID")
	f.StringVar(&subject, "subject", "", "all that one subject holds")
	f.StringVar(&key, "key", "", "all that a key has signed, by the key's ID")
	f.StringVar(&stream, "stream", "", "all use of a stream, or of those of a pattern such as site/**")
	f.BoolVar(&all, "all", false, "everything")
	f.StringVar(&before, "before", "", "for --subject, --stream and --all: what was made up to this time (RFC 3339); default: now")
	f.BoolVar(&asJSON, "json", false, "print kind, value and before as JSON")
	return cmd
}

// entryOf makes one revocation of the flags.
func entryOf(values map[revocation.Kind]string, all bool, before string) (revocation.Entry, error) {
	var e revocation.Entry
	n := 0
	for kind, value := range values {
		if value != "" {
			e.Kind, e.Value = kind, value
			n++
		}
	}
	if all {
		e.Kind, e.Value = revocation.All, ""
		n++
	}
	if n != 1 {
		return e, usagef("name one thing to revoke: --token, --subject, --key, --stream or --all")
	}
	if before != "" {
		t, err := time.Parse(time.RFC3339, before)
		if err != nil || e.Kind == revocation.Token || e.Kind == revocation.Key {
			return e, usagef("--before: want a time such as 2026-01-02T15:04:05Z, with --subject, --stream or --all")
		}
		e.Before = t
	}
	if err := dated(e, time.Now()).Validate(); err != nil {
		return e, usagef("%w", err)
	}
	return e, nil
}

// dated is e as it is made now.
func dated(e revocation.Entry, now time.Time) revocation.Entry {
	e.At = now
	if e.Before.IsZero() && e.Kind != revocation.Token && e.Kind != revocation.Key {
		e.Before = now
	}
	return e
}
