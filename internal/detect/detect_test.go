package detect

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sightline/internal/audit"
)

// tape is a record of events that a test writes.
type tape struct {
	at     time.Time
	seq    uint64
	events []Event
}

func newTape() *tape { return &tape{at: time.Date(2026, 3, 4, 10, 0, 0, 0, time.Local)} }

func (p *tape) add(after time.Duration, r audit.Record) {
	p.at = p.at.Add(after)
	p.seq++
	p.events = append(p.events, Event{Seq: p.seq, At: p.at, Record: r})
}

func (p *tape) refused(after time.Duration, event, reason, remote string) {
	p.add(after, audit.Record{Event: event, Verdict: audit.Refused, Reason: reason, Remote: remote})
}

func (p *tape) watch(after time.Duration, subject, token, stream, remote string) {
	p.add(after, audit.Record{Event: "watch", Verdict: audit.Granted, Subject: subject, TokenID: token, Stream: stream, Remote: remote})
}

func (p *tape) leave(after time.Duration, subject, token, stream, remote string) {
	p.add(after, audit.Record{Event: "watch-end", Verdict: audit.Ended, Reason: "left", Subject: subject, TokenID: token, Stream: stream, Remote: remote})
}

func (p *tape) login(after time.Duration, verdict audit.Verdict, subject, remote string) {
	p.add(after, audit.Record{Event: "login", Verdict: verdict, Subject: subject, Remote: remote})
}

func (p *tape) publish(after time.Duration, stream, remote string) {
	p.add(after, audit.Record{Event: "publish", Verdict: audit.Granted, Subject: "agent", TokenID: "p", Stream: stream, Remote: remote})
}

// play gives the alerts of a fresh detector, ticks between events and for a minute after them included.
func (p *tape) play(opts Options) []Alert {
	d := New(opts)
	var found []Alert
	for _, e := range p.events {
		found = append(found, d.Observe(e)...)
	}
	for range 12 {
		p.at = p.at.Add(5 * time.Second)
		found = append(found, d.Tick(p.at)...)
	}
	return found
}

func names(alerts []Alert) []string {
	list := []string{}
	for _, a := range alerts {
		list = append(list, a.Rule+" "+string(a.Level))
	}
	return list
}

func TestObserve_ScriptedCases(t *testing.T) {
	const s = time.Second
	week := func(p *tape) { // somebody watches door each morning of a week, and one of its evenings is busier
		for range 8 {
			p.watch(0, "alice", "a", "door", "192.0.2.1")
			p.leave(time.Hour, "alice", "a", "door", "192.0.2.1")
			p.at = p.at.Add(23 * time.Hour)
		}
	}
	for _, c := range []struct {
		name  string
		write func(*tape)
		opts  Options
		want  []string
	}{
		{name: "a token of an impossible form", write: func(p *tape) { p.refused(s, "watch", "forged", "198.51.100.1") }, want: []string{"D01 alert"}},
		{name: "the same a moment later is not told twice, and again after ten minutes it is", write: func(p *tape) {
			p.refused(s, "watch", "forged", "198.51.100.1")
			p.refused(s, "api", "forged", "198.51.100.1")
			p.refused(11*time.Minute, "watch", "forged", "198.51.100.1")
		}, want: []string{"D01 alert", "D01 alert"}},
		{name: "two wrong signatures are a slip", write: func(p *tape) {
			p.refused(s, "watch", "bad-signature", "198.51.100.1")
			p.refused(s, "watch", "bad-signature", "198.51.100.1")
			p.refused(11*time.Minute, "watch", "bad-signature", "198.51.100.1")
		}, want: []string{}},
		{name: "three from one source are not", write: func(p *tape) {
			for range 3 {
				p.refused(s, "watch", "bad-signature", "198.51.100.1")
			}
		}, want: []string{"D02 alert"}},
		{name: "three from three sources are three slips", write: func(p *tape) {
			for i := range 3 {
				p.refused(s, "watch", "bad-signature", fmt.Sprintf("198.51.100.%d", i))
			}
		}, want: []string{}},
		{name: "a ticket tried again", write: func(p *tape) {
			p.watch(s, "alice", "a", "door", "192.0.2.1")
			p.refused(10*s, "watch", "used", "192.0.2.1")
		}, want: []string{"D03 alert"}},
		{name: "a browser that asks twice", write: func(p *tape) {
			p.watch(s, "alice", "a", "door", "192.0.2.1")
			p.refused(s, "watch", "used", "192.0.2.1")
		}, want: []string{"D03 info"}},
		{name: "a ticket tried by somebody else at once", write: func(p *tape) {
			p.watch(s, "alice", "a", "door", "192.0.2.1")
			p.refused(s, "watch", "used", "198.51.100.1")
		}, want: []string{"D03 alert"}},
		{name: "stuffing", write: func(p *tape) {
			for i := range 10 {
				p.login(s, audit.Refused, fmt.Sprintf("user%d", i), "198.51.100.1")
			}
		}, want: []string{"D04 alert"}},
		{name: "ten slips of ten users behind one address among many logins", write: func(p *tape) {
			for i := range 10 {
				p.login(s, audit.Granted, fmt.Sprintf("user%d", i), "198.51.100.1")
				p.login(s, audit.Refused, fmt.Sprintf("user%d", i), "198.51.100.1")
			}
		}, want: []string{}},
		{name: "one user who forgot the password", write: func(p *tape) {
			for range 30 {
				p.login(s, audit.Refused, "alice", "192.0.2.1")
			}
		}, want: []string{}},
		{name: "a spray", write: func(p *tape) {
			for i := range 20 {
				p.login(10*s, audit.Refused, fmt.Sprintf("user%d", i), fmt.Sprintf("198.51.100.%d", i%10))
			}
		}, want: []string{"D05 alert"}},
		{name: "a slow spray is under the threshold", write: func(p *tape) {
			for i := range 20 {
				p.login(2*time.Minute, audit.Refused, fmt.Sprintf("user%d", i), fmt.Sprintf("198.51.100.%d", i%10))
			}
		}, want: []string{}},
		{name: "one token in two networks", write: func(p *tape) {
			p.watch(s, "alice", "a", "door", "192.0.2.1")
			p.watch(s, "alice", "a", "door", "198.51.100.1")
		}, want: []string{"D06 alert"}},
		{name: "a phone that leaves the house", write: func(p *tape) {
			p.watch(s, "alice", "a", "door", "192.0.2.1")
			p.watch(s, "alice", "a", "door", "198.51.100.1")
			p.leave(10*s, "alice", "a", "door", "192.0.2.1")
		}, want: []string{}},
		{name: "two addresses of one network", write: func(p *tape) {
			p.watch(s, "alice", "a", "door", "192.0.2.1")
			p.watch(s, "alice", "a", "yard", "192.0.2.200")
		}, want: []string{}},
		{name: "one device with an address of each kind", write: func(p *tape) {
			p.watch(s, "alice", "a", "door", "192.0.2.1")
			p.watch(s, "alice", "a", "yard", "2001:db8::1")
		}, want: []string{"D06 info"}},
		{name: "two people from two networks", write: func(p *tape) {
			p.watch(s, "alice", "a", "door", "192.0.2.1")
			p.watch(s, "bob", "b", "door", "198.51.100.1")
		}, want: []string{}},
		{name: "guessing the names of streams", write: func(p *tape) {
			for i := range 8 {
				p.add(s, audit.Record{Event: "watch", Verdict: audit.Refused, Reason: "not-allowed", Subject: "eve", TokenID: "e", Stream: fmt.Sprintf("cam%d", i), Remote: "198.51.100.1"})
			}
		}, want: []string{"D07 alert"}},
		{name: "a wall that reloads a camera that was taken away", write: func(p *tape) {
			for range 50 {
				p.add(s, audit.Record{Event: "watch", Verdict: audit.Refused, Reason: "not-allowed", Subject: "wall", TokenID: "w", Stream: "gone", Remote: "192.0.2.1"})
			}
		}, want: []string{}},
		{name: "a crowd", write: func(p *tape) {
			for i := range 11 {
				p.watch(s, fmt.Sprintf("user%d", i), fmt.Sprint(i), "door", "192.0.2.1")
			}
		}, want: []string{"D08 alert"}},
		{name: "ten viewers are none", write: func(p *tape) {
			for i := range 10 {
				p.watch(s, fmt.Sprintf("user%d", i), fmt.Sprint(i), "door", "192.0.2.1")
			}
		}, want: []string{}},
		{name: "three new networks at a camera that has a history", write: func(p *tape) {
			week(p)
			for i := range 3 {
				remote := fmt.Sprintf("198.51.%d.1", i)
				p.watch(s, "alice", fmt.Sprint(i), "door", remote)
				p.leave(s, "alice", fmt.Sprint(i), "door", remote)
			}
		}, want: []string{"D08 alert"}},
		{name: "three networks at a camera that is new", write: func(p *tape) {
			for i := range 3 {
				p.watch(s, "alice", fmt.Sprint(i), "door", fmt.Sprintf("198.51.%d.1", i))
			}
		}, want: []string{}},
		{name: "another address publishes", write: func(p *tape) {
			p.publish(time.Hour, "phone", "192.0.2.1")
			p.publish(time.Hour, "phone", "198.51.100.1")
		}, want: []string{"D09 alert"}},
		{name: "the same one comes back", write: func(p *tape) {
			p.publish(time.Hour, "phone", "192.0.2.1")
			p.publish(time.Hour, "phone", "192.0.2.1")
		}, want: []string{}},
		{name: "a second publisher", write: func(p *tape) {
			p.add(s, audit.Record{Event: "publish-end", Verdict: audit.Ended, Reason: "taken", Subject: "eve", TokenID: "e", Stream: "phone", Remote: "198.51.100.1"})
		}, want: []string{"D10 alert"}},
		{name: "an odd hour", opts: Options{Sensitive: []string{"vault"}, OpenFrom: 12, OpenUntil: 18}, write: func(p *tape) {
			p.watch(s, "alice", "a", "vault", "192.0.2.1")
			p.leave(s, "alice", "a", "vault", "192.0.2.1")
			p.watch(time.Hour, "alice", "a", "vault", "192.0.2.1")
		}, want: []string{"D11 digest"}},
		{name: "a usual hour, and a camera that is not sensitive", opts: Options{Sensitive: []string{"vault"}, OpenFrom: 8, OpenUntil: 18}, write: func(p *tape) {
			p.watch(s, "alice", "a", "vault", "192.0.2.1")
			p.watch(s, "alice", "a", "door", "192.0.2.1")
		}, want: []string{}},
		{name: "a record is missing", write: func(p *tape) {
			p.watch(s, "alice", "a", "door", "192.0.2.1")
			p.seq++
			p.leave(s, "alice", "a", "door", "192.0.2.1")
		}, want: []string{"D12 alert"}},
		{name: "the clock goes back", write: func(p *tape) {
			p.watch(s, "alice", "a", "door", "192.0.2.1")
			p.leave(-time.Hour, "alice", "a", "door", "192.0.2.1")
		}, want: []string{"D12 alert"}},
		{name: "the clock is put right by a second", write: func(p *tape) {
			p.watch(s, "alice", "a", "door", "192.0.2.1")
			p.leave(-s, "alice", "a", "door", "192.0.2.1")
		}, want: []string{}},
		{name: "the record was found torn", write: func(p *tape) {
			p.add(s, audit.Record{Event: "audit", Verdict: audit.Ended, Action: "mend", Reason: "unfinished line"})
		}, want: []string{"D12 alert"}},
		{name: "an old file of the record is removed, as it should be", write: func(p *tape) {
			p.add(s, audit.Record{Event: "audit", Verdict: audit.Ended, Action: "prune", Reason: "audit-1.jsonl"})
		}, want: []string{}},
		{name: "a flood of wrong signatures, folded into one record", write: func(p *tape) {
			p.refused(s, "watch", "bad-signature", "198.51.100.1")
			p.events[0].Count = 400
		}, want: []string{"D02 alert"}},
		{name: "a new administrator and a new origin", write: func(p *tape) {
			for _, what := range []string{"new: administrator bob", "new: origin https://a.example", "new: administrator bob"} {
				p.add(s, audit.Record{Event: "weakened", Verdict: audit.Granted, Reason: what})
			}
		}, want: []string{"D13 alert", "D13 alert"}},
		{name: "half a minute of strangers at the door", write: func(p *tape) {
			for range 16 {
				p.refused(2*s, "connect", "crowded-out 400", "198.51.100.1")
			}
		}, want: []string{"D14 alert"}},
		{name: "a burst of them", write: func(p *tape) {
			for range 5 {
				p.refused(2*s, "connect", "crowded-out 400", "198.51.100.1")
			}
		}, want: []string{}},
		{name: "one on nine cameras", write: func(p *tape) {
			for i := range 9 {
				p.watch(s, "alice", "a", fmt.Sprintf("cam%d", i), "192.0.2.1")
			}
		}, want: []string{"D15 digest"}},
		{name: "a control room", opts: Options{Walls: []string{"wall"}}, write: func(p *tape) {
			for i := range 30 {
				p.watch(s, "wall", "w", fmt.Sprintf("cam%d", i), "192.0.2.1")
			}
		}, want: []string{}},
		{name: "nine cameras one after another", write: func(p *tape) {
			for i := range 9 {
				p.watch(s, "alice", "a", fmt.Sprintf("cam%d", i), "192.0.2.1")
				p.leave(s, "alice", "a", fmt.Sprintf("cam%d", i), "192.0.2.1")
			}
		}, want: []string{}},
	} {
		ends := map[string]Ends{"D06": EndsToken, "D07": EndsToken, "D08": EndsStream, "D09": EndsToken, "D11": EndsSubject, "D15": EndsSubject}
		t.Run(c.name, func(t *testing.T) {
			p := newTape()
			c.write(p)
			alerts := p.play(c.opts)
			if got := names(alerts); !slices.Equal(got, c.want) {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			for _, a := range alerts {
				if a.Title == "" || a.Detail == "" || a.Threshold == "" || len(a.Evidence) == 0 || len(a.Evidence) > maxEvidence {
					t.Errorf("incomplete: %+v", a)
				}
				if want := ends[a.Rule]; a.Ends != want && (a.Ends != EndsNothing || a.TokenID != "") {
					t.Errorf("%s ends %q, want %q", a.Rule, a.Ends, want)
				}
			}
		})
	}
}

func TestMute_ARuleSaysNothingUntilThen(t *testing.T) {
	p := newTape()
	p.refused(0, "watch", "forged", "198.51.100.1")
	p.refused(2*time.Hour, "watch", "forged", "198.51.100.1")
	d := New(Options{})
	until := p.events[0].At.Add(time.Hour)
	d.Mute("D01", until)
	if got := d.Muted(p.events[0].At); len(got) != 1 || !got["D01"].Equal(until) {
		t.Errorf("mute are %v", got)
	}
	if got := d.Muted(until); len(got) != 0 {
		t.Errorf("still mute are %v", got)
	}
	if got := d.Observe(p.events[0]); len(got) != 0 {
		t.Errorf("muted, and yet %v", names(got))
	}
	if got := d.Observe(p.events[1]); len(got) != 1 {
		t.Errorf("no longer muted, and %v", names(got))
	}
}

// A week of an ordinary site: 50 people, half of them behind one address, 20 cameras, a control room, phones that change
// networks, tabs that are opened twice, mistyped passwords, an agent that reconnects.
func TestObserve_AnOrdinaryWeekIsQuiet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p := newTape()
	for camera := range 20 {
		p.watch(0, "wall", "wall", fmt.Sprintf("cam%d", camera), "192.0.2.9")
	}
	for range 7 {
		p.publish(time.Minute, "gate", "192.0.2.77")
		for range 120 { // visits a day
			user := r.IntN(50)
			subject, token := fmt.Sprintf("user%d", user), fmt.Sprintf("t%d-%d", user, p.seq)
			remote := "192.0.2.1"
			if user >= 25 {
				remote = fmt.Sprintf("198.51.%d.7", user)
			}
			for r.IntN(10) == 0 {
				p.login(3*time.Second, audit.Refused, subject, remote)
			}
			p.login(3*time.Second, audit.Granted, subject, remote)
			for range 1 + r.IntN(3) {
				camera := fmt.Sprintf("cam%d", r.IntN(20))
				p.watch(2*time.Second, subject, token, camera, remote)
				if r.IntN(20) == 0 {
					p.refused(time.Second, "watch", "used", remote) // the tab asked twice
				}
				if user == 30 && r.IntN(3) == 0 { // leaves the house
					p.watch(time.Minute, subject, token, camera, "203.0.113.5")
					p.leave(10*time.Second, subject, token, camera, remote)
					p.leave(time.Minute, subject, token, camera, "203.0.113.5")
					continue
				}
				p.leave(time.Duration(r.IntN(300))*time.Second, subject, token, camera, remote)
			}
			p.at = p.at.Add(time.Duration(r.IntN(15)) * time.Minute)
		}
	}
	for _, a := range p.play(Options{Walls: []string{"wall"}}) {
		if a.Level != Info {
			t.Errorf("%s: %s", a.Rule, a.Detail)
		}
	}
}

func TestWindow_MemoryIsBounded(t *testing.T) {
	w := newWindow(time.Hour)
	at := time.Unix(0, 0)
	for i := range 3 * maxKeys {
		w.add(fmt.Sprint(i), at.Add(time.Duration(i)*time.Millisecond), uint64(i), "x")
		w.add("busy", at.Add(time.Duration(i)*time.Millisecond), uint64(i), fmt.Sprint(i))
	}
	if len(w.marks) > maxKeys || len(w.marks["busy"]) > maxMarks {
		t.Errorf("%d keys, %d marks", len(w.marks), len(w.marks["busy"]))
	}
}
