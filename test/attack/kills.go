//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"
)

// kills ends a server of its own with SIGKILL under load, again and again: whoever was let in must be on record, and tickets of before must be dead.
func (l *ledger) kills(ctx context.Context, times int) {
	const viewers = 20
	dir, err := os.MkdirTemp(l.target.dir, "killed-")
	if err != nil {
		l.miss("kill", err.Error())
		return
	}
	t, err := newTarget(ctx, dir)
	if err != nil {
		l.miss("kill", err.Error())
		return
	}
	defer t.kill()
	view, err := newHolder(ctx, t, "view")
	if err != nil {
		l.miss("kill", err.Error())
		return
	}
	var mu sync.Mutex
	let := map[string]int{} // sessions by the address that got them
	for round := range times {
		if ctx.Err() != nil {
			return
		}
		ticket, err := view.ticket(t, round, "door", "view", "")
		if err != nil {
			l.miss("kill", err.Error())
			return
		}
		var all sync.WaitGroup
		dead := make(chan struct{})
		first := make(chan struct{}, viewers)
		for i := range viewers {
			all.Go(func() {
				for {
					select {
					case <-dead:
						return
					default:
					}
					v := newVisitor(t, t.address(), false)
					a, err := v.ask(upgrade("/ws/watch/door", bearer(view.tokens[i%len(view.tokens)])))
					if err == nil && a.status == http.StatusSwitchingProtocols {
						mu.Lock()
						let[v.remote]++
						mu.Unlock()
						select {
						case first <- struct{}{}:
						default:
						}
					}
					v.leave()
				}
			})
		}
		for range viewers { // so many are in before the blow
			select {
			case <-first:
			case <-time.After(patience):
				l.miss("kill", "nobody gets in")
			}
		}
		_ = t.cmd.Process.Kill()
		_ = t.cmd.Wait()
		close(dead)
		all.Wait()
		if _, err := t.start(ctx, t.host); err != nil {
			l.miss("kill", fmt.Sprintf("after %d kills: %v", round+1, err))
			return
		}
		v := newVisitor(t, t.address(), false)
		a, err := v.ask(upgrade("/ws/watch/door", ticketLine(ticket)))
		_, err = judge(a, err, refused("watch", "used"))
		l.note(&testCase{class: "kill", name: "a ticket from before the server was killed"}, bulkAddress, outcome{}, err, 1)
	}
	if err := t.stop(); err != nil {
		l.miss("kill", err.Error())
	}
	records, err := readRecords(dir)
	if err != nil {
		l.miss("kill", err.Error())
		return
	}
	recorded := map[string]int{}
	for _, r := range records {
		if r.Event == "watch" && r.Verdict == "granted" {
			recorded[r.Remote]++
		}
	}
	sessions, missing := 0, 0
	for remote, n := range let {
		sessions += n
		missing += max(0, n-recorded[remote])
	}
	if missing > 0 || sessions == 0 {
		l.miss("kill", fmt.Sprintf("%d of %d sessions that were granted are not on record", missing, sessions))
	}
	l.secretsIn(t, t)
	l.say(fmt.Sprintf("%d kills under load, %d sessions granted: %d of them without a record", times, sessions, missing))
}
