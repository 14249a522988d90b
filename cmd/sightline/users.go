package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sightline/internal/accounts"
	"sightline/internal/auth"
	"sightline/internal/revocation"
)

// invitePrefix marks a set-up code behind # in a link, apart from a code that logs in.
const invitePrefix = "invite."

func newUsersCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "users",
		Short: "Work with the people who log in by name and password",
		Long: `Work with the accounts in the data directory, of people who log in by name and password. A server that runs
sees a change at the next login; what is disabled or removed is also ended where it runs.`,
		Example: "  sightline users add alice --role viewer --stream 'site/**' --invite\n  sightline users list",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usagef("users needs to be told what to do: add, list, disable, enable, passwd or remove")
		},
	}
	cmd.AddCommand(
		newUsersAddCmd(), newUsersListCmd(), newUsersPasswdCmd(),
		newUsersChangeCmd("disable", "Keep an account from logging in, and end what it has running", true, func(b *accounts.Book, name string) error {
			return b.Disable(name, true)
		}),
		newUsersChangeCmd("enable", "Let an account log in again", false, func(b *accounts.Book, name string) error {
			return b.Disable(name, false)
		}),
		newUsersChangeCmd("remove", "Forget an account, and end what it has running", true, func(b *accounts.Book, name string) error {
			return b.Remove(name)
		}),
	)
	return cmd
}

// book opens the accounts of a data directory.
func (d *dataDirFlags) book() (*accounts.Book, string, error) {
	dir, err := d.existing()
	if err != nil {
		return nil, "", err
	}
	now, err := clockOf(dir)
	if err != nil {
		return nil, "", err
	}
	b, err := accounts.Open(dir, accounts.Options{Now: now})
	return b, dir, err
}

func newUsersAddCmd() *cobra.Command {
	var (
		data    dataDirFlags
		role    string
		streams []string
		invite  bool
		server  string
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make an account",
		Long: `Make an account. Its password is asked for, or read as one line where standard input is no terminal; with --invite
none is: a link is printed instead, with which its holder sets one, once, within three days.

A viewer may view the streams named, an operator also publish to them, an admin also administer them; a stream is
named exactly, by its group (site/* or site/**), or as ** for all.`,
		Example: `  sightline users add alice --role viewer --stream 'site/**' --invite --server https://cam.lan:8443
  pass cameras/bob | sightline users add bob --role admin --stream '**'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := accounts.ParseRole(role)
			if err != nil {
				return usagef("--role: %w", err)
			}
			patterns, err := parseStreams(streams)
			if err != nil {
				return err
			}
			b, _, err := data.book()
			if err != nil {
				return err
			}
			if invite {
				return addInvited(cmd, b, data, args[0], r, patterns, server, asJSON)
			}
			password, err := readPassword(cmd, args[0])
			if err != nil {
				return err
			}
			if err := b.Add(args[0], r, patterns); err != nil {
				return err
			}
			if err := b.SetPassword(args[0], password); err != nil {
				return errors.Join(err, b.Remove(args[0]))
			}
			if asJSON {
				return printJSON(cmd, struct {
					Name string `json:"name"`
				}{args[0]})
			}
			return printf(cmd, "Added %s, %s.\n", args[0], r)
		},
	}
	data.add(cmd)
	f := cmd.Flags()
	f.StringVar(&role, "role", string(accounts.Viewer), "viewer, operator or admin")
	f.StringArrayVar(&streams, "stream", nil, "stream or pattern the role is for; may be repeated")
	f.BoolVar(&invite, "invite", false, "print a link with which the password is set, instead of asking for one")
	f.StringVar(&server, "server", "", "for the link: the server's address, as https://HOST:PORT; default: this machine, at the configured port")
	f.BoolVar(&asJSON, "json", false, "print name, and link and expires of an invitation, as JSON")
	return cmd
}

func addInvited(cmd *cobra.Command, b *accounts.Book, data dataDirFlags, name string, role accounts.Role, patterns []auth.Pattern, server string, asJSON bool) error {
	c, err := data.load()
	if err != nil {
		return err
	}
	base, err := serverURL(server, c.Listen)
	if err != nil {
		return err
	}
	if err := b.Add(name, role, patterns); err != nil {
		return err
	}
	code, expires, err := b.Invite(name)
	if err != nil {
		return errors.Join(err, b.Remove(name))
	}
	link := base + "/#" + invitePrefix + code
	if asJSON {
		return printJSON(cmd, struct {
			Name    string    `json:"name"`
			Link    string    `json:"link"`
			Expires time.Time `json:"expires"`
		}{name, link, expires})
	}
	return printf(cmd, "%s\n", link)
}

// userJSON is an account as commands print it.
type userJSON struct {
	Name     string         `json:"name"`
	Role     accounts.Role  `json:"role"`
	Streams  []auth.Pattern `json:"streams"`
	State    string         `json:"state"` // active, disabled, invited, or unusable: neither password nor invitation
	Made     *time.Time     `json:"made"`
	Password bool           `json:"password"`
	Invited  *time.Time     `json:"invited_until,omitempty"`
}

func viewOfUser(a accounts.Account) userJSON {
	u := userJSON{Name: a.Name, Role: a.Role, Streams: a.Streams, State: "active", Made: maybe(a.Made), Password: a.HasPassword, Invited: maybe(a.Invited)}
	switch {
	case a.Disabled:
		u.State = "disabled"
	case a.HasPassword:
	case u.Invited != nil:
		u.State = "invited"
	default:
		u.State = "unusable"
	}
	return u
}

func newUsersListCmd() *cobra.Command {
	var (
		data   dataDirFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the accounts",
		Example: "  sightline users list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, _, err := data.book()
			if err != nil {
				return err
			}
			list, err := b.List()
			if err != nil {
				return err
			}
			users := []userJSON{}
			for _, a := range list {
				users = append(users, viewOfUser(a))
			}
			if asJSON {
				return printJSON(cmd, struct {
					Users []userJSON `json:"users"`
				}{users})
			}
			var rows [][]string
			for _, u := range users {
				var streams []string
				for _, p := range u.Streams {
					streams = append(streams, string(p))
				}
				rows = append(rows, []string{u.Name, string(u.Role), u.State, strings.Join(streams, " ")})
			}
			return printTable(cmd, []string{"NAME", "ROLE", "STATE", "STREAMS"}, rows)
		},
	}
	data.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print all of it as JSON")
	return cmd
}

func newUsersPasswdCmd() *cobra.Command {
	var data dataDirFlags
	cmd := &cobra.Command{
		Use:   "passwd NAME",
		Short: "Set an account's password, and end what it has running",
		Long: `Set an account's password, which is asked for, or read as one line where standard input is no terminal, and end the
sessions it has.`,
		Example: "  sightline users passwd alice",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, dir, err := data.book()
			if err != nil {
				return err
			}
			password, err := readPassword(cmd, args[0])
			if err != nil {
				return err
			}
			if err := b.SetPassword(args[0], password); err != nil {
				return err
			}
			if err := endSessions(dir, args[0]); err != nil {
				return err
			}
			return printf(cmd, "The password of %s is set.\n", args[0])
		},
	}
	data.add(cmd)
	return cmd
}

// newUsersChangeCmd makes a command that changes one account; ends tells that its sessions end with it.
func newUsersChangeCmd(verb, short string, ends bool, change func(*accounts.Book, string) error) *cobra.Command {
	var data dataDirFlags
	cmd := &cobra.Command{
		Use:     verb + " NAME",
		Short:   short,
		Example: "  sightline users " + verb + " alice",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, dir, err := data.book()
			if err != nil {
				return err
			}
			if err := change(b, args[0]); err != nil {
				return err
			}
			if ends {
				if err := endSessions(dir, args[0]); err != nil {
					return err
				}
			}
			return printf(cmd, "Done: %s %s.\n", verb, args[0])
		},
	}
	data.add(cmd)
	return cmd
}

// endSessions revokes what a subject has. It comes after the change: nobody logs in between by what was changed.
func endSessions(dir, subject string) error {
	list, err := revocations(dir)
	if err == nil {
		err = list.Add(revocation.Entry{Kind: revocation.Subject, Value: subject})
	}
	if err != nil {
		return fmt.Errorf("the account is changed, but its sessions are not ended; try again: %w", err)
	}
	return nil
}

// readPassword asks for a password twice, or reads one line where standard input is no terminal.
func readPassword(cmd *cobra.Command, name string) (string, error) {
	if in, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		var typed [2]string
		for i, ask := range []string{"Password for " + name + ": ", "Once more: "} {
			cmd.PrintErr(ask)
			b, err := term.ReadPassword(int(in.Fd()))
			cmd.PrintErrln()
			if err != nil {
				return "", fmt.Errorf("read the password: %w", err)
			}
			typed[i] = string(b)
		}
		if typed[0] != typed[1] {
			return "", errors.New("the two are not the same: try again")
		}
		return typed[0], nil
	}
	line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
