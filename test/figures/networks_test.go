package figures_test

import (
	"encoding/json"
	"testing"

	"sightline/test/figures"
)

func TestNetworkCase_IsKeptAsItCame(t *testing.T) {
	const row = `{"fps":30,"least":{"fps":29},"most":{"p95_ms":60},"name":"good","p95_ms":20.5,"pass":true}`
	var c figures.NetworkCase
	if err := json.Unmarshal([]byte(row), &c); err != nil {
		t.Fatal(err)
	}
	if c.Name != "good" || !c.Pass || c.Figures["p95_ms"] != 20.5 || c.Most["p95_ms"] != 60 || c.Least["fps"] != 29 {
		t.Errorf("got %+v", c)
	}
	if b, err := json.Marshal(c); err != nil || string(b) != row {
		t.Errorf("%s, %v; want %s", b, err, row)
	}
}

func TestFileName_StandsInALinkAndOnAnyDisk(t *testing.T) {
	if got := figures.FileName("HAProxy: 1 % loss, 0.8 Mbit/s"); got != "haproxy--1---loss--0.8-mbit-s" {
		t.Errorf("got %q", got)
	}
}
