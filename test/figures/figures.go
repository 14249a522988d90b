// Package figures holds what measuring programs print as their last line, for those that read it.
package figures

// Attack is what test/attack found.
type Attack struct {
	Cases         int `json:"cases"`
	Attempts      int `json:"attempts"`
	Refused       int `json:"refused"`
	Recorded      int `json:"recorded"`
	Honest        int `json:"honest_sessions"`
	HonestRefused int `json:"honest_refused"`
	Misses        int `json:"misses"`

	Classes []AttackClass `json:"classes"`
	Said    []string      `json:"said"`
}

// AttackClass is what it found of one class of cases.
type AttackClass struct {
	Name     string `json:"name"`
	Cases    int    `json:"cases"`
	Attempts int    `json:"attempts"`
	Refused  int    `json:"refused"`
	Recorded int    `json:"recorded"`
	Misses   int    `json:"misses"`
}

// Series is a case of test/networks over time: what the slow viewer got and what its link did, in each step. Ages and lines are -1 where no picture
// came, rates and queues of the link where it has no limit.
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
