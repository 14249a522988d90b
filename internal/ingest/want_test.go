package ingest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"sightline/internal/hub"
	"sightline/internal/ingest"
	"sightline/internal/wire"
)

func TestServe_TargetsAreToldTenTimesASecondAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{})
		info := h264(1)
		info.MinBitrateBps, info.MaxBitrateBps = 150_000, 2_500_000
		a.send(hello(info))
		sub := a.subscribe(1)
		before, _, _ := a.got()
		told := len(before)
		time.Sleep(time.Second)
		sub.Needs(hub.Needs{CarriesBps: 2_000_000})
		synctest.Wait()
		want := func(what string, targets ...int) {
			t.Helper()
			wants, _, _ := a.got()
			wants, told = wants[told:], len(wants)
			if len(wants) != len(targets) {
				t.Errorf("%s: %d WANTs %v, want %d", what, len(wants), wants, len(targets))
				return
			}
			for i, w := range wants {
				if got := []wire.WantedRendition{{ID: 1, BitrateBps: targets[i]}}; len(w.Renditions) != 1 || w.Renditions[0] != got[0] {
					t.Errorf("%s: told %v, want %v", what, w.Renditions, got)
				}
			}
		}
		want("the first, at once", 2_000_000)
		for bps := 1_900_000; bps >= 1_000_000; bps -= 100_000 {
			time.Sleep(5 * time.Millisecond)
			sub.Needs(hub.Needs{CarriesBps: bps})
		}
		synctest.Wait()
		want("within a tenth of a second")
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		want("then the newest alone", 1_000_000)
		sub.Needs(hub.Needs{CarriesBps: 1_020_000})
		time.Sleep(time.Second)
		synctest.Wait()
		want("no news")
		sub.Close()
		synctest.Wait() // what that changes is told before the agent hangs up
		a.leave()
	})
}

func TestServe_EnoughPicturesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, ingest.Options{})
		a.send(hello(h264(1)))
		sub := a.subscribe(1)
		time.Sleep(time.Second)
		for _, rate := range []int{10_000, 15_000, 0} {
			sub.Needs(hub.Needs{FrameRateMilli: rate})
			synctest.Wait()
			wants, _, _ := a.got()
			if last := wants[len(wants)-1]; len(last.Renditions) != 1 || last.Renditions[0].MaxFrameRateMilli != rate {
				t.Errorf("told %v, want at most %d pictures in 1000 s", last.Renditions, rate)
			}
			time.Sleep(time.Second)
		}
		sub.Close()
		synctest.Wait() // what that changes is told before the agent hangs up
		a.leave()
	})
}
