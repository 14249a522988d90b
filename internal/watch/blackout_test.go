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
		Answers         bool
		Chance          float64
		Path            struct {
			Idle       bool
			RTT        *int `json:"rtt_ms"`
			CarriesBps int  `json:"carries_bps"`
			Answered   bool
		}
		Asks     *[]int
		Connects []int
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
			for _, a := range c.Acts {
				path := pathState{expects: !a.Path.Idle, rtt: 40 * time.Millisecond, carriesBps: a.Path.CarriesBps, answered: a.Path.Answered}
				if a.Path.RTT != nil {
					path.rtt = time.Duration(*a.Path.RTT) * time.Millisecond
				}
				var asks, connects []int
				for at := a.From; at < a.To; at += 100 {
					now := time.Duration(at) * time.Millisecond
					if a.Hears > 0 && (at-a.From)%a.Hears == 0 || a.Answers && len(asks) > 0 && asks[len(asks)-1] == at-100 {
						b.heard(now)
					}
					switch b.look(now, path, a.Chance) {
					case adviseWait:
					case adviseAsk:
						asks = append(asks, at)
					case adviseConnect:
						connects = append(connects, at)
					}
				}
				if a.Asks != nil && !slices.Equal(asks, *a.Asks) {
					t.Errorf("from %d on: asks %v, want %v", a.From, asks, *a.Asks)
				}
				if !slices.Equal(connects, a.Connects) {
					t.Errorf("from %d on: connects %v, want %v", a.From, connects, a.Connects)
				}
			}
		})
	}
}
