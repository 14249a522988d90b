//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
)

// sourceCases name as cameras, with the operator's own session, what is none: who has stolen one gets no file, no program and no other protocol.
func sourceCases(_ context.Context, t *target, _ plan) ([]*testCase, error) {
	sources, err := payloads(t, "sources.txt")
	if err != nil {
		return nil, err
	}
	ours := []string{"Cookie: " + t.cookie, "Origin: " + t.origin, "X-Sightline: 1"}
	var cases []*testCase
	for _, source := range sources {
		text, err := json.Marshal(source)
		if err != nil {
			return nil, err
		}
		for _, door := range []struct{ path, body string }{
			{"/api/v1/trials", fmt.Sprintf(`{"source":%s}`, text)},
			{"/api/v1/cameras", fmt.Sprintf(`{"stream":"stolen","source":%s}`, text)},
		} {
			cases = append(cases, plain("source", "", fmt.Sprintf("%s %.80q", door.path, source), request{method: "POST", path: door.path, header: ours, body: door.body}, refused("camera", "bad-input")))
		}
	}
	return cases, nil
}
