//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"sightline/internal/transport/ws"
	"sightline/internal/watch"
	"sightline/internal/wire"
)

// atOnce is how many honest viewers watch at a time.
const atOnce = 50

// honest are viewers that come and go, with tickets, cookies and tokens by turns. They come from honestAddress.
type honest struct {
	target *target
	least  int
	done   chan struct{} // closed when the attack is over
	all    sync.WaitGroup

	mu       sync.Mutex
	sessions int
	refused  []string
}

// beginHonest lets them come until finish is called, and after it until there were least sessions.
func beginHonest(ctx context.Context, t *target, least int) *honest {
	h := &honest{target: t, least: least, done: make(chan struct{})}
	for i := range atOnce {
		h.all.Go(func() {
			for n := 0; !h.enough() && ctx.Err() == nil; n++ {
				err := h.visit(ctx, i, n)
				h.mu.Lock()
				if err == nil {
					h.sessions++
				} else if ctx.Err() == nil {
					h.refused = append(h.refused, err.Error())
				}
				h.mu.Unlock()
			}
		})
	}
	h.all.Go(func() { h.watchProcesses(ctx) })
	return h
}

func (h *honest) enough() bool {
	select {
	case <-h.done:
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.sessions+len(h.refused) >= h.least
	default:
		return false
	}
}

// finish waits for the last of them.
func (h *honest) finish(context.Context) (sessions int, refused []string) {
	close(h.done)
	h.all.Wait()
	return h.sessions, h.refused
}

// visit is one session: it begins, shows at least one picture, and stays a while.
func (h *honest) visit(ctx context.Context, who, n int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stream := []string{"door", "site/door"}[n%2]
	header, protocols := http.Header{}, []string{wire.Subprotocol}
	kind := []string{"ticket", "cookie", "bearer"}[(who+n)%3]
	token, err := h.target.token(ctx, "view", "**", fmt.Sprintf("honest-%d", who))
	if err != nil {
		return err
	}
	switch kind {
	case "ticket":
		v := newVisitor(h.target, honestAddress, false)
		ticket, err := v.ticket(token, stream, "view", h.target.origin)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		header.Set("Origin", h.target.origin)
		protocols = append(protocols, "ticket."+ticket)
	case "cookie":
		header.Set("Origin", h.target.origin)
		header.Set("Cookie", h.target.cookie)
	case "bearer":
		header.Set("Authorization", "Bearer "+token)
	}
	conn, err := ws.Dial(ctx, "wss://"+h.target.host+"/ws/watch/"+stream, header, protocols, h.target.tls, ws.Options{ReadLimit: wire.MaxMessageLen, IdleTimeout: patience})
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	pictures := make(chan struct{}, 1)
	viewer := watch.New(conn, watch.Options{Player: "sightline-attack/1", MaxHeight: 240, Observe: func(watch.Picture) {
		select {
		case pictures <- struct{}{}:
		default:
		}
	}})
	ctx, leave := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- viewer.Run(ctx) }()
	stay := time.NewTimer(patience)
	defer stay.Stop()
	err = nil
	for first := true; err == nil; {
		select {
		case <-pictures:
			if first {
				first = false
				stay.Reset(time.Duration(500+(who*137+n*71)%1500) * time.Millisecond)
			}
			continue
		case err = <-ended:
			leave()
			return fmt.Errorf("%s: the server ended the session: %w", kind, err)
		case <-stay.C:
			if first {
				err = fmt.Errorf("%s: no picture within %s", kind, patience)
			}
		}
		break
	}
	leave()
	_ = <-ended // it always says that it was cancelled
	return err
}

// watchProcesses looks for secrets where others of the machine can read what processes were started with.
func (h *honest) watchProcesses(ctx context.Context) {
	seen := map[int]bool{}
	for {
		for _, pid := range h.target.processes() {
			for _, what := range []string{"cmdline", "environ"} {
				data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, what))
				if err != nil {
					continue // it ended
				}
				seen[pid] = true
				if hit := h.target.secret.in(data); hit != "" {
					h.mu.Lock()
					h.refused = append(h.refused, fmt.Sprintf("the credential %s stands in %s of process %d", hit, what, pid))
					h.mu.Unlock()
				}
			}
		}
		select {
		case <-h.done:
			if len(seen) < 2 {
				h.mu.Lock()
				h.refused = append(h.refused, "no capture process was seen")
				h.mu.Unlock()
			}
			return
		case <-ctx.Done():
			return
		case <-time.After(2 * time.Second):
		}
	}
}
