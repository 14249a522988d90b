package httpd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"sightline/internal/hub"
	"sightline/internal/mjpeg"
)

// pictureTimeout is how long a first picture is waited for.
const pictureTimeout = 5 * time.Second

// snapshot answers with the stream's next picture.
func (s *Server) snapshot(w http.ResponseWriter, r *http.Request, c caller) {
	ctx, cancel := context.WithTimeout(r.Context(), pictureTimeout)
	defer cancel()
	picture, capture, err := mjpeg.Snapshot(ctx, s.opts.Hub, c.stream)
	if err != nil {
		s.noPicture(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "image/jpeg")
	h.Set("X-Capture-Time", fmt.Sprint(int64(capture)))
	if _, err := w.Write(picture); err != nil {
		s.log.Debug("snapshot not written", "error", err)
	}
}

// mjpeg answers with pictures until the caller has enough, or may have no more.
func (s *Server) mjpeg(w http.ResponseWriter, r *http.Request, c caller) {
	ctx, _, done, err := s.leave(r, c, "mjpeg")
	if err != nil {
		s.refuse(w, err)
		s.ended(r, c, "mjpeg", err)
		return
	}
	defer done()
	control := http.NewResponseController(w)
	// A request without a body is read whole. Its read deadline would otherwise end the answer.
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		s.refuse(w, fmt.Errorf("lift the read deadline: %w", err))
		return
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	out := &lateHeader{w: w, control: control, first: time.AfterFunc(pictureTimeout, func() { giveUp(errNoPicture) })}
	defer out.first.Stop()
	err = mjpeg.Stream(ctx, s.opts.Hub, c.stream, out, control.Flush)
	if !out.started {
		s.noPicture(w, err)
	}
	s.ended(r, c, "mjpeg", err)
}

var errNoPicture = errors.New("no picture came")

// lateHeader sends the head of the answer with the first picture, so that a stream without pictures can still be refused, and gives
// each write its own time limit.
type lateHeader struct {
	w       http.ResponseWriter
	control *http.ResponseController
	first   *time.Timer // gives up waiting for the first picture
	started bool
}

func (l *lateHeader) Write(p []byte) (int, error) {
	if !l.started {
		if !l.first.Stop() {
			return 0, errNoPicture
		}
		l.started = true
		l.w.Header().Set("Content-Type", mjpeg.ContentType)
		l.w.WriteHeader(http.StatusOK)
	}
	if err := l.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return l.w.Write(p)
}

func (s *Server) noPicture(w http.ResponseWriter, err error) {
	if !errors.Is(err, hub.ErrNoStream) && !errors.Is(err, mjpeg.ErrNoJPEG) && !errors.Is(err, hub.ErrFull) {
		err = errNoPicture
	}
	s.refuse(w, err)
}
