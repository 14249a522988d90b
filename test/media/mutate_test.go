//go:build linux

package main

import (
	"bytes"
	"image/png"
	"testing"

	"sightline/internal/h264"
)

// A crash must be the same crash tomorrow.
func TestMutant_IsTheSameEachTime(t *testing.T) {
	corpus, err := load()
	if err != nil {
		t.Fatal(err)
	}
	changed, different := 0, map[string]bool{}
	for name, b := range corpus {
		for n := range 50 {
			before := bytes.Clone(b)
			one, two := mutant(b, name, n), mutant(b, name, n)
			if !bytes.Equal(one, two) {
				t.Errorf("%s %d differs from itself", name, n)
			}
			if !bytes.Equal(b, before) {
				t.Fatalf("%s %d changed what it was made from", name, n)
			}
			if !bytes.Equal(one, b) {
				changed++
			}
			different[string(one)] = true
		}
	}
	if all := 50 * len(corpus); changed < all*9/10 || len(different) < all*8/10 {
		t.Errorf("of %d mutants %d differ from their original and %d from each other", all, changed, len(different))
	}
}

func TestBomb_IsAPicture(t *testing.T) {
	b := bomb(30_000, 30_000)
	c, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil || c.Width != 30_000 || c.Height != 30_000 || len(b) > 1<<20 {
		t.Errorf("%d bytes of %dx%d: %v", len(b), c.Width, c.Height, err)
	}
	if _, err := png.Decode(bytes.NewReader(bomb(64, 32))); err != nil {
		t.Error(err)
	}
}

func TestSPS_SaysItsSize(t *testing.T) {
	s, err := h264.ParseSPS(sps(16384, 8192))
	if err != nil || s.Width != 16384 || s.Height != 8192 {
		t.Errorf("%+v, %v", s, err)
	}
}
