package auth_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/auth"
	"sightline/internal/media"
)

const origin = "https://cam.example.org"

func alice(b *bench) auth.Principal {
	return auth.Principal{
		Subject: "alice", ID: "0123456789abcdef", Kind: auth.KindSession, Expires: b.now.Add(time.Hour),
		Grants: []auth.Grant{auth.Allow(auth.View, "door", "yard"), auth.Allow(auth.Publish, "door")},
	}
}

func mustTicket(tb testing.TB, b *bench) string {
	tb.Helper()
	ticket, err := b.NewTicket(alice(b), auth.View, "door", origin)
	if err != nil {
		tb.Fatal(err)
	}
	return ticket
}

func TestTicket_OpensOnceWhatItWasMadeFor(t *testing.T) {
	b := newBench(t)
	ticket := mustTicket(t, b)
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{32}$`).MatchString(ticket) {
		t.Errorf("ticket %q", ticket)
	}
	p, err := b.RedeemTicket(ticket, auth.View, "door", origin)
	if err != nil || p.Subject != "alice" || p.ID != alice(b).ID {
		t.Fatalf("got %+v, %v", p, err)
	}
	if _, err := b.RedeemTicket(ticket, auth.View, "door", origin); !errors.Is(err, auth.ErrUsed) {
		t.Errorf("second use: %v", err)
	}
}

func TestTicket_IsDeadAfterAWrongTry(t *testing.T) {
	b := newBench(t)
	for _, tt := range []struct {
		name   string
		action auth.Action
		stream media.StreamID
		origin string
		want   error
	}{
		{"stream", auth.View, "yard", origin, auth.ErrNotAllowed},
		{"action", auth.Publish, "door", origin, auth.ErrNotAllowed},
		{"origin", auth.View, "door", "https://evil.example", auth.ErrWrongOrigin},
		{"no origin", auth.View, "door", "", auth.ErrWrongOrigin},
		{"origin in other case", auth.View, "door", "https://CAM.example.org", auth.ErrWrongOrigin},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ticket := mustTicket(t, b)
			if _, err := b.RedeemTicket(ticket, tt.action, tt.stream, tt.origin); !errors.Is(err, tt.want) {
				t.Errorf("wrong try: %v, want %v", err, tt.want)
			}
			if _, err := b.RedeemTicket(ticket, auth.View, "door", origin); !errors.Is(err, auth.ErrUsed) {
				t.Errorf("right try after it: %v", err)
			}
		})
	}
}

func TestTicket_EndsInTime(t *testing.T) {
	b := newBench(t)
	start := b.now
	first, second := mustTicket(t, b), mustTicket(t, b)
	b.now = start.Add(auth.TicketLifetime - time.Nanosecond)
	if _, err := b.RedeemTicket(first, auth.View, "door", origin); err != nil {
		t.Errorf("just in time: %v", err)
	}
	b.now = start.Add(auth.TicketLifetime)
	if _, err := b.RedeemTicket(second, auth.View, "door", origin); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("too late: %v", err)
	}
}

func TestTicket_EndsWithItsPrincipal(t *testing.T) {
	b := newBench(t)
	p := alice(b)
	p.Expires = b.now.Add(time.Second)
	ticket, err := b.NewTicket(p, auth.View, "door", origin)
	if err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(time.Second)
	if _, err := b.RedeemTicket(ticket, auth.View, "door", origin); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("got %v", err)
	}
	if _, err := b.NewTicket(p, auth.View, "door", origin); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("new ticket for an ended principal: %v", err)
	}
}

func TestTicket_NeedsLeave(t *testing.T) {
	b := newBench(t)
	if _, err := b.NewTicket(alice(b), auth.View, "vault", origin); !errors.Is(err, auth.ErrNotAllowed) {
		t.Errorf("got %v", err)
	}
	if _, err := b.NewTicket(alice(b), auth.Publish, "yard", origin); !errors.Is(err, auth.ErrNotAllowed) {
		t.Errorf("got %v", err)
	}
}

func TestTicket_UnknownAndMissing(t *testing.T) {
	b := newBench(t)
	if _, err := b.RedeemTicket("", auth.View, "door", origin); !errors.Is(err, auth.ErrMissing) {
		t.Errorf("empty: %v", err)
	}
	if _, err := b.RedeemTicket("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", auth.View, "door", origin); !errors.Is(err, auth.ErrUsed) {
		t.Errorf("unknown: %v", err)
	}
	other := newBench(t) // as after a restart
	if _, err := other.RedeemTicket(mustTicket(t, b), auth.View, "door", origin); !errors.Is(err, auth.ErrUsed) {
		t.Errorf("of another server: %v", err)
	}
}

// The whole of it, 1,000 rounds, is SIGHTLINE_TICKET_ROUNDS=1000.
func TestTicket_RaceHasOneWinner(t *testing.T) {
	rounds := 30
	if s := os.Getenv("SIGHTLINE_TICKET_ROUNDS"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	const racers = 200
	b := newBench(t)
	for range rounds {
		ticket := mustTicket(t, b)
		var wins, used atomic.Int32
		start := make(chan struct{})
		var wg sync.WaitGroup
		for range racers {
			wg.Go(func() {
				<-start
				switch _, err := b.RedeemTicket(ticket, auth.View, "door", origin); {
				case err == nil:
					wins.Add(1)
				case errors.Is(err, auth.ErrUsed):
					used.Add(1)
				}
			})
		}
		close(start)
		wg.Wait()
		if wins.Load() != 1 || used.Load() != racers-1 {
			t.Fatalf("%d winners, %d refused", wins.Load(), used.Load())
		}
	}
}

func TestTicket_OneSubjectCannotCrowdOutOthers(t *testing.T) {
	b := newBench(t)
	made := 0
	for ; made < 100_000; made++ {
		if _, err := b.NewTicket(alice(b), auth.View, "door", origin); err != nil {
			if !errors.Is(err, auth.ErrTooMany) {
				t.Fatal(err)
			}
			break
		}
	}
	if made == 100_000 {
		t.Fatal("no limit")
	}
	bob := alice(b)
	bob.Subject = "bob"
	if _, err := b.NewTicket(bob, auth.View, "door", origin); err != nil {
		t.Errorf("another subject: %v", err)
	}
	b.now = b.now.Add(auth.TicketLifetime) // the old ones expire and make room
	if _, err := b.NewTicket(alice(b), auth.View, "door", origin); err != nil {
		t.Errorf("after expiry: %v", err)
	}
}

func TestTicket_TotalIsBounded(t *testing.T) {
	b := newBench(t)
	for i := range 200_000 {
		p := alice(b)
		p.Subject = fmt.Sprint(i)
		if _, err := b.NewTicket(p, auth.View, "door", origin); err != nil {
			if !errors.Is(err, auth.ErrTooMany) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Error("no limit in all")
}

func TestCode_LogsInOnce(t *testing.T) {
	b := newBench(t)
	code, err := b.NewCode(alice(b), auth.MaxCodeLifetime)
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.RedeemCode(code)
	if err != nil || p.Subject != "alice" {
		t.Fatalf("got %+v, %v", p, err)
	}
	if _, err := b.RedeemCode(code); !errors.Is(err, auth.ErrUsed) {
		t.Errorf("second use: %v", err)
	}
	if _, err := b.RedeemCode(""); !errors.Is(err, auth.ErrMissing) {
		t.Errorf("empty: %v", err)
	}
	// A code is no ticket and a ticket no code.
	if _, err := b.RedeemCode(mustTicket(t, b)); !errors.Is(err, auth.ErrUsed) {
		t.Errorf("ticket as code: %v", err)
	}
}

func TestCode_Ends(t *testing.T) {
	b := newBench(t)
	start := b.now
	code, err := b.NewCode(alice(b), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	b.now = start.Add(time.Minute)
	if _, err := b.RedeemCode(code); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("got %v", err)
	}
}

func TestCode_RefusesNonsense(t *testing.T) {
	b := newBench(t)
	for name, tt := range map[string]struct {
		change func(*auth.Principal)
		ttl    time.Duration
	}{
		"no life":        {func(*auth.Principal) {}, 0},
		"over policy":    {func(*auth.Principal) {}, auth.MaxCodeLifetime + 1},
		"ended":          {func(p *auth.Principal) { p.Expires = b.now }, time.Minute},
		"without an end": {func(p *auth.Principal) { p.Expires = time.Time{} }, time.Minute},
		"no grants":      {func(p *auth.Principal) { p.Grants = nil }, time.Minute},
		"no subject":     {func(p *auth.Principal) { p.Subject = "" }, time.Minute},
	} {
		p := alice(b)
		tt.change(&p)
		if _, err := b.NewCode(p, tt.ttl); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
