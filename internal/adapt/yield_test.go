package adapt_test

import (
	"testing"
	"time"

	"sightline/internal/adapt"
)

func TestYield(t *testing.T) {
	const wanted = 800_000
	for _, tc := range []struct {
		name  string
		makes float64 // of what it is asked for
		want  float64 // what comes out, of what is wanted
	}{
		{"what is asked", 1, 1},
		{"a sixth less", 5.0 / 6, 1},
		{"a tenth more", 1.1, 1},
		{"an easy scene: no more is asked for than a quarter more", 0.1, 0.125},
		{"twice as much: no less is asked for than a fifth less", 2, 1.6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var y adapt.Yield
			asked := y.Ask(wanted)
			if asked != wanted {
				t.Errorf("asked for %d before anything is known", asked)
			}
			made := 0.0
			for n := range 300 {
				now := at(time.Duration(n) * interval)
				bits := tc.makes * float64(asked) * interval.Seconds()
				y.Made(int(bits/8), now)
				if n%3 == 0 {
					asked = y.Ask(wanted)
				}
				made = bits / interval.Seconds() / wanted
			}
			if made < tc.want*0.99 || made > tc.want*1.01 {
				t.Errorf("makes %.3f of what is wanted, want %.3f", made, tc.want)
			}
		})
	}
}

func TestYield_ForgetsNothingWhileNothingIsEncoded(t *testing.T) {
	var y adapt.Yield
	y.Ask(1_000_000)
	for n := range 100 {
		y.Made(3_333, at(time.Duration(n)*interval)) // 0.8 of it
	}
	before := y.Ask(1_000_000)
	y.Ask(0)
	for n := range 100 {
		y.Made(100_000, at(10*time.Second+time.Duration(n)*interval)) // at its most
	}
	y.Ask(1_000_000)
	y.Made(10, at(time.Minute))
	if after := y.Ask(1_000_000); after != before || after < 1_200_000 {
		t.Errorf("asks for %d, before for %d", after, before)
	}
}
