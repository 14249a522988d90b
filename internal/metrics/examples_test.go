package metrics_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sightline/internal/metrics"
)

// used finds the figures that a text asks for, as they are named.
func used(text string) []string {
	var list []string
	for _, name := range regexp.MustCompile(`sightline_[a-z0-9_]+`).FindAllString(text, -1) {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if whole, ok := strings.CutSuffix(name, suffix); ok && slices.Contains(metrics.Names(), whole) {
				name = whole
			}
		}
		list = append(list, name)
	}
	return list
}

func TestExamples_AskForFiguresThatThereAre(t *testing.T) {
	for _, file := range []string{"grafana/dashboard.json", "prometheus/sightline.rules.yml", "prometheus/sightline.rules.test.yml"} {
		data, err := os.ReadFile("../../examples/" + file)
		if err != nil {
			t.Fatal(err)
		}
		names := used(string(data))
		if len(names) < 8 {
			t.Errorf("%s asks for %d figures only", file, len(names))
		}
		for _, name := range names {
			if !slices.Contains(metrics.Names(), name) {
				t.Errorf("%s asks for %s, which there is not", file, name)
			}
		}
	}
}

func TestExamples_DashboardIsWhole(t *testing.T) {
	data, err := os.ReadFile("../../examples/grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		UID    string
		Panels []struct {
			ID                       int
			Type, Title, Description string
			GridPos                  struct{ X, Y, W, H int }
			Targets                  []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	if board.UID == "" || len(board.Panels) == 0 {
		t.Fatal("nothing in it")
	}
	ids := map[int]bool{}
	for i, p := range board.Panels {
		if p.Title == "" || ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 || p.Type != "row" && (p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("panel %+v", p)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			// What is not the server's own is Prometheus' or the runtime's; test/e2e asks a Prometheus for all of it.
			if len(used(target.Expr)) == 0 && !strings.Contains(target.Expr, `{job="sightline"`) || target.LegendFormat == "" {
				t.Errorf("panel %q asks for %q as %q", p.Title, target.Expr, target.LegendFormat)
			}
		}
		for _, q := range board.Panels[:i] {
			a, b := p.GridPos, q.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("panels %q and %q lie upon each other", p.Title, q.Title)
			}
		}
	}
}

func TestExamples_RulesHold(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: scripts/setup test installs it")
	}
	for _, args := range [][]string{
		{"check", "config", "prometheus.yml"}, {"check", "rules", "sightline.rules.yml"}, {"test", "rules", "sightline.rules.test.yml"},
	} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "../../examples/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestDocument_DescribesEachFigure(t *testing.T) {
	data, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range metrics.Names() {
		if !strings.Contains(string(data), "| `"+name+"` |") {
			t.Errorf("docs/metrics.md has no line for %s", name)
		}
	}
	for _, name := range used(string(data)) {
		if !slices.Contains(metrics.Names(), name) {
			t.Errorf("docs/metrics.md speaks of %s, which there is not", name)
		}
	}
}
