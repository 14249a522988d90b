package media_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sightline/internal/media"
)

func TestParseStreamID(t *testing.T) {
	for _, tc := range []struct {
		in string
		ok bool
	}{
		{"door", true},
		{"0", true},
		{"site/hall-2/cam_1.left", true},
		{strings.Repeat("a", 64), true},
		{strings.Repeat("a", 63) + "/" + strings.Repeat("b", 64) + "/" + strings.Repeat("c", 64) + "/" + strings.Repeat("d", 61), true}, // 255
		{"", false},
		{strings.Repeat("a", 65), false},
		{strings.Repeat("a", 64) + "/" + strings.Repeat("b", 64) + "/" + strings.Repeat("c", 64) + "/" + strings.Repeat("d", 61), false}, // 256
		{"Door", false},
		{".hidden", false},
		{"-flag", false},
		{"..", false},
		{"a/../b", false},
		{"a//b", false},
		{"/a", false},
		{"a/", false},
		{"a b", false},
		{"a\n", false},
		{"tür", false},
		{"a\x00", false},
		{"**", false},
	} {
		id, err := media.ParseStreamID(tc.in)
		switch {
		case tc.ok && (err != nil || string(id) != tc.in):
			t.Errorf("%q: got %q, %v", tc.in, id, err)
		case !tc.ok && (!errors.Is(err, media.ErrStreamID) || id != ""):
			t.Errorf("%q: got %q, %v, want an error that wraps ErrStreamID", tc.in, id, err)
		}
	}
}

func FuzzParseStreamID(f *testing.F) {
	for _, s := range []string{"door", "site/door", "a//b", "..", strings.Repeat("a/", 128)} {
		f.Add(s)
	}
	shape := regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$`)
	f.Fuzz(func(t *testing.T, s string) {
		id, err := media.ParseStreamID(s)
		if err != nil {
			if len(err.Error()) > 600 || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("message %q", err)
			}
			return
		}
		if string(id) != s || !shape.MatchString(s) || len(s) > media.MaxStreamIDLen {
			t.Errorf("%q is taken as %q", s, id)
		}
	})
}

func TestTimestamp(t *testing.T) {
	at := media.Timestamp(1_000_000)
	if got := at.Add(1500*time.Nanosecond) - at; got != 1 {
		t.Errorf("1500 ns more are %d µs", got)
	}
	if got := at.Sub(at.Add(-time.Second)); got != time.Second {
		t.Errorf("a second is %s", got)
	}
}

func TestEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := media.NewEpoch()
		began := time.Now()
		time.Sleep(90 * time.Minute)
		if got := e.Now(); got != media.Timestamp(90*time.Minute/time.Microsecond) {
			t.Errorf("after 90 minutes it is %d", got)
		}
		if got := e.At(began.Add(-time.Millisecond)); got != -1000 {
			t.Errorf("a millisecond before it began it is %d", got)
		}
	})
}

func TestStatesAndCodecs(t *testing.T) {
	for _, s := range []media.State{
		media.StateWaiting, media.StateConnecting, media.StateIdle, media.StateLive,
		media.StateOffline, media.StateStalled, media.StateRestarting, media.StateEnded,
	} {
		if !s.Valid() {
			t.Errorf("%q is not valid", s)
		}
	}
	if media.State("").Valid() || media.State("LIVE").Valid() {
		t.Error("any word is a state")
	}
	for codec, name := range map[media.Codec]string{media.CodecH264: "h264", media.CodecJPEG: "jpeg", 0: "codec(0)", 3: "codec(3)"} {
		if codec.String() != name || codec.Valid() == strings.HasPrefix(name, "codec") {
			t.Errorf("codec %d: %s, valid %t", codec, codec, codec.Valid())
		}
	}
}
