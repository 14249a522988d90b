package capture

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sightline/internal/media"
)

// slowDecoder takes its time and gives the same picture always.
type slowDecoder struct {
	cost  time.Duration
	shown *paper
	seen  int
	err   error
}

func (d *slowDecoder) Decode([]byte) (Canvas, error) {
	d.seen++
	time.Sleep(d.cost)
	return d.shown, d.err
}

func (d *slowDecoder) Close() {}

// ramp is a picture of slopes, with shade added to every sample.
func ramp(t *testing.T, shade byte) *paper {
	t.Helper()
	c, err := newPaper(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := c.(*paper)
	for i := range p.planes[0] {
		p.planes[0][i] = byte(i%120) + shade
	}
	return p
}

func TestInspector_KeepsToItsShare(t *testing.T) {
	for _, tc := range []struct {
		name    string
		cost    time.Duration // of one decode, 30 a second
		samples int           // at least, in a minute with a keyframe each 10 s
	}{
		{"cheap: every picture is followed", 500 * time.Microsecond, 29},
		{"as 720p: a part of each group", 2 * time.Millisecond, 11},
		{"dear: the keyframes alone", 100 * time.Millisecond, 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &slowDecoder{cost: tc.cost, shown: ramp(t, 2)}
				q := &inspector{dec: d, codec: media.CodecH264, saved: inspectStart, outcomes: make(chan outcome, 1)}
				defer q.close()
				input := ramp(t, 0)
				start, samples := time.Now(), 0
				var last similarity
				for n := range 30 * 60 {
					time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / 30)))
					if result, ok := q.see(nil, n%300 == 0, input); ok {
						samples++
						last = result
					}
				}
				if samples < tc.samples {
					t.Errorf("%d samples in a minute, want at least %d", samples, tc.samples)
				}
				// One decode beyond the budget is what it takes to notice.
				if spent, most := time.Duration(d.seen)*tc.cost, time.Duration(inspectShare*60*float64(time.Second))+inspectStart+tc.cost; spent > most {
					t.Errorf("%v spent in a minute, want at most %v", spent, most)
				}
				// A shade of 2 everywhere is an error of 4: 10 log10(255²/4).
				if last.psnr < 42.1 || last.psnr > 42.2 || last.ssim < 0.9 || last.ssim >= 1 {
					t.Errorf("%+v", last)
				}
			})
		})
	}
}

func TestInspector_DamageWaitsForTheNextKeyframe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &slowDecoder{shown: ramp(t, 0), err: errors.New("damaged")}
		q := &inspector{dec: d, codec: media.CodecH264, saved: inspectStart, outcomes: make(chan outcome, 1)}
		defer q.close()
		input := ramp(t, 0)
		q.see(nil, true, input)
		q.see(nil, false, input)
		d.err = nil
		q.see(nil, false, input)
		if d.seen != 1 {
			t.Fatalf("%d decoded, of which two refer to damage", d.seen)
		}
		q.see(nil, true, input)
		synctest.Wait()
		if result, ok := q.see(nil, false, input); !ok || result.ssim != 1 || result.psnr != 100 {
			t.Fatalf("%+v, %t, want a picture like itself", result, ok)
		}
	})
}
