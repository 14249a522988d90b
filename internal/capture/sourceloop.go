package capture

import (
	"context"
	"errors"
	"time"
	"unicode"
	"unicode/utf8"

	"sightline/internal/media"
)

// refusedRetry is the wait after credentials were refused: cameras lock out who guesses quickly.
const refusedRetry = 15 * time.Second

// runSource opens the source and keeps the slot filled while somebody wants pictures, and opens it again whenever it is lost, for ever.
func (c *Capture) runSource(ctx context.Context) {
	retry := backoff{min: 100 * time.Millisecond, max: 2 * time.Second}
	for ctx.Err() == nil {
		if state, _, _ := c.current(); state.State != media.StateOffline && state.State != media.StateStalled {
			c.setStatus(media.StateConnecting, "")
		}
		err := c.feedSlot(ctx, &retry)
		c.slot.clear()
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, ErrEnded) {
			c.setStatus(media.StateEnded, sentence(err))
			return
		}
		state := media.StateOffline
		if errors.Is(err, ErrStalled) {
			state = media.StateStalled
		}
		c.setStatus(state, sentence(err))
		wait := retry.next()
		if errors.Is(err, ErrRefused) {
			wait = refusedRetry
		}
		sleep(ctx, wait)
	}
}

// feedSlot opens the source once and reads it until it ends or fails. The error is a sentence.
func (c *Capture) feedSlot(ctx context.Context, retry *backoff) error {
	feed, err := c.engine.Open(ctx, c.opts.Source)
	if err != nil {
		return err
	}
	defer feed.Close()
	for {
		c.setFeed(feed.Info())
		wanted, changed := c.demand.now()
		if !wanted {
			c.slot.clear()
			c.setStatus(media.StateIdle, "")
			if err := feed.Rest(ctx, changed); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		p, err := feed.Next(ctx)
		if errors.Is(err, ErrPaused) {
			c.slot.clear()
			c.setStatus(media.StateStalled, sentence(err))
			continue
		}
		if err != nil {
			return err
		}
		retry.reset()
		c.setFeed(feed.Info())
		c.slot.put(p)
		c.setStatus(media.StateLive, "")
	}
}

// sentence makes an error's text one for people, within what STATUS may carry.
func sentence(err error) string {
	s := err.Error()
	r, n := utf8.DecodeRuneInString(s)
	return clip(string(unicode.ToUpper(r)) + s[n:] + ".")
}

// clip cuts s to what STATUS may carry, at a character boundary.
func clip(s string) string {
	const most = 500
	if len(s) <= most {
		return s
	}
	n := most
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
