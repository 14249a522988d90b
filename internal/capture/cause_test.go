package capture

import (
	"errors"
	"fmt"
	"testing"

	"sightline/internal/av"
	"sightline/internal/media"
)

func TestCauseOf(t *testing.T) {
	src, err := ParseSource("rtsp://camera.lan/stream")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		err  error
		want media.Cause
	}{
		{"nothing is wrong", nil, ""},
		{"a password", explain(src, av.ErrUnauthorized), media.CauseRefused},
		{"no answer", explain(src, av.ErrTimeout), media.CauseSilent},
		{"no answer, said once more", fmt.Errorf("again: %w", explain(src, av.ErrTimeout)), media.CauseSilent},
		{"no pictures for a while", fmt.Errorf("it sends %w", ErrPaused), media.CauseNoPictures},
		{"the end", fmt.Errorf("it %w", ErrEnded), media.CauseEnded},
		{"what has no word", explain(src, errors.New("odd")), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := causeOf(tc.err); got != tc.want || got != "" && !got.Known() {
				t.Errorf("cause %q, want %q", got, tc.want)
			}
		})
	}
}
