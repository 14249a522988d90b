package audit

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func refusal(remote, reason string) Record {
	return Record{Event: "login", Verdict: Refused, Reason: reason, Remote: remote, UserAgent: "Mozilla/5.0 (a usual length of this field)"}
}

// TestFold_CountsExactlyAndBoundsTheDisk floods a log for an hour of the bubble's clock with 5,000 refusals a second.
func TestFold_CountsExactlyAndBoundsTheDisk(t *testing.T) {
	const perSecond, seconds = 5000, 120
	for _, tt := range []struct {
		name   string
		remote func(i int) string
	}{
		{"one source", func(int) string { return "192.0.2.7" }},
		{"some sources", func(i int) string { return fmt.Sprintf("192.0.2.%d", i%100) }},
		{"as many sources as there are", func(i int) string { return fmt.Sprintf("10.%d.%d.%d:%d", i>>16&255, i>>8&255, i&255, i%60000+1) }},
		{"one host of IPv6", func(i int) string { return fmt.Sprintf("2001:db8::%x:%x", i>>16, i&0xffff) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeFile{}
				l := fakeLog(f)
				stop := start(t, l)
				defer stop()
				settled := 0
				for s := range seconds {
					for i := range perSecond {
						r := refusal(tt.remote(s*perSecond+i), []string{"expired", "used", "missing"}[i%3])
						if err := l.Append(context.Background(), r); err != nil {
							t.Fatal(err)
						}
					}
					if s == seconds/2 { // the burst that is written one by one is over
						f.set(func() { settled = len(f.durable) })
					}
					time.Sleep(time.Second)
				}
				if err := l.Append(context.Background(), grant("honest")); err != nil {
					t.Fatal(err)
				}
				stop()
				var attempts uint64
				for _, r := range read(t, f.durable) {
					if r.Verdict == string(Refused) {
						attempts += max(1, r.Count)
					}
					if r.Count > 0 && (r.First == "" || r.Last < r.First) {
						t.Errorf("roll-up %+v", r)
					}
				}
				if attempts != perSecond*seconds {
					t.Errorf("%d attempts on record, want %d", attempts, perSecond*seconds)
				}
				perHour := float64(len(f.durable)-settled) / (seconds/2 - 1) * 3600
				t.Logf("%.1f MB an hour", perHour/1e6)
				if perHour > 10e6 {
					t.Errorf("%.1f MB an hour, want at most 10", perHour/1e6)
				}
			})
		})
	}
}

// TestFold_NamesEveryKind floods a folder with more kinds than have a roll-up of their own: each is counted by its name, and beyond maxKinds as "other".
func TestFold_NamesEveryKind(t *testing.T) {
	f := newFolder()
	now := time.Unix(1_800_000_000, 0)
	f.budget, f.refilled = 0, now // all is folded
	want := map[string]uint64{}
	const kinds = 2*maxRollups + maxKinds + 7
	written := 0
	for range foldAfter {
		for i := range kinds {
			r := refusal(fmt.Sprintf("192.0.2.%d", i), fmt.Sprintf("reason-%d", i))
			want[r.Event+"/"+r.Reason]++
			if !f.fold(r, now) {
				written++
			}
		}
	}
	got, named := map[string]uint64{}, 0
	for _, it := range f.take(now.Add(foldInterval), false) {
		if it.Event != anyEvent {
			got[it.Event+"/"+it.Reason] += it.count
			continue
		}
		if len(it.Reason) > maxField {
			t.Errorf("a reason of %d bytes", len(it.Reason))
		}
		var sum uint64
		for word := range strings.FieldsSeq(it.Reason) {
			kind, count, _ := strings.Cut(word, "=")
			n, err := strconv.ParseUint(count, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			got[kind] += n
			sum += n
			named++
		}
		if sum != it.count {
			t.Errorf("%d counted, want %d: %s", sum, it.count, it.Reason)
		}
	}
	if others := got["other"]; others != 7*foldAfter {
		t.Errorf("%d others, want %d", others, 7*foldAfter)
	}
	for kind, n := range got {
		if kind != "other" && want[kind] != n {
			t.Errorf("%s: %d, want %d", kind, n, want[kind])
		}
	}
	if len(got) != 2*maxRollups+maxKinds+1 || named != maxKinds+1 || written != 0 {
		t.Errorf("%d kinds told apart, %d of them together, %d written", len(got), named, written)
	}
	if f.take(now.Add(2*foldInterval), false); len(f.open) != 0 {
		t.Errorf("%d roll-ups are open after a quiet interval", len(f.open))
	}
}

func TestFold_LeavesGrantsAndTheFewAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeFile{}
		l := fakeLog(f)
		stop := start(t, l)
		defer stop()
		n := 0
		for range 5 {
			for range foldAfter {
				if err := l.Append(context.Background(), refusal("192.0.2.7", "expired")); err != nil {
					t.Fatal(err)
				}
				n++
			}
			for range 10 * foldAfter {
				if err := l.Append(context.Background(), grant("alice")); err != nil {
					t.Fatal(err)
				}
				n++
			}
			time.Sleep(time.Second)
		}
		stop()
		lines := read(t, f.durable)
		if len(lines) != n {
			t.Errorf("%d records, want %d", len(lines), n)
		}
	})
}

func TestFold_LostRollUpsAreCountedInTheGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeFile{}
		l := fakeLog(f)
		stop := start(t, l)
		defer stop()
		const n = 500
		for range n {
			if err := l.Append(context.Background(), refusal("192.0.2.7", "expired")); err != nil {
				t.Fatal(err)
			}
		}
		f.set(func() { f.writeErr = errInjected })
		time.Sleep(foldInterval)
		synctest.Wait()
		f.set(func() { f.writeErr = nil })
		stop()
		var total uint64
		for _, r := range read(t, f.durable) {
			e := Entry{Record: Record{Action: r.Action, Reason: r.Reason}}
			total += gapCount(t, e)
			if r.Verdict == string(Refused) {
				total += max(1, r.Count)
			}
		}
		if total != n {
			t.Errorf("%d on record, want %d", total, n)
		}
	})
}

func TestSource(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "192.0.2.7:4711": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7",
		"2001:db8::1": "2001:db8::/64", "[2001:db8::2]:99": "2001:db8::/64", "fe80::1%eth0": "fe80::/64", "pipe": "pipe", "": "",
	} {
		if got := source(remote); got != want {
			t.Errorf("%q: got %q, want %q", remote, got, want)
		}
	}
}
