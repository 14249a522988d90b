//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

func ticketLine(ticket string) string { return "Sec-WebSocket-Protocol: ticket." + ticket }

// holder is one who may have tickets, in a few shapes so that none has too many.
type holder struct{ tokens []string }

func newHolder(ctx context.Context, t *target, action string) (*holder, error) {
	h := &holder{}
	for i := range 8 {
		token, err := t.token(ctx, action, "**", fmt.Sprintf("holder-%d", i))
		if err != nil {
			return nil, err
		}
		h.tokens = append(h.tokens, token)
	}
	return h, nil
}

// ticket is a new one, which came to somebody at helperAddress.
func (h *holder) ticket(t *target, n int, stream, action, origin string) (string, error) {
	v := newVisitor(t, helperAddress, false)
	defer v.leave()
	return v.ticket(h.tokens[n%len(h.tokens)], stream, action, origin)
}

// use spends a ticket as its owner would.
func use(t *target, ticket, stream string) error {
	v := newVisitor(t, helperAddress, false)
	defer v.leave()
	a, err := v.ask(upgrade("/ws/watch/"+stream, ticketLine(ticket)))
	if err == nil && a.status != http.StatusSwitchingProtocols {
		err = fmt.Errorf("a good ticket: status %d %s", a.status, a.code)
	}
	return err
}

// ticketCases are tickets in the wrong hands, places and times.
func ticketCases(ctx context.Context, t *target, _ plan) ([]*testCase, error) {
	view, err := newHolder(ctx, t, "view")
	if err != nil {
		return nil, err
	}
	publish, err := newHolder(ctx, t, "publish")
	if err != nil {
		return nil, err
	}
	watch := func(line ...string) request { return upgrade("/ws/watch/door", line...) }
	// with makes a case of a ticket for a stream, an action and an origin, tried on another.
	with := func(name, reason string, h *holder, stream, action, origin string, try func(ticket string) request) *testCase {
		return &testCase{class: "ticket", name: name, once: true, try: func(_ context.Context, v *visitor) (outcome, error) {
			ticket, err := h.ticket(t, len(name), stream, action, origin)
			if err != nil {
				return outcome{}, err
			}
			r := try(ticket)
			event := "watch"
			if strings.HasPrefix(r.path, "/ws/publish") {
				event = "publish"
			}
			a, err := v.ask(r)
			stale := refused(event, reason)
			stale.status = http.StatusUnauthorized // of a ticket's own origin
			return judge(a, err, refused(event, reason), stale)
		}}
	}
	foreign := "Origin: https://evil.example"
	ours := "Origin: " + t.origin
	cases := []*testCase{
		with("for another stream", "not-allowed", view, "other", "view", "", func(k string) request { return watch(ticketLine(k)) }),
		with("for a stream of a group, on the stream of the same name", "not-allowed", view, "site/door", "view", "", func(k string) request { return watch(ticketLine(k)) }),
		with("to publish, used to watch", "not-allowed", publish, "door", "publish", "", func(k string) request { return watch(ticketLine(k)) }),
		with("to watch, used to publish", "not-allowed", view, "pub/ticket", "view", "", func(k string) request { return upgrade("/ws/publish/pub/ticket", ticketLine(k)) }),
		with("of a program, used by our page", "wrong-origin", view, "door", "view", "", func(k string) request { return watch(ticketLine(k), ours) }),
		with("of our page, used by a program", "wrong-origin", view, "door", "view", t.origin, func(k string) request { return watch(ticketLine(k)) }),
		with("of our page, used by a foreign one", "wrong-origin", view, "door", "view", t.origin, func(k string) request { return watch(ticketLine(k), foreign) }),
		with("of a program, used by a foreign page", "wrong-origin", view, "door", "view", "", func(k string) request { return watch(ticketLine(k), foreign) }),
		with("in capitals", "used", view, "door", "view", "", func(k string) request { return watch(ticketLine(strings.ToUpper(k) + "A")) }),
		with("without its last letter", "used", view, "door", "view", "", func(k string) request { return watch(ticketLine(k[:len(k)-1])) }),
		with("with a letter more", "used", view, "door", "view", "", func(k string) request { return watch(ticketLine(k + "A")) }),
		with("padded", "used", view, "door", "view", "", func(k string) request { return watch(ticketLine(k + "=")) }),
		with("behind a bad one", "used", view, "door", "view", "", func(k string) request { return watch(ticketLine("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), ticketLine(k)) }),
		with("behind an empty one", "missing", view, "door", "view", "", func(k string) request { return watch("Sec-WebSocket-Protocol: ticket., ticket." + k) }),
		with("as a bearer token", "malformed", view, "door", "view", "", func(k string) request { return watch(bearer(k)) }),
		with("as a cookie", "malformed", view, "door", "view", "", func(k string) request { return watch("Cookie: __Host-sightline="+k, ours) }),
		with("as a login", "missing", view, "door", "view", "", func(k string) request { return watch("X-Ticket: " + k) }),
		with("in the address", "credential-in-url", view, "door", "view", "", func(k string) request { return upgrade("/ws/watch/door?ticket=" + k) }),
		with("without the protocol's name", "no-subprotocol", view, "door", "view", "", func(k string) request {
			return request{path: "/ws/watch/door", header: []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", ticketLine(k)}}
		}),
		{class: "ticket", name: "for a program, given to a session, without the header", once: true, try: func(_ context.Context, v *visitor) (outcome, error) {
			a, err := v.ask(request{method: "POST", path: "/api/v1/tickets", header: []string{"Cookie: " + t.cookie, ours}, body: `{"stream":"door","action":"view"}`})
			return judge(a, err, refused("ticket", "no-csrf-header"))
		}},
		{class: "ticket", name: "after its use", once: true, try: func(_ context.Context, v *visitor) (outcome, error) {
			ticket, err := view.ticket(t, 3, "door", "view", "")
			if err == nil {
				err = use(t, ticket, "door")
			}
			if err != nil {
				return outcome{}, err
			}
			a, err := v.ask(watch(ticketLine(ticket)))
			return judge(a, err, refused("watch", "used"))
		}},
		{class: "ticket", name: "after it was tried in the wrong place", once: true, try: func(_ context.Context, v *visitor) (outcome, error) {
			ticket, err := view.ticket(t, 4, "door", "view", "")
			if err != nil {
				return outcome{}, err
			}
			a, err := v.ask(upgrade("/ws/watch/other", ticketLine(ticket)))
			if _, err := judge(a, err, refused("watch", "not-allowed")); err != nil {
				return outcome{}, err
			}
			a, err = v.ask(watch(ticketLine(ticket)))
			o, err := judge(a, err, refused("watch", "used"))
			o.entries = []entry{{"watch", "refused", "not-allowed"}, {"watch", "refused", "used"}}
			return o, err
		}},
		{class: "ticket", name: "after its time", slow: true, try: func(ctx context.Context, v *visitor) (outcome, error) {
			ticket, err := view.ticket(t, 5, "door", "view", "")
			if err != nil {
				return outcome{}, err
			}
			select {
			case <-ctx.Done():
				return outcome{}, context.Cause(ctx)
			case <-time.After(30*time.Second + 500*time.Millisecond):
			}
			a, err := v.ask(watch(ticketLine(ticket)))
			return judge(a, err, refused("watch", "expired"))
		}},
	}
	for _, garbage := range []string{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "0", "null", strings.Repeat("A", 4000), "..", "%00", "*", "ticket.ticket.ticket", "x;y", "'--", "ключ"} {
		cases = append(cases, plain("ticket", "garbage", fmt.Sprintf("garbage of %d bytes %.20q", len(garbage), garbage), watch(ticketLine(garbage)), refused("watch", "used")))
	}
	for name, body := range map[string]string{
		"nothing": "", "no JSON": "x", "a list": "[]", "another key": `{"stream":"door","action":"view","admin":true}`, "two objects": `{}{}`, "a number": `{"stream":1,"action":"view"}`,
	} {
		cases = append(cases, plain("ticket", "asking", "asked for with "+name, request{method: "POST", path: "/api/v1/tickets", header: []string{bearer(view.tokens[0])}, body: body}, refused("ticket", "bad-json")))
	}
	for _, origin := range []string{"https://evil.example", "null", "http://" + t.host, t.origin + "/", "https://127.0.0.1"} {
		cases = append(cases, plain("ticket", "asking", "asked for from "+origin, request{
			method: "POST", path: "/api/v1/tickets", header: []string{bearer(view.tokens[0])}, body: fmt.Sprintf(`{"stream":"door","action":"view","origin":%q}`, origin),
		}, refused("ticket", "wrong-origin")))
	}
	for _, code := range []string{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "0", "null", "' OR 1=1 --", strings.Repeat("A", 4000), "\u0000", "../code"} {
		cases = append(cases, plain("ticket", "code", fmt.Sprintf("login by a code of %d bytes %.20q", len(code), code), request{method: "POST", path: "/api/v1/login", body: string(asJSON(map[string]string{"code": code}))}, refused("login", "used")))
	}
	cases = append(cases, plain("ticket", "code", "login by no code", request{method: "POST", path: "/api/v1/login", body: `{"code":""}`}, refused("login", "missing")))
	cases = append(cases, plain("ticket", "code", "login by a code in another case of its name, twice", request{method: "POST", path: "/api/v1/login", body: `{"Code":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","code":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"}`},
		refused("login", "used"), refused("login", "bad-json")))
	return cases, nil
}

// race has many redeem one ticket at the same moment, over and over: exactly one may get in each time.
func (l *ledger) race(ctx context.Context, p plan) {
	if !p.only.MatchString("ticket/race") {
		return
	}
	t := l.target
	view, err := newHolder(ctx, t, "view")
	if err != nil {
		l.miss("ticket", err.Error())
		return
	}
	c := &testCase{class: "ticket", name: "race"}
	racers := make([]*visitor, p.racers)
	for i := range racers {
		racers[i] = newVisitor(t, fmt.Sprintf("%s%d", bulkNetwork, 2+i/100), true) // one address may have 128 connections that show no leave
		defer racers[i].leave()
	}
	for round := range p.rounds {
		if ctx.Err() != nil {
			return
		}
		ticket, err := view.ticket(t, round, "other", "view", "")
		if err != nil {
			l.miss("ticket", err.Error())
			return
		}
		var ready, all sync.WaitGroup
		gun := make(chan struct{})
		errs := make([]error, len(racers))
		for i, v := range racers {
			ready.Add(1)
			all.Go(func() {
				err := v.enter()
				if err == nil {
					err = v.conn.Handshake()
				}
				ready.Done()
				<-gun
				if err != nil {
					errs[i] = err
					return
				}
				a, err := v.ask(upgrade("/ws/watch/other", ticketLine(ticket)))
				if err == nil && a.status == http.StatusSwitchingProtocols {
					v.leave()
					errs[i] = errWon
					return
				}
				_, errs[i] = judge(a, err, refused("watch", "used"))
			})
		}
		ready.Wait()
		close(gun)
		all.Wait()
		won, lost := 0, 0
		for _, err := range errs {
			switch {
			case errors.Is(err, errWon):
				won++
			case err == nil:
				lost++
			default:
				l.note(c, bulkAddress, outcome{}, err, 1)
			}
		}
		if won != 1 {
			l.miss("ticket", fmt.Sprintf("%d of %d racers got in with one ticket, want 1", won, len(racers)))
		}
		l.note(c, bulkAddress, refused("watch", "used"), nil, lost)
		l.note(&testCase{class: "ticket", name: "race", allowed: true}, bulkAddress, outcome{entries: []entry{{"watch", "granted", ""}, {"watch-end", "ended", "left"}}}, nil, won)
	}
	l.say(fmt.Sprintf("%d rounds of %d racers for one ticket: one winner each", p.rounds, p.racers))
}

var errWon = errors.New("won")
