package httpd

import (
	"context"
	"errors"
	"net/http"
	"time"

	"sightline/internal/audit"
	"sightline/internal/hub"
	"sightline/internal/ingest"
	"sightline/internal/media"
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
		s.fail(w, http.StatusNotFound, "no-stream", "There is no such stream.")
		s.ended(r, c, "watch", errors.New("no such stream"))
		return
	}
	conn, err := ws.Upgrade(w, r, wire.Subprotocol, ws.Options{
		ReadLimit: wire.MaxViewerMessage, IdleTimeout: peerTimeout, WriteTimeout: writeTimeout,
	})
	if err != nil {
		s.ended(r, c, "watch", err)
		return
	}
	log := s.log.With("stream", c.stream, "viewer", c.principal.Subject)
	log.Info("viewer joined", "remote", s.remote(r))
	opts := viewer.Options{Expires: c.principal.Expires, Epoch: s.opts.Epoch}
	err = viewer.Serve(r.Context(), c.stream, conn, s.opts.Hub, opts, log)
	log.Info("viewer left", "why", err)
	s.ended(r, c, "watch", err)
}

// publish takes a remote publisher's stream.
func (s *Server) publish(w http.ResponseWriter, r *http.Request, c caller) {
	if !s.opts.MayPublish(c.stream) {
		s.fail(w, http.StatusConflict, "has-source",
			"This stream has a source of its own in the server's configuration; publish under another name.")
		s.ended(r, c, "publish", errors.New("the stream has a source of its own"))
		return
	}
	conn, err := ws.Upgrade(w, r, wire.Subprotocol, ws.Options{
		ReadLimit: wire.MaxMessageLen, IdleTimeout: peerTimeout, WriteTimeout: writeTimeout,
	})
	if err != nil {
		s.ended(r, c, "publish", err)
		return
	}
	log := s.log.With("stream", c.stream, "publisher", c.principal.Subject)
	err = ingest.Serve(r.Context(), c.stream, conn, s.opts.Hub, ingest.Options{
		Epoch: s.opts.Epoch, Expires: c.principal.Expires,
		LeftState: media.StateWaiting, LeftDetail: "Its publisher left; waiting for it to come back.",
	}, log)
	log.Info("publisher left", "why", err)
	s.ended(r, c, "publish", err)
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
	case errors.Is(why, context.Canceled):
		return "server-stopped"
	case errors.As(why, &fault):
		return "malformed"
	case errors.Is(why, viewer.ErrExpired), errors.Is(why, ingest.ErrExpired), errors.Is(why, errPictureTime):
		return "expired"
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
