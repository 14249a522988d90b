//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"

	"sightline/test/figures"
)

func measureAccess(ctx context.Context, l *lab) (any, error) {
	args := []string{"go", "run", "./test/attack", "-quick", "-seed", fmt.Sprint(l.seed)}
	if l.quick {
		args = append(args, "-only", "^(origin|ticket|matrix|wire)/")
	} else {
		args = append(args, "-attempts", "10000")
	}
	var found figures.Attack
	err := last(ctx, &found, nil, args...)
	return found, err
}

// attacks says what the classes of test/attack are.
func attacks(name string) string {
	if text, ok := map[string]string{
		"address": "credentials in addresses, and by other ways than the ones there are", "cross-site": "requests that a browser says come from another site", "forwarded": "headers by which proxies tell who asks, from one who is none",
		"frames": "broken and hostile messages", "host": "the server under other names", "hostile page": "a real browser on a page of another site", "kill": "the server killed while it writes its record",
		"limit": "too much, too long, too slow", "log": "names that would forge lines of the log", "matrix": "every kind of caller at every door", "method": "verbs that no door has", "origin": "sockets opened by pages of other sites",
		"smuggling": "requests that say two things at once", "source": "cameras whose address would reach what it may not", "stream name": "names that are none", "ticket": "tickets used twice, late, for something else",
		"token": "tokens that are expired, forged, of other kinds, of other keys", "traversal": "paths that lead out of the pages' folder", "wire": "what can be read on the network", "xss": "names and words with script in them, in a real browser",
	}[name]; ok {
		return name + ": " + text
	}
	return name
}

func tellAccess(raw json.RawMessage) (*section, error) {
	var f figures.Attack
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	s := &section{Intro: fmt.Sprintf("`test/attack` attacks every door of the real server while honest viewers come and go (%d sessions here, %d of them refused). An attempt counts as refused if it got the status that is due and not one byte of a "+
		"picture, and as recorded if the record on disk holds exactly what is due for it.", f.Honest, f.HonestRefused)}
	percent := func(n int) string {
		if f.Attempts == 0 {
			return "nothing was tried"
		}
		return fmt.Sprintf("%.4g %%", 100*float64(n)/float64(f.Attempts))
	}
	s.Rows = []verdict{
		{What: "Unauthorised attempts refused", Got: fmt.Sprintf("%d of %d, %s", f.Refused, f.Attempts, percent(f.Refused)), Claim: "100 %", Limit: "100 %", Holds: f.Attempts > 0 && f.Refused == f.Attempts && f.Misses == 0},
		{What: "Refused attempts on record", Got: fmt.Sprintf("%d of %d, %s", f.Recorded, f.Attempts, percent(f.Recorded)), HeldTo: "100 %", Limit: "100 %", Holds: f.Attempts > 0 && f.Recorded == f.Attempts && f.Misses == 0},
		{What: "Honest viewers refused meanwhile", Got: fmt.Sprintf("%d of %d", f.HonestRefused, f.Honest), HeldTo: "0", Limit: "0", Holds: f.HonestRefused == 0 && f.Honest > 0},
	}
	t := &table{Head: []string{"class", "cases", "attempts", "refused", "recorded", "misses"}}
	for _, c := range f.Classes {
		t.Rows = append(t.Rows, []string{attacks(c.Name), fmt.Sprint(c.Cases), fmt.Sprint(c.Attempts), fmt.Sprint(c.Refused), fmt.Sprint(c.Recorded), fmt.Sprint(c.Misses)})
	}
	s.Blocks = append(s.Blocks, block{Table: t}, text("Packets: all that goes to and from the server while each case is tried once is captured with tshark and searched for credentials, pictures, and the names of streams, people and headers; "+
		"a word that was sent in clear on purpose proves that the search finds things. Misses are attempts of which anything was not as it is due. What the run said:"))
	said := &table{Head: []string{"said"}}
	for _, line := range f.Said {
		said.Rows = append(said.Rows, []string{line})
	}
	s.Blocks = append(s.Blocks, block{Table: said})
	return s, nil
}
