//go:build cgo

package capture

import (
	"testing"
	"testing/synctest"
	"time"

	"sightline/internal/rtsp"
)

// Who reads too slowly goes on from the newest keyframe, and never from a picture whose reference is gone.
func TestRTSPInput_DropsToTheNextKeyframe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &rtspInput{ready: make(chan struct{}, 1)}
		put := func(text string, key bool) { in.put(rtsp.Unit{Data: []byte(text), Key: key}) }
		put("old key", true)
		time.Sleep(maxBacklog)
		put("still in time", false)
		time.Sleep(time.Nanosecond)
		put("too late", false)
		put("its delta", false)
		put("new key", true)
		put("delta", false)
		in.end(nil)
		var got []string
		for {
			u, err := in.take(time.Second)
			if err != nil {
				break
			}
			got = append(got, string(u.Data))
		}
		if len(got) != 2 || got[0] != "new key" || got[1] != "delta" || in.bytes != 0 {
			t.Errorf("%q, and %d bytes left", got, in.bytes)
		}
		in.bytes = maxKeptBytes + 1
		in.err = nil
		put("too much", false)
		if len(in.queue) != 0 || in.bytes != 0 {
			t.Errorf("%d bytes are held", in.bytes)
		}
	})
}
