//go:build linux

package v4l2

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestOpen_WhatIsNoCameraIsToldApart(t *testing.T) {
	if _, err := Open("/dev/no-such-camera"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want ErrNotExist", err)
	}
	if _, err := Open("/dev/null"); !errors.Is(err, ErrNotCamera) {
		t.Errorf("%v, want ErrNotCamera", err)
	}
}

func TestControl_ValuesAreNumbersOrWordsOfAMenu(t *testing.T) {
	power := Control{Name: "power_line_frequency", Type: "menu", Max: 3, Menu: map[int64]string{0: "Disabled", 1: "50 Hz", 3: "Auto"}}
	gain := Control{Name: "gain", Type: "int", Min: -5, Max: 100}
	for _, tc := range []struct {
		c       Control
		text    string
		want    int64
		problem string
	}{
		{power, "1", 1, ""},
		{power, "50 Hz", 1, ""},
		{power, "auto", 3, ""},
		{power, "2", 0, "want one of 0 (Disabled), 1 (50 Hz), 3 (Auto)"},
		{power, "60Hz", 0, "want one of"},
		{gain, "-5", -5, ""},
		{gain, "101", 0, "want -5 to 100"},
		{gain, "loud", 0, "want -5 to 100"},
		{Control{Name: "x", ReadOnly: true}, "0", 0, "can only be read"},
	} {
		v, err := tc.c.parse(tc.text)
		if tc.problem == "" && (err != nil || v != tc.want) || tc.problem != "" && (err == nil || !strings.Contains(err.Error(), tc.problem)) {
			t.Errorf("%s=%s: %d, %v, want %d, %q", tc.c.Name, tc.text, v, err, tc.want, tc.problem)
		}
	}
	if got := controlName("Exposure, Auto (Area 2)"); got != "exposure_auto_area_2" {
		t.Error(got)
	}
}
