//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// faultsFound is the last line of faults.mjs.
type faultsFound struct {
	Faults   []fault  `json:"faults"`
	Failures []string `json:"failures,omitempty"`
}

type fault struct {
	Name    string    `json:"name"`
	From    string    `json:"from,omitempty"`
	MS      []float64 `json:"ms,omitempty"`
	Said    string    `json:"said,omitempty"`
	LeftOut string    `json:"left_out,omitempty"`
}

func measureFaults(ctx context.Context, l *lab) (any, error) {
	var found faultsFound
	err := script(ctx, l, "faults.mjs", &found, &found.Failures)
	return found, err
}

// heldTo is what each fault may cost in the middle case, ms, and what sets the least it can.
func heldTo(name string) (most float64, limit string) {
	switch name {
	case "capture process killed":
		return 1000, "the start of a process, its encoder, and a frame interval"
	case "camera stalled":
		return 5000, "the camera's next keyframe, and where its connection was given up a pause and a login before it"
	case "server killed and started again":
		return 3000, "the start of a server and a capture process, and the page's next try"
	case "disk full, who watches":
		return 500, "a frame interval, 33 ms"
	}
	return 3000, "the time until the record is tried again, and a keyframe"
}

func tellFaults(raw json.RawMessage) (*section, error) {
	var f faultsFound
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	s := &section{Intro: "What breaks is broken on purpose, and the time to the next picture taken at a viewer. Nobody does anything to repair it: capture processes are started again by the server, cameras are asked again, pages find their way back."}
	t := &table{Head: []string{"fault", "times", "median", "worst", "counted from"}}
	for _, x := range f.Faults {
		if x.LeftOut != "" {
			s.Blocks = append(s.Blocks, text("%s: left out, %s.", x.Name, x.LeftOut))
			continue
		}
		t.Rows = append(t.Rows, []string{x.Name, fmt.Sprint(len(x.MS)), fmt.Sprintf("%.0f ms", quantile(x.MS, 0.5)), fmt.Sprintf("%.0f ms", slices.Max(x.MS)), x.From})
		most, limit := heldTo(x.Name)
		s.Rows = append(s.Rows, verdict{What: "Next picture, median: " + x.Name, Got: fmt.Sprintf("%.0f ms", quantile(x.MS, 0.5)), HeldTo: fmt.Sprintf("%g s", most/1000), Limit: limit, Holds: quantile(x.MS, 0.5) <= most})
	}
	s.Blocks = append(s.Blocks, block{Table: t})
	for _, x := range f.Faults {
		if x.Said != "" {
			s.Blocks = append(s.Blocks, text("%s: %s.", capital(x.Name), x.Said))
		}
	}
	return s, nil
}
