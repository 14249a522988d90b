//go:build unix

package main

import (
	"bytes"
	_ "embed" // of the page
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"sightline/internal/chart"
)

// section is a chapter's content, the same for Markdown and HTML.
type section struct {
	Intro  string // what was done and what the words mean
	Rows   []verdict
	Blocks []block
}

// verdict is one figure beside what it is held to: a claim, or a bound of this project's own. Without either it is told and judged by nothing.
type verdict struct {
	What   string
	Got    string
	Claim  string // that was published of the system this one grew from, or empty
	HeldTo string // where nothing was claimed, or empty
	Limit  string // what physics or the machine sets
	Holds  bool
}

// Judged tells whether there is anything to hold.
func (v verdict) Judged() bool { return v.Claim != "" || v.HeldTo != "" }

// block is a text, a table or a plot.
type block struct {
	Text  string
	Table *table
	Plot  *figure
}

type table struct {
	Head []string
	Rows [][]string
}

// Figures tells whether a column is of figures, which stand to the right, and not of words. The first is of words.
func (t table) Figures(column int) bool {
	for _, row := range t.Rows {
		if column == 0 || row[column] == "" || !strings.ContainsRune("0123456789+-–", []rune(row[column])[0]) {
			return false
		}
	}
	return true
}

type figure struct {
	Name    string // of the file, without .svg
	Caption string
	Charts  []chart.Chart
	SVG     template.HTML // filled in by report
}

func text(format string, args ...any) block { return block{Text: fmt.Sprintf(format, args...)} }

func plot(name, caption string, charts ...chart.Chart) block {
	return block{Plot: &figure{Name: name, Caption: caption, Charts: charts}}
}

// told is a chapter as it stands in the report.
type told struct {
	Number      int
	Name, Title string
	Record      record
	Section     *section
}

// When says when and how long the chapter was measured.
func (t told) When() string {
	how := ""
	if t.Record.Quick {
		how = ", the quick way"
	}
	return fmt.Sprintf("Measured %s in %s%s, at commit %s, load before it %s. This chapter alone: `go run ./test/eval -only %s`.", t.Record.Began.Format("2006-01-02 15:04 UTC"),
		time.Duration(t.Record.Seconds*float64(time.Second)), how, t.Record.Versions["commit"], t.Record.Load, t.Name)
}

type page struct {
	Chapters []told
	Machine  []pair // of the latest chapter
	Failed   []string
	Holds    int
	Claims   int
}

type pair struct{ Name, Value string }

//go:embed report.html.tmpl
var pageText string

// report writes the report from all chapters that were measured, and gives the names of those that failed.
func report(dir string, all []chapter) ([]string, error) {
	plots := filepath.Join(dir, "plots")
	if err := forget(plots); err != nil {
		return nil, err
	}
	var p page
	var latest record
	for i, c := range all {
		b, err := os.ReadFile(filepath.Join(dir, "data", c.name+".json"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		t := told{Number: i + 1, Name: c.name, Title: c.title, Section: &section{}}
		if err == nil {
			err = json.Unmarshal(b, &t.Record)
		}
		if err != nil {
			return nil, fmt.Errorf("what was found of %s: %w", c.name, err)
		}
		if string(t.Record.Result) != "null" {
			s, err := c.tell(t.Record.Result)
			if err != nil {
				return nil, fmt.Errorf("tell of %s: %w", c.name, err)
			}
			if err := draw(plots, s); err != nil {
				return nil, fmt.Errorf("draw %s: %w", c.name, err)
			}
			t.Section = s
		}
		if t.Record.Failure != "" {
			p.Failed = append(p.Failed, c.name)
		}
		for _, v := range t.Section.Rows {
			if v.Judged() {
				p.Claims++
			}
			if v.Holds {
				p.Holds++
			}
		}
		if t.Record.Began.After(latest.Began) {
			latest = t.Record
		}
		p.Chapters = append(p.Chapters, t)
	}
	for _, from := range []map[string]string{latest.Machine, latest.Versions} {
		for name, value := range from {
			p.Machine = append(p.Machine, pair{name, value})
		}
	}
	slices.SortFunc(p.Machine, func(a, b pair) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	page, err := template.New("page").Funcs(template.FuncMap{"prose": prose}).Parse(pageText)
	if err != nil {
		return nil, err
	}
	var html bytes.Buffer
	if err := page.Execute(&html, p); err != nil {
		return nil, err
	}
	return p.Failed, errors.Join(os.WriteFile(filepath.Join(dir, "report.html"), html.Bytes(), 0o644), os.WriteFile(filepath.Join(dir, "report.md"), p.markdown(), 0o644))
}

// forget takes away what was drawn before: a plot that is drawn no more would stay for ever.
func forget(dir string) error {
	old, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	for _, file := range old {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

// draw draws a section's plots into files, and keeps them for the page.
func draw(dir string, s *section) error {
	for _, b := range s.Blocks {
		if b.Plot == nil {
			continue
		}
		var svg bytes.Buffer
		if err := chart.WriteSVG(&svg, b.Plot.Charts...); err != nil {
			return fmt.Errorf("%s: %w", b.Plot.Name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, b.Plot.Name+".svg"), svg.Bytes(), 0o644); err != nil {
			return err
		}
		// A page has the element alone, as wide as there is room.
		inline := svg.Bytes()[bytes.Index(svg.Bytes(), []byte("<svg")):]
		b.Plot.SVG = template.HTML(fixedSize.ReplaceAll(inline, []byte("<svg"))) // drawn here
	}
	return nil
}

var (
	fixedSize = regexp.MustCompile(`<svg width="[^"]*" height="[^"]*"`)
	code      = regexp.MustCompile("`([^`]*)`")
	link      = regexp.MustCompile(`\[([^\]]*)\]\(([^)]*)\)`)
)

// prose is a text in HTML: paragraphs, `code` and [links](to).
func prose(s string) template.HTML {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimSpace(s), "\n\n") {
		paragraph = code.ReplaceAllString(template.HTMLEscapeString(paragraph), "<code>$1</code>")
		b.WriteString("<p>" + link.ReplaceAllString(paragraph, `<a href="$2">$1</a>`) + "</p>\n")
	}
	return template.HTML(b.String()) // escaped above
}

const about = `Sightline shows cameras live in a browser. It grew from a system that was published with four claims, measured once on one laptop: latency under 200 ms; 25 to 30 pictures a second with up to ten viewers; pictures with a PSNR above 30 dB and an SSIM above 0.95; all unauthorised attempts blocked. This report answers each with measurements that anyone can repeat with one command, ` + "`make eval`" + `, on one machine: server, cameras and viewers share its processors. Beside each figure stands what was claimed, or what this project holds it to where nothing was claimed, and the limit that physics or the machine sets, which no program can pass.

p50, p95 and p99 are the values that 50, 95 and 99 of 100 are no larger than; p50 is the median. Load is the mean number of programs that wanted a processor in the minute before a chapter began; what the chapter before left running down is in it.`

// About is what the report is about.
func (page) About() string { return about }

func (p page) markdown() []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Evaluation\n\n%s\n", about)
	if len(p.Failed) > 0 {
		line("**These chapters failed: %s.**\n", strings.Join(p.Failed, ", "))
	}
	line("%d of %d figures hold. The same as a page with its plots: [report.html](report.html). What it is made of: [data](data).\n", p.Holds, p.Claims)
	if p.Claims > 0 {
		line("| figure | measured | claimed | held to | limit | |\n|---|---|---|---|---|---|")
		for _, c := range p.Chapters {
			for _, v := range c.Section.Rows {
				line("| %s | **%s** | %s | %s | %s | %s |", v.What, v.Got, v.Claim, v.HeldTo, v.Limit, v.Mark())
			}
		}
		line("")
	}
	for _, c := range p.Chapters {
		line("## %d. %s\n\n%s\n", c.Number, c.Title, c.When())
		if c.Record.Failure != "" {
			line("**This chapter failed:** %s\n", strings.ReplaceAll(c.Record.Failure, "\n", "; "))
		}
		if c.Section.Intro != "" {
			line("%s\n", strings.TrimSpace(c.Section.Intro))
		}
		for _, block := range c.Section.Blocks {
			switch {
			case block.Text != "":
				line("%s\n", block.Text)
			case block.Table != nil:
				line("| %s |", strings.Join(block.Table.Head, " | "))
				rule := "|"
				for i := range block.Table.Head {
					if block.Table.Figures(i) {
						rule += "---:|"
					} else {
						rule += "---|"
					}
				}
				line("%s", rule)
				for _, row := range block.Table.Rows {
					line("| %s |", strings.Join(row, " | "))
				}
				line("")
			case block.Plot != nil:
				line("![%s](plots/%s.svg)\n\n*%[1]s*\n", block.Plot.Caption, block.Plot.Name)
			}
		}
	}
	line("## The machine\n\n| what | |\n|---|---|")
	for _, m := range p.Machine {
		line("| %s | %s |", m.Name, m.Value)
	}
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
}

// Mark says in a word whether it holds.
func (v verdict) Mark() string {
	switch {
	case !v.Judged():
		return "told"
	case v.Holds:
		return "holds"
	}
	return "DOES NOT HOLD"
}
