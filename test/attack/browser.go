//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

// browser shows hostile names to a real Chromium, on the server's own pages, and has a hostile page try every way to the server that a page has.
func (l *ledger) browser(ctx context.Context, p plan) {
	if !p.only.MatchString("browser/chromium") || ctx.Err() != nil {
		return
	}
	// Its server is one of its own: nobody can number what a browser asks for, and the other's records must add up.
	dir, err := os.MkdirTemp(l.target.dir, "browsed-")
	if err != nil {
		l.miss("browser", err.Error())
		return
	}
	t, err := newTarget(ctx, dir)
	if err != nil {
		l.miss("browser", err.Error())
		return
	}
	defer t.kill()
	names, err := payloads(t, "names.txt")
	if err != nil {
		l.miss("browser", err.Error())
		return
	}
	if p.quick {
		names = names[:8]
	}
	if err := l.show(ctx, t, names); err != nil {
		l.miss("browser", err.Error())
	}
	if err := t.stop(); err != nil {
		l.miss("browser", err.Error())
	}
	l.secretsIn(t, t)
}

// verdict is a line that the script writes.
type verdict struct {
	Case string
	Miss string // what went wrong
	Said string // to a person
}

// show runs the script beside a publisher that calls itself by each name in turn.
func (l *ledger) show(ctx context.Context, t *target, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	token, err := t.token(ctx, "publish", "pub/**", "hostile")
	if err != nil {
		return err
	}
	conn, err := ws.Dial(ctx, "wss://"+t.host+"/ws/publish/pub/hostile", http.Header{"Authorization": {"Bearer " + token}}, []string{wire.Subprotocol}, t.tls, ws.Options{ReadLimit: wire.MaxMessageLen})
	if err != nil {
		return err
	}
	defer conn.Close(1000, "") //nolint:errcheck // the server may have been first
	go func() {
		for {
			if _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
	script := exec.CommandContext(ctx, "node", filepath.Join("test", "attack", "browser.mjs"), t.origin, filepath.Join(t.dir, "ca.pem"), t.cookie)
	script.Stderr = os.Stderr
	orders, err := script.StdinPipe()
	if err != nil {
		return err
	}
	answers, err := script.StdoutPipe()
	if err != nil {
		return err
	}
	if err := script.Start(); err != nil {
		return fmt.Errorf("start the browser's script: %w", err)
	}
	lines := bufio.NewScanner(answers)
	hear := func() (verdict, error) {
		var v verdict
		if !lines.Scan() {
			return v, fmt.Errorf("the browser's script ended: %w", script.Wait())
		}
		return v, json.Unmarshal(lines.Bytes(), &v)
	}
	alive := time.NewTicker(2 * time.Second)
	defer alive.Stop()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-alive.C:
				_ = conn.WriteMessage(wire.AppendTimeReq(nil, wire.TimeReq{ID: 1}))
			}
		}
	}()
	for _, name := range names {
		hello := publisherHello(name)
		hello.Source, hello.Sandbox, hello.Renditions[0].Encoder = name[:min(32, len(name))], name, name[:min(64, len(name))]
		_ = conn.WriteMessage(wire.AppendJSON(nil, wire.TypeHello, hello))
		_ = conn.WriteMessage(wire.AppendJSON(nil, wire.TypeStatus, wire.PublisherStatus{State: "stalled", Detail: name}))
		if _, err := fmt.Fprintf(orders, "%s\n", asJSON(map[string]string{"name": name})); err != nil {
			return err
		}
		v, err := hear()
		if err != nil {
			return err
		}
		l.judged("xss", v)
	}
	if err := orders.Close(); err != nil {
		return err
	}
	for {
		v, err := hear()
		if err != nil {
			return err
		}
		if v.Case == "" {
			l.say(v.Said)
			return script.Wait()
		}
		l.judged("hostile page", v)
	}
}

// judged takes note of what the browser saw. What a browser holds back never reaches the server, and has no record.
func (l *ledger) judged(class string, v verdict) {
	var err error
	if v.Miss != "" {
		err = fmt.Errorf("%s", v.Miss)
	}
	l.note(&testCase{class: class, name: v.Case}, bulkAddress, outcome{}, err, 1)
}
