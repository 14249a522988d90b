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
