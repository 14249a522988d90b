package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"sightline/internal/auth"
)

// linkTimeout bounds the whole conversation with the server.
const linkTimeout = 10 * time.Second

func newLinkCmd() *cobra.Command {
	var (
		data   dataDirFlags
		server string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "link",
		Short: "Make another login link for a server that is running",
		Long: `Ask the running server for a new one-time code and print the link that logs its first user in as the operator, as
the server does when it starts. It takes the key in the server's data directory, so it works for whoever may read that.`,
		Example: `  sightline link
  sightline link --server https://cam.lan:8443 --data-dir /var/lib/sightline`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := data.load()
			if err != nil {
				return err
			}
			base, err := serverURL(server, cfg.Listen)
			if err != nil {
				return err
			}
			code, err := askForCode(cmd.Context(), base, cfg.DataDir)
			if err != nil {
				return err
			}
			link := base + "/#" + code
			if asJSON {
				return printJSON(cmd, struct {
					Link    string    `json:"link"`
					Expires time.Time `json:"expires"`
				}{link, time.Now().Add(auth.MaxCodeLifetime).UTC().Truncate(time.Second)})
			}
			return printf(cmd, "%s\n", link)
		},
	}
	data.add(cmd)
	f := cmd.Flags()
	f.StringVar(&server, "server", "", "the server's address, as https://HOST:PORT; default: this machine, at the configured port")
	f.BoolVar(&asJSON, "json", false, "print link and expires as JSON")
	return cmd
}

// serverURL is where the server answers, without a slash at its end.
func serverURL(given, listen string) (string, error) {
	if given == "" {
		_, port, err := net.SplitHostPort(listen)
		if err != nil {
			return "", fmt.Errorf("listen address %q: %w", listen, err)
		}
		return "https://" + net.JoinHostPort("localhost", port), nil
	}
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || (u.Path != "" && u.Path != "/") {
		return "", usagef("--server: want an address such as https://cam.lan:8443")
	}
	return "https://" + u.Host, nil
}

// askForCode asks the server at base for a one-time code, with a token made from the key in dir.
func askForCode(ctx context.Context, base, dir string) (string, error) {
	if _, err := os.Stat(dir); err != nil { // Open would make a key there that no server has
		return "", fmt.Errorf("data directory: %w", err)
	}
	a, err := auth.Open(dir, auth.Options{})
	if err != nil {
		return "", err
	}
	token, _, err := a.Mint(auth.Claims{
		Kind: auth.KindAdmin, Subject: "link", Grants: []auth.Grant{auth.Allow(auth.Admin, "**")}, Lifetime: time.Minute,
	})
	if err != nil {
		return "", err
	}
	ca := filepath.Join(dir, "ca.pem")
	if _, err := os.Stat(ca); errors.Is(err, fs.ErrNotExist) {
		ca = "" // the server has a certificate of its operator's
	}
	tlsConfig, err := clientTLS(ca)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	return postForCode(ctx, base, token, tlsConfig)
}

func postForCode(ctx context.Context, base, token string, tlsConfig *tls.Config) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/v1/codes", nil)
	if err != nil {
		return "", fmt.Errorf("ask %s for a code: %w", base, err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	transport := &http.Transport{TLSClientConfig: tlsConfig}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", fmt.Errorf("no answer, is the server running there? Name its address with --server: %w", explainDial(err))
	}
	defer func() { _ = resp.Body.Close() }()
	var body struct {
		Code  string `json:"code"`
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 16<<10)).Decode(&body); err != nil {
		return "", fmt.Errorf("%s does not answer as a Sightline server does", base)
	}
	if resp.StatusCode != http.StatusOK || body.Code == "" {
		return "", fmt.Errorf("the server at %s refuses (is --data-dir its data directory?): %s", base, body.Error.Message)
	}
	return body.Code, nil
}
