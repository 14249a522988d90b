package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"sightline/internal/auth"
	"sightline/internal/datadir"
)

func newTokenCmd() *cobra.Command {
	var (
		data    dataDirFlags
		streams []string
		action  string
		subject string
		ttl     time.Duration
		cert    string
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:   "token --stream NAME --sub WHO",
		Short: "Make a token that lets somebody view, publish or administer streams",
		Long: `Make a token, signed with the key in the data directory, and print it alone on
standard output. The server need not run, and takes the token at once when it does.

A stream is named exactly (site/door), by its group (site/* for one level below,
site/** for all levels), or as ** for every stream. Keep the token like a password:
one that is bound to a client certificate is of no use to whoever lacks the certificate's key.`,
		Example: `  sightline token --stream door --action view --ttl 1h --sub alice
  sightline token --stream 'site/**' --action publish --ttl 24h --sub edge-agent-7
  sightline token --stream gate --action publish --certificate gate-agent.pem --sub gate-agent`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			act, err := auth.ParseAction(action)
			if err != nil {
				return usagef("--action: %w", err)
			}
			patterns, err := parseStreams(streams)
			if err != nil {
				return err
			}
			if subject == "" {
				return usagef("a token needs --sub for whom it is")
			}
			thumbprint, err := thumbprintOf(cert)
			if err != nil {
				return err
			}
			c, err := data.load()
			if err != nil {
				return err
			}
			if err := datadir.Make(c.DataDir); err != nil {
				return err
			}
			a, err := auth.Open(c.DataDir, auth.Options{MaxPublishLifetime: c.Auth.PublishTTL})
			if err != nil {
				return err
			}
			token, p, err := a.Mint(auth.Claims{
				Kind: auth.KindFor(act), Subject: subject, Grants: []auth.Grant{auth.Allow(act, patterns...)}, Lifetime: ttl,
				Certificate: thumbprint,
			})
			if err != nil {
				return err
			}
			if a.MadeKey() {
				// A mistyped directory would otherwise give a token that no server takes, and no hint why.
				cmd.PrintErrf("sightline: made a new signing key in %s: only a server with this data directory takes the token\n", c.DataDir)
			}
			if asJSON {
				return printJSON(cmd, struct {
					Token   string    `json:"token"`
					Expires time.Time `json:"expires"`
					KeyID   string    `json:"kid"`
				}{token, p.Expires, a.KeyID()})
			}
			return printf(cmd, "%s\n", token)
		},
	}
	data.add(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&streams, "stream", nil, "stream or pattern the token is for; may be repeated")
	f.StringVar(&action, "action", string(auth.View), "what it allows: view, publish or admin")
	f.StringVar(&subject, "sub", "", "for whom it is, as the audit record shall name them")
	f.DurationVar(&ttl, "ttl", time.Hour, "how long it is valid: at most 24h, or auth.publish-ttl to publish")
	f.StringVar(&cert, "certificate", "", "PEM file of the client certificate without which the token is worth nothing")
	f.BoolVar(&asJSON, "json", false, "print token, expires and kid as JSON")
	return cmd
}

// thumbprintOf is by what tokens know the certificate in a PEM file, the first if there are more; "" for no file.
func thumbprintOf(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--certificate: %w", err)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return "", fmt.Errorf("--certificate %s: %w", file, err)
		}
		return auth.Thumbprint(cert), nil
	}
	return "", fmt.Errorf("--certificate: %s holds no certificate in PEM form", file)
}

// parseStreams reads what --stream named.
func parseStreams(streams []string) ([]auth.Pattern, error) {
	if len(streams) == 0 {
		return nil, usagef("name at least one --stream, or '**' for all")
	}
	var patterns []auth.Pattern
	for _, s := range streams {
		p, err := auth.ParsePattern(s)
		if err != nil {
			return nil, usagef("--stream: %w", err)
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}
