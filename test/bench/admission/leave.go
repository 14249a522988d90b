//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"sightline/internal/audit"
	"sightline/internal/auth"
)

// leaves is how often the token's check and the record are measured by themselves.
const leaves = 500

// leave measures the token's check and the durable record as the server does them for each viewer, one after another, on the disk
// that the servers here use too.
func (f *figures) leave(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "sightline-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	doorman, err := auth.Open(dir, auth.Options{})
	if err != nil {
		return err
	}
	token, _, err := doorman.Mint(auth.Claims{
		Kind: auth.KindView, Subject: "bench", Grants: []auth.Grant{auth.Allow(auth.View, "gate")}, Lifetime: time.Hour,
	})
	if err != nil {
		return err
	}
	key, err := audit.OpenKey(dir)
	if err != nil {
		return err
	}
	record, err := audit.Open(filepath.Join(dir, "audit.jsonl"), audit.Options{Key: key, RotateSize: 64 << 20, Keep: 1, OnFailure: "refuse", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- record.Run(ctx) }()
	defer func() {
		cancel()
		if ran := <-ended; ran != nil && !errors.Is(ran, context.Canceled) {
			err = errors.Join(err, ran)
		}
	}()
	var verify, write, both []float64
	for range leaves {
		began := time.Now()
		p, err := doorman.Verify(token, auth.KindView)
		if err == nil {
			err = doorman.Authorize(p, auth.View, "gate")
		}
		if err != nil {
			return fmt.Errorf("check the token: %w", err)
		}
		verified := time.Now()
		if err := record.Append(ctx, audit.Record{Event: "watch", Verdict: audit.Granted, Subject: p.Subject, TokenID: p.ID, Stream: "gate", Action: "view", Session: p.ID}); err != nil {
			return fmt.Errorf("write the record: %w", err)
		}
		verify = append(verify, milliseconds(verified.Sub(began)))
		write = append(write, milliseconds(time.Since(verified)))
		both = append(both, milliseconds(time.Since(began)))
	}
	f.VerifyP50, f.RecordP50, f.RecordP95, f.LeaveP50 = quantile(verify, 0.5), quantile(write, 0.5), quantile(write, 0.95), quantile(both, 0.5)
	return nil
}
