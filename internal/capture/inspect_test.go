package capture

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sightline/internal/media"
)

// slowDecoder takes its time and gives the same picture always. It is its own engine.
type slowDecoder struct {
	Engine
	cost  time.Duration
	shown *paper
	seen  int
	open  int // times
	err   error
}

func (d *slowDecoder) NewDecoder(media.Codec) (Decoder, error) {
	d.open++
	return d, nil
}

func (d *slowDecoder) CopyLuma(c Canvas) (Canvas, error) {
	pix, _ := c.Plane(0)
	return &paper{planes: [3][]byte{bytes.Clone(pix)}}, nil
}

func (d *slowDecoder) Decode([]byte) (Canvas, error) {
	d.seen++
	time.Sleep(d.cost)
	return d.shown, d.err
}

func (d *slowDecoder) Close() { d.open-- }

// see is q.see without an error.
func see(t *testing.T, q *inspector, key bool, input Canvas) (similarity, bool) {
	t.Helper()
	result, ok, err := q.see(nil, key, input)
	if err != nil {
		t.Fatal(err)
	}
	return result, ok
}

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
				q := newInspector(d, media.CodecH264, &turns{})
				defer q.close()
				input := ramp(t, 0)
				start, samples := time.Now(), 0
				var last similarity
				for n := range 30 * 60 {
					time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / 30)))
					if result, ok := see(t, q, n%300 == 0, input); ok {
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
		q := newInspector(d, media.CodecH264, &turns{})
		defer q.close()
		input := ramp(t, 0)
		see(t, q, true, input)
		see(t, q, false, input)
		d.err = nil
		see(t, q, false, input)
		if d.seen != 1 {
			t.Fatalf("%d decoded, of which two refer to damage", d.seen)
		}
		see(t, q, true, input)
		synctest.Wait()
		if result, ok := see(t, q, false, input); !ok || result.ssim != 1 || result.psnr != 100 {
			t.Fatalf("%+v, %t, want a picture like itself", result, ok)
		}
	})
}

// Three renditions whose keyframes come at the same moment: the greediest is always the first to ask.
func TestInspector_OneAtATimeAndEachInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &slowDecoder{shown: ramp(t, 2)}
		var all turns
		var inspectors [3]*inspector
		for i := range inspectors {
			inspectors[i] = newInspector(d, media.CodecH264, &all)
		}
		input := ramp(t, 0)
		var samples [3]int
		for n := range 30 * 90 {
			time.Sleep(time.Second / 30)
			for i, q := range inspectors {
				if _, ok := see(t, q, n%300 == 0, input); ok {
					samples[i]++
				}
				if d.open > 1 {
					t.Fatalf("%d decoders at once", d.open)
				}
			}
		}
		for i, n := range samples {
			if n != 2*3 { // in each third group of pictures
				t.Errorf("rendition %d was compared %d times in 90 s, the three %v", i, n, samples)
			}
		}
		inspectors[0].close()
		inspectors[1].close()
		for n := range 31 {
			see(t, inspectors[2], n%30 == 0, input)
		}
		if d.open != 1 {
			t.Error("the only one left has no turn")
		}
		inspectors[2].close()
		if d.open != 0 {
			t.Errorf("%d decoders are left", d.open)
		}
	})
}
