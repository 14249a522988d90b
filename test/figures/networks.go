package figures

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Networks is what test/networks found.
type Networks struct {
	Cases       []NetworkCase `json:"cases"`
	Undecodable int           `json:"undecodable"`        // pictures that came without what they refer to
	LeftOut     string        `json:"left_out,omitempty"` // why there are none
}

// NetworkCase is one of its cases. In JSON its figures stand beside its name.
type NetworkCase struct {
	Name    string
	Pass    bool
	Figures map[string]float64 // by their names
	Most    map[string]float64 // what those may be that have an upper limit
	Least   map[string]float64 // what those must be that have a lower one
	Series  *Series
}

// Series is a case over time: what the slow viewer got and what its link did, in each step. Ages and lines are -1 where no picture
// came, rates of pictures where their sizes are not known, rates and queues of the link where it has no limit.
type Series struct {
	Step      float64   `json:"step_s"`
	Kbps      []float64 `json:"kbps"`
	FPS       []float64 `json:"fps"`
	AgeMedian []float64 `json:"age_p50_ms"`
	AgeMost   []float64 `json:"age_max_ms"`
	Lines     []float64 `json:"lines"`
	LinkKbps  []float64 `json:"link_kbps"`
	QueueKB   []float64 `json:"queue_kb"`
}

// parts are those of a case that are no figures, by their names.
func (c *NetworkCase) parts() map[string]any {
	return map[string]any{"name": &c.Name, "pass": &c.Pass, "most": &c.Most, "least": &c.Least, "series": &c.Series}
}

// UnmarshalJSON takes in a row whose figures stand beside its name.
func (c *NetworkCase) UnmarshalJSON(b []byte) error {
	var row map[string]json.RawMessage
	if err := json.Unmarshal(b, &row); err != nil {
		return err
	}
	c.Figures = map[string]float64{}
	parts := c.parts()
	for name, raw := range row {
		var v float64
		into, ok := parts[name]
		if !ok {
			into = &v
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !ok {
			c.Figures[name] = v
		}
	}
	return nil
}

// MarshalJSON gives such a row.
func (c NetworkCase) MarshalJSON() ([]byte, error) {
	row := c.parts()
	if c.Series == nil {
		delete(row, "series")
	}
	for name, v := range c.Figures {
		row[name] = v
	}
	return json.Marshal(row)
}

// FileName is a case's name as that of a file, without what it ends in.
func FileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
}
