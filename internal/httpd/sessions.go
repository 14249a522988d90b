package httpd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/hub"
	"sightline/internal/ingest"
	"sightline/internal/media"
	"sightline/internal/sessions"
	"sightline/internal/transport"
	"sightline/internal/transport/ws"
	"sightline/internal/viewer"
	"sightline/internal/wire"
)

const (
	// peerTimeout ends a connection whose peer said nothing for so long: players ask for the time every two seconds.
	peerTimeout = 10 * time.Second
	// writeTimeout ends a connection that takes no bytes for so long.
	writeTimeout = 10 * time.Second
)

// watch runs a viewing session.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, c caller) {
	if !s.opts.Hub.Has(c.stream) {
		s.refuse(w, hub.ErrNoStream)
		s.ended(r, c, "watch", hub.ErrNoStream)
		return
	}
	conn, err := ws.Upgrade(w, r, wire.Subprotocol, ws.Options{
		ReadLimit: wire.MaxViewerMessage, IdleTimeout: peerTimeout, WriteTimeout: writeTimeout,
	})
	if err != nil {
		s.ended(r, c, "watch", err)
		return
	}
	s.requests.Add(1) // the session's, beside the handler's own
	go func() {
		defer s.requests.Done()
		defer s.recovered(r.URL.Path, nil)
		r, done := outlast(r)
		defer done()
		s.view(r, c, conn)
	}()
}

// outlast gives r with a context that ends with the server, and not with its handler: what net/http keeps for that takes more memory than a session. Call
// done at the end.
func outlast(r *http.Request) (lasting *http.Request, done func()) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	stop := func() bool { return true }
	if serving, ok := r.Context().Value(servingKey{}).(context.Context); ok {
		stop = context.AfterFunc(serving, func() { cancel(context.Cause(serving)) })
	}
	lasting = r.WithContext(ctx)
	lasting.Body = nil // it has the connection as net/http reads it, with its buffers
	return lasting, func() { stop(); cancel(nil) }
}

// view runs a viewer's session.
func (s *Server) view(r *http.Request, c caller, conn *ws.Conn) {
	ctx, id, done, err := s.leave(r, c, "watch")
	if err != nil {
		code, sentence := farewell(err)
		_ = conn.Close(code, sentence)
		s.ended(r, c, "watch", err)
		return
	}
	defer done()
	log := s.log.With("stream", c.stream, "viewer", c.principal.Subject)
	log.Info("viewer joined", "remote", s.remote(r))
	first := s.traceFirstPicture(c)
	defer first.End() // of who got none
	err = viewer.Serve(ctx, c.stream, conn, s.opts.Hub, viewer.Options{
		Epoch: s.opts.Epoch, Fan: s.fan, Until: s.until(c.principal),
		Renew: func(ticket string) (media.Timestamp, error) { return s.renew(r, c, id, ticket) },
		Tell:  func(f viewer.Figures) { s.note(id, c.stream, f) },
		Began: func() {
			first.SetAttributes(attribute.Bool("sightline.sent", true))
			first.End()
			s.opts.Metrics.Began(time.Since(c.asked), traceOf(first))
		},
	}, log)
	log.Info("viewer left", "why", err)
	s.ended(r, c, "watch", err)
}

// note keeps how a viewer fares for those who may see it, and counts it among its stream's.
func (s *Server) note(id string, stream media.StreamID, f viewer.Figures) {
	s.opts.Metrics.Viewed(stream, f)
	s.opts.Sessions.Note(id, sessions.Figures{
		Rendition: f.Rendition, Limit: string(f.Limit), Stills: f.Stills, PaintP50: f.PaintP50, PaintP95: f.PaintP95,
		BitrateBps: f.BitrateBps,
	}, f.Painted, f.Dropped)
}

// publish takes a remote publisher's stream.
func (s *Server) publish(w http.ResponseWriter, r *http.Request, c caller) {
	if !s.opts.MayPublish(c.stream) {
		s.refuse(w, errHasSource)
		s.ended(r, c, "publish", errHasSource)
		return
	}
	conn, err := ws.Upgrade(w, r, wire.Subprotocol, ws.Options{
		ReadLimit: wire.MaxMessageLen, IdleTimeout: peerTimeout, WriteTimeout: writeTimeout,
	})
	if err != nil {
		s.ended(r, c, "publish", err)
		return
	}
	ctx, _, done, err := s.leave(r, c, "publish")
	if err != nil {
		code, sentence := farewell(err)
		_ = conn.Close(code, sentence)
		s.ended(r, c, "publish", err)
		return
	}
	defer done()
	log := s.log.With("stream", c.stream, "publisher", c.principal.Subject)
	err = ingest.Serve(ctx, c.stream, conn, s.opts.Hub, ingest.Options{
		Epoch:     s.opts.Epoch,
		Padding:   s.opts.Padding,
		LeftState: media.StateWaiting, LeftCause: media.CauseLeft, LeftDetail: "Its publisher left; waiting for it to come back.",
	}, log)
	log.Info("publisher left", "why", err)
	s.ended(r, c, "publish", err)
}

// leave registers a session and gives the context of all it does, which ends when the caller's leave does: its cause says why to
// whoever is asked why the session ended, and holds what the peer is told. Call done when the session is over. The error is one
// of auth's.
func (s *Server) leave(r *http.Request, c caller, kind string) (ctx context.Context, id string, done func(), err error) {
	watched, id, over, err := s.opts.Sessions.Watch(r.Context(), c.principal, sessions.Info{Kind: kind, Stream: c.stream, Remote: s.remote(r)})
	if err != nil {
		return nil, "", nil, err
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(watched))
	stop := context.AfterFunc(watched, func() {
		cause := context.Cause(watched)
		if code, sentence := farewell(cause); code != transport.CodeGoingAway {
			cause = errors.Join(cause, &transport.CloseError{Code: code, Reason: sentence})
		}
		cancel(cause)
	})
	return ctx, id, func() { stop(); cancel(nil); over() }, nil
}

// until is when p's leave ends, as viewers are told.
func (s *Server) until(p auth.Principal) media.Timestamp {
	return s.opts.Epoch.Now().Add(time.Until(p.Expires))
}

// renew goes on with the session of that name under the leave of a new ticket, which must be the same viewer's, for the same stream
// and from the same page. It is on record before it counts.
func (s *Server) renew(r *http.Request, c caller, id, ticket string) (media.Timestamp, error) {
	p, err := s.opts.Auth.RedeemTicket(ticket, auth.View, c.stream, r.Header.Get("Origin"))
	if err == nil {
		p, err = s.opts.Auth.Bind(p, s.access.Load().Certificates, shown(r), auth.View, c.stream)
	}
	if err == nil && p.Subject != c.principal.Subject {
		err = fmt.Errorf("ticket of another viewer: %w", auth.ErrNotAllowed)
	}
	rec := audit.Record{
		Event: "renew", Verdict: audit.Granted, Action: string(auth.View), Stream: string(c.stream),
		Subject: c.principal.Subject, TokenID: p.ID, Session: c.principal.ID,
	}
	err = s.settle(r, rec, err)
	if err == nil {
		err = s.opts.Sessions.Renew(id, p)
	}
	if err != nil {
		return 0, err
	}
	return s.until(p), nil
}

// farewell is what a peer is told whose leave ended by cause.
func farewell(cause error) (transport.Code, string) {
	switch {
	case errors.Is(cause, auth.ErrExpired):
		return transport.CodeExpired, "your permission has expired"
	case errors.Is(cause, auth.ErrRevoked):
		return transport.CodeExpired, "your permission was revoked"
	case errors.Is(cause, auth.ErrUnavailable):
		return transport.CodeExpired, "your permission cannot be checked at the moment"
	case errors.Is(cause, sessions.ErrEnded):
		return transport.CodeForbidden, "this session was ended by you elsewhere, or by the operator"
	}
	return transport.CodeGoingAway, "the server ends this session"
}

// ended records the end of a session that was granted.
func (s *Server) ended(r *http.Request, c caller, event string, why error) {
	s.record(r, audit.Record{
		Event: event + "-end", Verdict: audit.Ended, Reason: endReason(why), Stream: string(c.stream),
		Subject: c.principal.Subject, TokenID: c.principal.ID, Session: c.principal.ID,
	})
}

func endReason(why error) string {
	var closed *transport.CloseError
	var fault *wire.MalformedError
	switch {
	case errors.Is(why, errStopping):
		return "server-stopped"
	case errors.Is(why, context.Canceled): // the request is over, since the one who asked is gone
		return "left"
	case errors.As(why, &fault):
		return "malformed"
	case errors.Is(why, sessions.ErrEnded):
		return "ended"
	case errors.Is(why, auth.ErrExpired), errors.Is(why, auth.ErrRevoked), errors.Is(why, auth.ErrUnavailable):
		return auth.Reason(why)
	case errors.Is(why, hub.ErrTaken):
		return "taken"
	case errors.Is(why, hub.ErrFull):
		return "full"
	case errors.As(why, &closed) && closed.Remote:
		return "left"
	case errors.As(why, &closed):
		return closed.Reason
	default:
		return why.Error()
	}
}
