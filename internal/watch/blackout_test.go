package watch

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"
)

// TestBlackout does what testdata/blackout.json says of both viewers.
func TestBlackout(t *testing.T) {
	text, err := os.ReadFile("../../testdata/blackout.json")
	if err != nil {
		t.Fatal(err)
	}
	type act struct {
		From, To, Hears int
		Deaf, Answers   bool
		Chance          float64
		Path            struct {
			Idle       bool
			RTT        *int `json:"rtt_ms"`
			CarriesBps int  `json:"carries_bps"`
			Answered   bool
		}
		Asks, Stops *[]int
		Connects    []int
	}
	var file struct {
		Cases []struct {
			Name  string
			Trips int
			Acts  []act
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) <= 10 {
		t.Fatalf("%d cases", len(file.Cases))
	}
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			b := blackout{trips: c.Trips}
			path := pathState{}
			for _, a := range c.Acts {
				path.expects, path.rtt, path.carriesBps, path.answered = !a.Path.Idle, 40*time.Millisecond, a.Path.CarriesBps, a.Path.Answered
				if a.Path.RTT != nil {
					path.rtt = time.Duration(*a.Path.RTT) * time.Millisecond
				}
				did := map[advice][]int{}
				for at := a.From; at < a.To; at += 100 {
					now := time.Duration(at) * time.Millisecond
					hears := a.Hears > 0 && (at-a.From)%a.Hears == 0
					answers := a.Answers && slices.Contains(did[adviseAsk], at-100)
					if hears && !a.Deaf || answers {
						path.askedAt = now - 10*time.Millisecond
					}
					if hears || answers {
						b.heard(now)
					}
					advised := b.look(now, path, a.Chance)
					did[advised] = append(did[advised], at)
				}
				if a.Asks != nil && !slices.Equal(did[adviseAsk], *a.Asks) {
					t.Errorf("from %d on: asks %v, want %v", a.From, did[adviseAsk], *a.Asks)
				}
				if a.Stops != nil && !slices.Equal(did[adviseStop], *a.Stops) {
					t.Errorf("from %d on: stops %v, want %v", a.From, did[adviseStop], *a.Stops)
				}
				if !slices.Equal(did[adviseConnect], a.Connects) {
					t.Errorf("from %d on: connects %v, want %v", a.From, did[adviseConnect], a.Connects)
				}
			}
		})
	}
}
