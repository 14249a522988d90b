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
			c.setStatus(media.StateConnecting, nil)
		}
		err := c.feedSlot(ctx, &retry)
		c.slot.clear()
		if ctx.Err() != nil {
			return
		}
		c.tellLost(err)
		if errors.Is(err, ErrEnded) {
			return
		}
		wait := retry.next()
		if errors.Is(err, ErrRefused) {
			wait = refusedRetry
		}
		sleep(ctx, wait)
	}
}

// tellLost says why the source is not there.
func (c *Capture) tellLost(err error) {
	state := media.StateOffline
	switch {
	case errors.Is(err, ErrEnded):
		state = media.StateEnded
	case errors.Is(err, ErrStalled):
		state = media.StateStalled
	}
	c.setStatus(state, err)
}

// feedSlot opens the source once and reads it until it ends or fails. The error is a sentence.
func (c *Capture) feedSlot(ctx context.Context, retry *backoff) (err error) {
	feed, err := c.engine.Open(ctx, c.opts.Source)
	if err != nil {
		return err
	}
	defer func() {
		if ctx.Err() == nil {
			c.tellLost(err) // before closing, which waits for a camera that may not answer
		}
		feed.Close()
	}()
	defer c.relay.clear()
	defer c.note("frozen", "")
	r := reader{c: c, feed: feed, frozen: newFrozen(), passage: passage{codec: feed.Info().Native}}
	if r.native, _ = feed.(Native); r.native != nil {
		r.onTrial = feed.Info().Native != 0 && c.isUnfit()
		r.check(r.passage.learn(r.native.Headers()))
	}
	for {
		c.setFeed(feed.Info())
		wanted, pictures, changed := c.demand.now()
		if !wanted {
			c.slot.clear()
			c.relay.clear()
			c.setStatus(media.StateIdle, nil)
			if err := feed.Rest(ctx, changed); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		err := r.read(ctx, pictures)
		if errors.Is(err, ErrPaused) {
			c.slot.clear()
			c.setStatus(media.StateStalled, err)
			continue
		}
		if err != nil {
			return err
		}
		retry.reset()
		c.setFeed(feed.Info())
		c.setStatus(media.StateLive, nil)
	}
}

// reader takes pictures and access units from one open feed.
type reader struct {
	c       *Capture
	feed    Feed
	native  Native // feed, if it is one
	passage passage
	frozen  *frozen
	onTrial bool // an earlier connection's own coding was unfit, and this one's may be fit
	proven  int  // units on trial that could have been passed on
}

// trialUnits is how many units a source's own coding must be fit for to be offered again, a keyframe first among them: B pictures come within a few.
const trialUnits = 50

// show makes p the newest picture.
func (r *reader) show(p *Picture) {
	if img, ok := p.Image.(Canvas); ok && r.c.opts.Source.sensor() {
		r.c.note("frozen", r.frozen.see(img, p.At))
	}
	r.c.slot.put(p)
}

// read waits for what comes next, and decodes it if pictures are wanted.
func (r *reader) read(ctx context.Context, pictures bool) error {
	_, info, _ := r.c.current()
	if r.native == nil || info.Native == 0 && !r.onTrial {
		p, err := r.feed.Next(ctx)
		if err == nil {
			r.show(p)
		}
		return err
	}
	u, p, err := r.native.NextUnit(ctx, pictures)
	if err != nil {
		return err
	}
	if u != nil {
		out, err := r.passage.pass(u)
		if err == nil {
			r.c.relay.put(out)
			r.try(out)
		}
		r.check(err)
	}
	switch {
	case p != nil:
		r.show(p)
	case !pictures:
		r.c.slot.clear()
	}
	return nil
}

// try counts what speaks for a source's own coding that was withdrawn.
func (r *reader) try(u passed) {
	if !r.onTrial || r.proven == 0 && !u.key {
		return
	}
	if r.proven++; r.proven == trialUnits {
		r.onTrial = false
		r.c.readmit()
	}
}

// check withdraws the source's own coding if err says that it is unfit. A damaged unit is left out, and what refers to it will look it until the next keyframe, as the
// source's other viewers see it.
func (r *reader) check(err error) {
	var no *unfitError
	if errors.As(err, &no) {
		r.onTrial = false
		r.c.refuse(no.sentence)
	}
}

// sentence makes an error's text one for people, within what STATUS may carry; empty for nil.
func sentence(err error) string {
	if err == nil {
		return ""
	}
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
