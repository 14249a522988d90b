// Package viewer is one viewing session: it joins a hub subscription, what adapt decides and a connection, and owns the
// goroutines of that connection. It knows no HTTP and no tokens: whoever calls it has let the viewer in.
package viewer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sightline/internal/adapt"
	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/transport"
	"sightline/internal/transport/ws"
	"sightline/internal/wire"
)

// Conn is what a session needs of a connection: transport.Conn, and writes of bytes framed once for everybody.
type Conn interface {
	transport.Conn
	// Watch has p read from now on, instead of ReadMessage, if that can be done: heard is called with each message, and at the end, once, with
	// an error. It must not hold p up.
	Watch(p *ws.Poller, heard func(message []byte, err error)) bool
	// WriteFramed writes whole messages that carry their frame headers already. It neither changes nor keeps p.
	WriteFramed(p []byte) error
	// TryWriteFramed does the same for one message if it need not wait for that, or else nothing: sent is false then. Where whole is false a part
	// is left, which goes with the next write, or with Flush.
	TryWriteFramed(p []byte) (sent, whole bool)
	// Flush waits until what TryWriteFramed left is on its way.
	Flush() error
	// Prefetch has what TryWriteFramed needs on its way from memory, without waiting for it.
	Prefetch()
}

const (
	helloTimeout = 10 * time.Second
	// maxMessages bounds what a viewer may send in a second. A player sends about 15, and on a path that is filling up one
	// more for each access unit, of which there may be 120.
	maxMessages = 250
	// renewSpacing is the least time between two tickets of a viewer that renew its leave.
	renewSpacing = time.Second
	// roomAgain is how soon to look at a full window again when nothing is acknowledged meanwhile.
	roomAgain = 100 * time.Millisecond
	// padEvery and maxPad shape padding: pieces of at most so many bytes, so often.
	padEvery, maxPad = 10 * time.Millisecond, 4 << 10
	// stillAlone is the least time between two stills of a viewer whose network carries no more, stillShared where others
	// watch the same rendition.
	stillAlone, stillShared = 500 * time.Millisecond, 2 * time.Second
)

// Options describe a session.
type Options struct {
	Epoch media.Epoch
	// Fan sends pictures ahead of the session's own goroutine where that need not wait, and looks after the session. It runs for as long.
	Fan *Fan
	// Until is when the viewer's leave ends, for the viewer to know; 0 where it does not. Whoever gave it ends the session.
	Until media.Timestamp
	// Renew takes a new ticket of the viewer's, and gives until when its leave is then. Nil where leave is never renewed.
	Renew func(ticket string) (until media.Timestamp, err error)
	// Tell is given what the viewer measures, about once a second, and must not wait. Nil where nobody is told.
	Tell func(Figures)
	// Began is called once, when the first picture is on its way. Nil where nobody is told.
	Began func()
}

// Figures are how a viewer fares. But for Rendition, Limit and Stills they are the viewer's own words.
type Figures struct {
	Rendition  media.Rendition // the one it has; zero for none
	Limit      wire.Limit      // what keeps it from more
	Stills     bool            // its network carries still pictures alone
	PaintP50   time.Duration   // from capture to the screen
	PaintP95   time.Duration
	ClockError time.Duration // by how much both may be off
	Painted    int           // pictures since the last figures
	Dropped    int           // pictures that came and were not shown, since then
	BitrateBps int
	Stages     *wire.ViewerStages // medians; nil where it does not say
}

// session is one viewer of one stream. What each picture needs stands first and together: with very many viewers none of it is in a cache.
type session struct {
	conn   Conn
	sub    *hub.Subscription
	epoch  media.Epoch
	mu     sync.Mutex
	path   adapt.Path // guarded by mu
	writer writer

	wishes adapt.Wishes    // guarded by mu
	until  media.Timestamp // the end of the viewer's leave; guarded by mu
	limit  wire.Limit      // as the viewer was told last; guarded by mu
	stills bool            // the same; guarded by mu

	id   media.StreamID
	opts Options
	log  *slog.Logger

	hello   chan struct{} // closed by the reader once wishes are known
	control chan []byte   // messages from the reader to the writer, ahead of media
	rethink chan struct{} // the wishes changed
	acked   chan struct{} // path took in an acknowledgement that matters
	ready   chan struct{} // there is something to send, or the stream is another
	news    chan struct{} // there may be something to tell

	// Owned by the reader.
	renewed  time.Time      // when leave was last to be renewed
	window   time.Time      // when messages began to be counted
	messages int            // since then
	renewing sync.WaitGroup // looks at tickets, which may take a while
}

// Serve runs the session of a viewer of stream id over conn until either side ends it or ctx is done, and
// closes conn. The error says why it ended; it is never nil and wraps hub.ErrNoStream or hub.ErrFull when the stream
// could not be joined, ctx's cause, a *wire.MalformedError when the viewer broke the protocol, or a
// *transport.CloseError. log is expected to name the stream and the viewer.
func Serve(ctx context.Context, id media.StreamID, conn Conn, h *hub.Hub, opts Options, log *slog.Logger) error {
	sub, err := h.Subscribe(id)
	if err != nil {
		code, why := transport.CodeNoStream, "there is no such stream"
		if errors.Is(err, hub.ErrFull) {
			code, why = transport.CodePolicy, "this server has as many viewers as it may have; try again later"
		}
		_ = conn.Close(code, why)
		return err
	}
	defer sub.Close()
	s := &session{
		conn: conn, sub: sub, epoch: opts.Epoch, id: id, opts: opts, log: log, until: opts.Until,
		hello: make(chan struct{}), control: make(chan []byte, 8), rethink: make(chan struct{}, 1),
		acked: make(chan struct{}, 1), ready: make(chan struct{}, 1), news: make(chan struct{}, 1), window: time.Now(),
	}
	w, fan := &s.writer, opts.Fan
	w.session = s
	defer s.renewing.Wait()
	b, leave := fan.join(w)
	defer leave()
	sub.Notify(func(more bool) { fan.add(b, w, more) })
	read := func() error { return s.read(b.poller) }
	return fmt.Errorf("watch %s: %w", id, transport.Converse(ctx, conn, goodbye, read, s.write))
}

// goodbye is what the viewer is told when the session ends by cause.
func goodbye(cause error) (transport.Code, string) {
	return wire.Goodbye(cause, "the server ends this session")
}

// read takes the viewer's messages, or has p do that where it can.
func (s *session) read(p *ws.Poller) error {
	end := make(chan error, 1)
	over := false
	if s.conn.Watch(p, func(b []byte, err error) {
		if over {
			return // the connection lives on to tell the viewer why
		}
		if err == nil {
			err = s.take(b)
		}
		if over = err != nil; over {
			end <- err
		}
	}) {
		return <-end
	}
	for {
		b, err := s.conn.ReadMessage()
		if err != nil {
			return err
		}
		if err := s.take(b); err != nil {
			return err
		}
	}
}

// take takes one message of the viewer's. It does not wait.
func (s *session) take(b []byte) error {
	if s.messages++; s.messages > maxMessages {
		if time.Since(s.window) < time.Second {
			return &transport.CloseError{
				Code: transport.CodePolicy, Reason: fmt.Sprintf("more than %d messages a second", maxMessages),
			}
		}
		s.window, s.messages = time.Now(), 1
	}
	switch wire.Type(b[0]) {
	case wire.TypeHello:
		return s.takeHello(b)
	case wire.TypeTimeReq:
		r, err := wire.ParseTimeReq(b)
		if err != nil {
			return err
		}
		s.writer.tellTime(wire.TimeResp{ID: r.ID, T1: r.T1, T2: s.epoch.Now()})
	case wire.TypeFeedback:
		f, err := wire.ParseFeedback(b)
		if err != nil {
			return err
		}
		s.acknowledged(f)
	case wire.TypeKeyReq:
		if _, err := wire.ParseKeyReq(b); err != nil {
			return err
		}
		s.sub.RequestKey()
	case wire.TypeCtrl:
		c, err := wire.ParseCtrl(b)
		if err != nil {
			return err
		}
		s.steer(c)
	case wire.TypeRenew:
		var r wire.Renew
		if err := wire.ParseJSON(b, wire.TypeRenew, &r); err != nil {
			return err
		}
		return s.renew(r.Ticket)
	case wire.TypeStats:
		var st wire.ViewerStats
		if err := wire.ParseJSON(b, wire.TypeStats, &st); err != nil {
			return err
		}
		s.log.Debug("viewer", "paint_p50_us", st.PaintP50, "paint_p95_us", st.PaintP95,
			"painted", st.Painted, "dropped", st.Dropped)
		if s.opts.Tell != nil {
			s.opts.Tell(s.figures(st))
		}
	}
	return nil // a type we do not know is skipped
}

// figures joins what the viewer says with what is known here.
func (s *session) figures(st wire.ViewerStats) Figures {
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	f := Figures{
		PaintP50: us(st.PaintP50), PaintP95: us(st.PaintP95), ClockError: us(st.ClockError),
		Painted: st.Painted, Dropped: st.Dropped, BitrateBps: st.BitrateBps, Stages: st.Stages,
	}
	f.Rendition, _ = s.sub.Rendition()
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Limit, f.Stills = s.limit, s.stills
	return f
}

// renew goes on with a new ticket's leave. One that is refused changes nothing: the leave there is goes on to its end.
func (s *session) renew(ticket string) error {
	now := time.Now()
	if now.Sub(s.renewed) < renewSpacing {
		return &transport.CloseError{Code: transport.CodePolicy, Reason: fmt.Sprintf("leave renewed more often than every %s", renewSpacing)}
	}
	s.renewed = now
	if s.opts.Renew == nil {
		return nil
	}
	s.renewing.Go(func() {
		until, err := s.opts.Renew(ticket)
		if err != nil {
			s.log.Info("leave not renewed", "error", err)
			return
		}
		s.mu.Lock()
		s.until = until
		s.mu.Unlock()
		wake(s.rethink)
	})
	return nil
}

func (s *session) takeHello(b []byte) error {
	var h wire.ViewerHello
	if err := wire.ParseJSON(b, wire.TypeHello, &h); err != nil {
		return err
	}
	s.change(func(w *adapt.Wishes) { w.Codecs, w.MaxHeight = h.Codecs, h.MaxHeight })
	select {
	case <-s.hello:
	default:
		close(s.hello)
	}
	return nil
}

func (s *session) steer(c wire.Ctrl) {
	switch c.Op {
	case wire.CtrlPause:
		s.sub.Pause(true)
	case wire.CtrlResume:
		s.sub.Pause(false)
	case wire.CtrlRendition:
		s.change(func(w *adapt.Wishes) { w.Pinned, w.Pin = true, media.RenditionID(c.Arg) })
	case wire.CtrlAuto:
		s.change(func(w *adapt.Wishes) { w.Pinned = false })
	case wire.CtrlMaxHeight:
		s.change(func(w *adapt.Wishes) { w.MaxHeight = int(c.Arg) })
	case wire.CtrlPrefer:
		s.change(func(w *adapt.Wishes) { w.Prefer = preference(wire.Preference(c.Arg)) })
	}
}

func preference(p wire.Preference) adapt.Preference {
	switch p {
	case wire.PreferHigh:
		return adapt.PreferHigh
	case wire.PreferLow:
		return adapt.PreferLow
	case wire.PreferSaver:
		return adapt.PreferSaver
	case wire.PreferDetail:
		return adapt.PreferDetail
	case wire.PreferMotion:
		return adapt.PreferMotion
	}
	return adapt.PreferAuto
}

func limit(l adapt.Limit) wire.Limit {
	switch l {
	case adapt.LimitNetwork:
		return wire.LimitNetwork
	case adapt.LimitSize:
		return wire.LimitSize
	case adapt.LimitShared:
		return wire.LimitShared
	}
	return wire.LimitNone
}

// acknowledged takes in what a viewer says of arrivals.
func (s *session) acknowledged(f wire.Feedback) {
	s.arrived(f)
	if !s.writer.resting() {
		wake(s.acked)
	}
}

func (s *session) arrived(f wire.Feedback) {
	now := s.epoch.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.path.Acked(adapt.Ack{
		Rendition: f.Rendition, Seq: f.Seq, Arrival: f.Arrival, Error: time.Duration(f.ClockError) * time.Microsecond,
		Received: f.Received,
	}, now)
}

// resting is idle, for who does not hold w.turn; false where somebody else does.
func (w *writer) resting() bool {
	if !w.turn.TryLock() {
		return false
	}
	defer w.turn.Unlock()
	return w.idle()
}

// idle tells whether an acknowledgement can change nothing: pictures go out as they come, and all of them. w.turn is held.
func (w *writer) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.live && !w.held && !w.choice.Stills && w.rate.Settled(&w.path)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *session) change(f func(*adapt.Wishes)) {
	s.mu.Lock()
	f(&s.wishes)
	s.mu.Unlock()
	wake(s.rethink)
}

// send hands a control message to the writer; when it is that far behind, the message is not worth sending.
func (s *session) send(b []byte) {
	select {
	case s.control <- b:
	default:
	}
}

// write sends status, configuration and media, and control messages ahead of them.
func (s *session) write(ctx context.Context) error {
	hello := time.NewTimer(helloTimeout)
	defer hello.Stop()
	for waiting := true; waiting; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-hello.C:
			return &transport.CloseError{
				Code: transport.CodeUnresponsive, Reason: fmt.Sprintf("no HELLO within %s", helloTimeout),
			}
		case b := <-s.control:
			if err := s.writeControl(b); err != nil {
				return err
			}
		case <-s.hello:
			<-s.rethink // HELLO's own: the first look is all that it asks for
			waiting = false
		}
	}
	again := time.NewTimer(0) // to look at the window again, or to send padding
	defer again.Stop()
	w := &s.writer
	if err := w.take(func() error { w.live = true; return w.look(true) }); err != nil {
		return err
	}
	defer w.end()
	// A viewer that is always behind must not keep the rest from its turn: one access unit at a time, and select is fair.
	always := make(chan struct{})
	close(always)
	var more <-chan struct{} // always while there may be something queued, and nil otherwise
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case b := <-s.control:
			err = w.take(func() error { return w.writeControl(b) })
		case <-s.rethink:
			err = w.take(func() error { return w.look(true) })
		case <-s.news:
			err = w.take(w.inform)
		case <-s.acked:
			more = always
			err = w.take(func() error { return w.ponder(again) })
		case <-again.C:
			more = always
			err = w.take(func() error { return w.pad(again) })
		case <-s.ready:
			more = always
			err = w.take(w.flush)
		case <-more:
			more = nil
			err = w.take(func() error {
				sent, err := w.one(again)
				if sent {
					more = always
				}
				return err
			})
		}
		if err != nil {
			return err
		}
	}
}

// take has the session's goroutine do something that its fan must keep out of.
func (w *writer) take(f func() error) error {
	w.turn.Lock()
	defer w.turn.Unlock()
	return f()
}

// end keeps the fan out for good.
func (w *writer) end() {
	w.turn.Lock()
	defer w.turn.Unlock()
	w.live = false
}

// inform tells the viewer what is new, and draws the conclusions, about once a second whatever comes from it.
func (w *writer) inform() error {
	w.view.Shared = w.sub.Look().Shared // others come and go, and their networks change
	if w.hasNews() {
		if err := w.tell(); err != nil {
			return err
		}
	}
	return w.adjust()
}

// ponder draws the conclusions from an acknowledgement.
func (w *writer) ponder(again *time.Timer) error {
	if err := w.adjust(); err != nil {
		return err
	}
	return w.pad(again)
}

// flush sends what the fan left, and looks at the stream if it is another.
func (w *writer) flush() error {
	if err := w.leftovers(); err != nil {
		return err
	}
	if w.sub.Version() == w.view.Version {
		return nil
	}
	return w.look(false)
}

// leftovers sends what the fan took from the queue and could not send: it comes before all that is still in the queue.
func (w *writer) leftovers() error {
	if w.unflushed {
		w.unflushed = false
		if err := w.conn.Flush(); err != nil {
			return err
		}
	}
	au := w.left
	if au == nil {
		return nil
	}
	w.left = nil
	return w.media(au, w.leftFrom)
}

// one sends one access unit, if there is one and room for it; if there is no room, again is set for another look.
func (w *writer) one(again *time.Timer) (sent bool, err error) {
	if err := w.leftovers(); err != nil {
		return false, err
	}
	if !w.room(w.epoch.Now()) {
		again.Reset(roomAgain)
		return false, nil
	}
	au, _ := w.sub.Next()
	if au == nil {
		return false, nil
	}
	return true, w.media(au, 0)
}

// writeControl sends b; a TIME_RESP gets its departure time now.
func (s *session) writeControl(b []byte) error {
	if wire.Type(b[0]) == wire.TypeTimeResp {
		wire.SetT3(b, s.epoch.Now())
	}
	return s.writeMessage(b)
}

func (s *session) writeMessage(b []byte) error {
	s.mu.Lock()
	s.path.Sent(len(b))
	s.mu.Unlock()
	return s.conn.WriteMessage(b)
}

// writeFramed sends messages that stand behind their frame headers.
func (s *session) writeFramed(b []byte) error {
	s.mu.Lock()
	s.path.Sent(ws.PayloadLen(b))
	s.mu.Unlock()
	return s.conn.WriteFramed(b)
}

// writer is what whoever sends knows: the session's goroutine, or its fan.
type writer struct {
	*session
	due atomic.Bool // the fan is to look

	// The rest belongs to who holds turn, and so does the right to send pictures.
	turn      sync.Mutex
	live      bool            // the fan may send
	unflushed bool            // the fan's last message is not on its way in whole
	held      bool            // the window was full when last looked at
	left      *hub.AccessUnit // taken from the queue by the fan, which could not send it
	config    *hub.Config     // the last one sent
	most      int             // bit/s that the viewer could use at best
	view      hub.View
	rate      adapt.Rate

	leftFrom int // of left, the first chunk that was not sent
	told     told
	chooser  adapt.Chooser
	choice   adapt.Choice
	needs    adapt.Needs     // as the hub knows them
	asked    media.Timestamp // when the last still was asked for
	padding  []byte
}

// told is what the viewer was told last.
type told struct {
	cause      media.Cause
	detail     string
	drops      uint64
	limit      adapt.Limit
	carries    int // bit/s; 0: more than is sent
	renditions []media.Rendition
}

// look takes the stream's status and renditions, chooses a rendition and tells the viewer what is new.
func (w *writer) look(force bool) error {
	view := w.sub.Look()
	changed := force || view.Status != w.view.Status
	cause, detail := view.Status.Cause, view.Status.Detail
	w.view = view
	ladder, wishes := offers(view), w.wished()
	choice, ok := w.chooser.Choose(wishes, w.rate.Carries(), ladder, w.epoch.Now())
	w.most = adapt.Best(wishes, ladder)
	if ok && choice.Stills != w.choice.Stills {
		w.sub.Stills(choice.Stills)
		if !choice.Stills {
			w.sub.RequestKey()
		}
		changed = true
	}
	w.choice = choice
	w.need(wishes, ladder)
	if ok && (!view.Attached || view.Chosen != choice.Rendition) {
		// An error means that the rendition went away since Look: Ready is signalled again.
		if err := w.sub.Select(choice.Rendition); err == nil {
			w.view.Chosen, w.view.Attached = choice.Rendition, true
			changed = true
		}
	}
	switch {
	case !ok && len(view.Renditions) > 0:
		cause, detail = media.CauseNoCodec, fmt.Sprintf("This player decodes %.80q, and the stream has none of them.", wishes.Codecs)
	case ok && choice.Stills && view.Status.State == media.StateLive:
		cause, detail = media.CauseNetwork, "Your network carries no moving picture now: still pictures come as fast as it takes them."
	}
	if limit, _ := w.limits(); !changed && detail == w.told.detail && limit == w.told.limit {
		return nil
	}
	w.told.cause, w.told.detail = cause, detail
	return w.tell()
}

// offers is what adapt needs to know of the renditions.
func offers(view hub.View) []adapt.Offer {
	list := make([]adapt.Offer, 0, len(view.Renditions))
	for _, r := range view.Renditions {
		bitrate, others := view.Shared[r.ID]
		list = append(list, adapt.Offer{Rendition: r, Others: others, Bitrate: bitrate, Measured: view.Measured[r.ID]})
	}
	return list
}

// wished is a copy of the viewer's wishes.
func (s *session) wished() adapt.Wishes {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wishes // its Codecs are replaced and never changed
}

// need tells the hub what the viewer's rendition should be encoded at for it.
func (w *writer) need(wishes adapt.Wishes, ladder []adapt.Offer) {
	needs := w.chooser.Needs(wishes, w.rate.Send(), w.rate.Carries(), ladder)
	if needs != w.needs {
		w.needs = needs
		w.sub.Needs(hub.Needs(needs))
	}
}

// adjust takes in what the path has shown: what it carries, what the renditions should be encoded at for it, and which of
// them the viewer should have.
func (w *writer) adjust() error {
	if !adaptive {
		return nil
	}
	now := w.epoch.Now()
	before := w.rate.Carries()
	w.mu.Lock()
	if w.choice.Stills {
		w.rate.Still(&w.path, w.most, now)
	} else {
		w.rate.Update(&w.path, w.most, now)
	}
	empty := w.path.Empty()
	w.mu.Unlock()
	if w.rate.Send() != w.needs.CarriesBps {
		w.need(w.wished(), offers(w.view))
	}
	if w.choice.Stills && empty && now.Sub(w.asked) >= w.stillEvery() {
		w.asked = now
		w.sub.RequestKey()
	}
	if w.rate.Carries() == before && !w.choice.Stills {
		return nil
	}
	return w.look(false)
}

// stillEvery is the least time between two stills: a keyframe costs the others who watch the rendition.
func (w *writer) stillEvery() time.Duration {
	if _, others := w.view.Shared[w.choice.Rendition]; others {
		return stillShared
	}
	return stillAlone
}

// room reports whether the window has room for one access unit more. While it has none, no keyframe is asked for that
// could not go out.
func (w *writer) room(now media.Timestamp) bool {
	if !windowed {
		return true
	}
	carries := w.rate.Carries()
	if carries == 0 {
		carries = w.most
	}
	w.mu.Lock()
	room := w.path.Room(carries, now)
	w.mu.Unlock()
	if room == w.held {
		w.held = !room
		w.sub.Hold(w.held)
	}
	return room
}

// pad sends the padding that is due, and has again fire while there will be more.
func (w *writer) pad(again *time.Timer) error {
	if w.choice.Stills {
		return nil
	}
	now := w.epoch.Now()
	w.mu.Lock()
	n := w.rate.Padding(&w.path, w.most, now)
	w.mu.Unlock()
	if w.rate.Probing(now) {
		again.Reset(padEvery)
	}
	if n == 0 {
		return nil
	}
	if w.padding == nil {
		w.padding = make([]byte, maxPad)
		w.padding[0] = byte(wire.TypePad)
	}
	return w.writeMessage(w.padding[:min(max(n, wire.PadHeaderLen), maxPad)])
}

// tell sends STATUS.
func (w *writer) tell() error {
	status := wire.ViewerStatus{
		Stream: w.id, State: w.view.Status.State, Cause: w.told.cause, Detail: w.told.detail, Since: w.view.Status.Since,
		Rendition: w.view.Chosen, Stills: w.choice.Stills, Dropped: map[string]uint64{},
	}
	w.mu.Lock()
	status.Until = w.until
	w.mu.Unlock()
	w.told.drops = 0
	for reason, n := range w.sub.Dropped() {
		status.Dropped[string(reason)] = n
		w.told.drops += n
	}
	w.told.limit, w.told.carries = w.limits()
	status.Limit, status.CarriesBps = limit(w.told.limit), w.told.carries
	w.mu.Lock()
	w.limit, w.stills = status.Limit, status.Stills
	w.mu.Unlock()
	if list := w.selectable(); !slices.Equal(list, w.told.renditions) {
		w.told.renditions = list
		for _, r := range list {
			status.Renditions = append(status.Renditions, wire.NewRenditionInfo(r))
		}
	}
	return w.writeMessage(wire.AppendJSON(nil, wire.TypeStatus, status))
}

// limits is what keeps the viewer from more, and what its network carries where that is what does.
func (w *writer) limits() (l adapt.Limit, carries int) {
	l = w.chooser.Limit(w.wished(), w.rate.Carries(), offers(w.view))
	if l == adapt.LimitNetwork {
		carries = w.rate.Carries()
	}
	return l, carries
}

// selectable lists the renditions that the viewer may ask for: those it decodes.
func (w *writer) selectable() []media.Rendition {
	codecs := w.wished().Codecs
	var list []media.Rendition
	for _, r := range w.view.Renditions {
		if slices.Contains(codecs, r.Codec.String()) {
			list = append(list, r)
		}
	}
	return list
}

// hasNews tells whether the viewer is to be told what it was not sent, or what limits it.
func (w *writer) hasNews() bool {
	limit, carries := w.limits()
	const notable = 5 // one part in so many
	same := max(carries-w.told.carries, w.told.carries-carries) <= w.told.carries/notable
	return w.sub.Drops() != w.told.drops || limit != w.told.limit || !same
}

// media sends au from its chunk from on, behind its configuration where that is new to the viewer. Control goes out ahead of each chunk, and the
// rest of a delta that got too old is abandoned.
func (w *writer) media(au *hub.AccessUnit, from int) error {
	first := w.config == nil
	if au.Config != w.config {
		if err := w.writeFramed(au.Config.Framed); err != nil {
			return err
		}
		w.config = au.Config
	}
	began := w.epoch.Now()
	for i := from; i < len(au.Chunks); i++ {
		if err := w.drainControl(); err != nil {
			return err
		}
		if i > 0 && !au.Key && w.epoch.Now().Sub(au.Received) > staleAfter {
			return w.abandon(au)
		}
		if err := w.writeFramed(au.Chunks[i]); err != nil {
			return err
		}
	}
	w.mu.Lock()
	w.path.SentUnit(au.Config.Rendition.ID, au.Seq, au.Bytes, began, w.epoch.Now())
	w.mu.Unlock()
	if first && w.opts.Began != nil {
		w.opts.Began()
	}
	return nil
}

func (w *writer) abandon(au *hub.AccessUnit) error {
	w.sub.Abandon(hub.DropStale)
	return w.writeMessage(wire.AppendAbort(nil, wire.Abort{Rendition: au.Config.Rendition.ID, Seq: au.Seq}))
}

func (w *writer) drainControl() error {
	for {
		select {
		case b := <-w.control:
			if err := w.writeControl(b); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}
