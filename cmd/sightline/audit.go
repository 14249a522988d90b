package main

import (
	"bufio"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sightline/internal/audit"
)

func newAuditCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Check and read the record of who did what",
		Example: `  sightline audit verify
  sightline audit tail -f`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usagef("audit needs to be told what to do: verify, tail, search, export or key")
		},
	}
	cmd.AddCommand(newAuditVerifyCmd(), newAuditTailCmd(), newAuditSearchCmd(), newAuditExportCmd(), newAuditKeyCmd())
	return cmd
}

func newAuditVerifyCmd() *cobra.Command {
	var (
		from   dataDirFlags
		keys   []string
		head   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove that the record is as it was written, or name what is not",
		Long: `Read the record through all its files and check each line against the one before it,
and each checkpoint against the key that signs them. Every line that was changed,
deleted, inserted, moved or cut off is named. Exit code 0: sound; 1: not sound, or not
readable; 2: the command line cannot be understood.

The files alone cannot show that their end was cut off between two lines, or that all
of them were put back to what they were earlier. A head that was noted elsewhere, from
this command's output or from the lines sent to a syslog receiver, can: --head. Who
can read the key in the data directory can sign a record of his own: only a head kept
on another machine helps against that.`,
		Example: `  sightline audit verify
  sightline audit verify --head 4711:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  sightline audit verify --json --key ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var o audit.VerifyOptions
			for _, s := range keys {
				key, err := audit.ParseKey(s)
				if err != nil {
					return usagef("--key: %w", err)
				}
				o.Keys = append(o.Keys, key)
			}
			if head != "" {
				h, err := audit.ParseHead(head)
				if err != nil {
					return usagef("--head: %w", err)
				}
				o.Head = &h
			}
			c, err := from.load()
			if err != nil {
				return err
			}
			if len(o.Keys) == 0 {
				key, err := audit.PublicKey(c.DataDir)
				if err != nil {
					return err
				}
				o.Keys = []ed25519.PublicKey{key}
			}
			if o.Live, err = audit.InUse(c.Audit.Path); err != nil {
				return err
			}
			report, err := audit.Verify(c.Audit.Path, o)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd, report)
			} else {
				err = printReport(cmd, report)
			}
			if err == nil && !report.Sound {
				err = fmt.Errorf("the audit record is not sound: %d findings", len(report.Findings)+report.More)
			}
			return err
		},
	}
	from.add(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&keys, "key", nil, "public key that signed, as `sightline audit key` prints it; may be repeated (default: the data directory's)")
	f.StringVar(&head, "head", "", "SEQ:HASH of a line that a witness elsewhere saw")
	f.BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

// printReport tells a person what was found.
func printReport(cmd *cobra.Command, r audit.Report) error {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s: %s\n", f.Kind, f.Text)
	}
	if r.More > 0 {
		fmt.Fprintf(&b, "and %d more\n", r.More)
	}
	fmt.Fprintf(&b, "records %d to %d, of %d attempts, and %d checkpoints; signed to record %d\n",
		r.First, r.Last, r.Attempts, r.Checkpoints, r.Signed)
	if r.Removed > 0 {
		fmt.Fprintf(&b, "records before %d are in files that rotation removed\n", r.First)
	}
	if r.Unchained > 0 {
		fmt.Fprintf(&b, "the first %d records are from before the chain: nothing vouches for them\n", r.Unchained)
	}
	if r.Sound {
		b.WriteString("sound\n")
	}
	fmt.Fprintf(&b, "head %s\n", r.Head)
	return printf(cmd, "%s", b.String())
}

func newAuditKeyCmd() *cobra.Command {
	var (
		from   dataDirFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Print the public key that checkpoints are verified with",
		Long: `Print the public part of the key that signs checkpoints, to be kept where whoever can
change the record cannot change it.`,
		Example: "  sightline audit key",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := from.load()
			if err != nil {
				return err
			}
			key, err := audit.PublicKey(c.DataDir)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, struct {
					Key string `json:"key"`
					ID  string `json:"id"`
				}{audit.FormatKey(key), audit.KeyID(key)})
			}
			return printf(cmd, "%s\n", audit.FormatKey(key))
		},
	}
	from.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print key and id as JSON")
	return cmd
}

// filterFlags say which records are wanted.
type filterFlags struct {
	filter       audit.Filter
	since, until string
}

func (f *filterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.filter.Stream, "stream", "", "of this stream; site/* for all that begin so")
	flags.StringVar(&f.filter.Subject, "subject", "", "of this person or program; a* for all that begin so")
	flags.StringVar(&f.filter.Event, "event", "", "of this event, such as login or watch")
	flags.StringVar(&f.filter.Verdict, "verdict", "", "granted, refused or ended")
	flags.StringVar(&f.filter.Remote, "remote", "", "from this address or network")
	flags.StringVar(&f.since, "since", "", "not before: 2026-11-22T16:00:00Z, 2026-11-22, or how long ago, such as 90m")
	flags.StringVar(&f.until, "until", "", "before: as --since")
}

// complete checks the flags.
func (f *filterFlags) complete(now time.Time) (err error) {
	switch audit.Verdict(f.filter.Verdict) {
	case "", audit.Granted, audit.Refused, audit.Ended:
	default:
		return usagef("--verdict is %.20q: want granted, refused or ended", f.filter.Verdict)
	}
	if f.filter.Since, err = parseWhen(f.since, now); err != nil {
		return usagef("--since: %w", err)
	}
	if f.filter.Until, err = parseWhen(f.until, now); err != nil {
		return usagef("--until: %w", err)
	}
	return nil
}

// parseWhen reads a time, a day of this machine's calendar, or how long ago; "" is no time.
func parseWhen(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, now.Location()); err == nil {
		return t, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%.40q is no time: write 2026-11-22T16:00:00Z, 2026-11-22, or how long ago, such as 90m", s)
}

func newAuditTailCmd() *cobra.Command {
	var (
		from   dataDirFlags
		filter filterFlags
		n      int
		follow bool
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the last records, and those that come",
		Example: `  sightline audit tail -n 50
  sightline audit tail -f --verdict refused`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < 0 {
				return usagef("--lines is %d: want 0 or more", n)
			}
			if err := filter.complete(time.Now()); err != nil {
				return err
			}
			c, err := from.load()
			if err != nil {
				return err
			}
			entries, err := audit.Last(c.Audit.Path, max(1, n), audit.Filter{})
			if err != nil {
				return err
			}
			var after uint64
			if len(entries) > 0 {
				after = entries[len(entries)-1].Seq
			}
			if entries, err = audit.Last(c.Audit.Path, n, filter.filter); err != nil {
				return err
			}
			p := newPrinter(cmd.OutOrStdout(), asJSON)
			for _, e := range entries {
				after = max(after, e.Seq)
				p.print(e)
			}
			if err := p.flush(); err != nil || !follow {
				return err
			}
			return audit.Follow(cmd.Context(), c.Audit.Path, after, filter.filter, func(e audit.Entry) error {
				p.print(e)
				return p.flush()
			})
		},
	}
	from.add(cmd)
	filter.add(cmd)
	f := cmd.Flags()
	f.IntVarP(&n, "lines", "n", 20, "how many")
	f.BoolVarP(&follow, "follow", "f", false, "go on with records as they come")
	f.BoolVar(&asJSON, "json", false, "print the lines as they stand in the record")
	return cmd
}

func newAuditSearchCmd() *cobra.Command {
	var asJSON bool
	cmd := newAuditPrintCmd(&asJSON)
	cmd.Use, cmd.Short = "search", "Show the records that meet all conditions given"
	cmd.Example = `  sightline audit search --stream door --since 24h
  sightline audit search --verdict refused --remote 192.0.2.0/24 --json`
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the lines as they stand in the record")
	return cmd
}

func newAuditExportCmd() *cobra.Command {
	asJSON := true
	cmd := newAuditPrintCmd(&asJSON)
	cmd.Use, cmd.Short = "export", "Write records as JSON Lines, for other programs"
	cmd.Long = `Write the records that meet all conditions given, all of them without any, as JSON
Lines on standard output: each line as it stands in the record, without checkpoints.`
	cmd.Example = "  sightline audit export --since 2026-11-01 --until 2026-12-01 > november.jsonl"
	return cmd
}

// newAuditPrintCmd makes a command that prints the records that its flags choose.
func newAuditPrintCmd(asJSON *bool) *cobra.Command {
	var (
		from   dataDirFlags
		filter filterFlags
	)
	cmd := &cobra.Command{
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := filter.complete(time.Now()); err != nil {
				return err
			}
			c, err := from.load()
			if err != nil {
				return err
			}
			return printEntries(cmd, c.Audit.Path, filter.filter, *asJSON)
		},
	}
	from.add(cmd)
	filter.add(cmd)
	return cmd
}

func printEntries(cmd *cobra.Command, path string, filter audit.Filter, asJSON bool) error {
	p := newPrinter(cmd.OutOrStdout(), asJSON)
	for e, err := range audit.Entries(path) {
		if err != nil {
			return errors.Join(err, p.flush())
		}
		if filter.Match(e) {
			p.print(e)
		}
	}
	return p.flush()
}

// printer prints records, as lines of JSON or in columns.
type printer struct {
	out    *bufio.Writer
	table  *tabwriter.Writer // nil for JSON
	headed bool
}

func newPrinter(w io.Writer, asJSON bool) *printer {
	p := &printer{out: bufio.NewWriter(w)}
	if !asJSON {
		p.table = tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	}
	return p
}

// print prints e; flush says whether that succeeded. All text in e is escaped in the record already, but what was
// parsed from it is not.
func (p *printer) print(e audit.Entry) {
	if p.table == nil {
		_, _ = p.out.WriteString(e.Line + "\n") // a bufio.Writer keeps its error for Flush
		return
	}
	if !p.headed {
		p.headed = true
		_, _ = fmt.Fprintln(p.table, "SEQ\tTIME\tEVENT\tVERDICT\tREASON\tSUBJECT\tSTREAM\tREMOTE")
	}
	times := ""
	if e.Count > 0 {
		times = fmt.Sprintf(" (%d times)", e.Count)
	}
	_, _ = fmt.Fprintf(p.table, "%d\t%s\t%s\t%s\t%s%s\t%s\t%s\t%s\n", e.Seq, e.Time.Local().Format("2006-01-02 15:04:05.000"),
		visible(e.Event), visible(string(e.Verdict)), visible(e.Reason), times, visible(e.Subject), visible(e.Stream), visible(e.Remote))
}

// flush ends a table's columns as they are, and reports the first error.
func (p *printer) flush() error {
	if p.table != nil {
		_ = p.table.Flush() // its error is p.out's
	}
	if err := p.out.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// visible makes what somebody sent harmless in a terminal, and an empty column visible.
func visible(s string) string {
	if s == "" {
		return "-"
	}
	quoted := strconv.QuoteToGraphic(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
