// Package hub fans access units out: streams, their renditions, one publisher each, any number of subscriptions with a
// bounded queue each. A publisher never waits for a viewer, and a viewer never gets a delta without its reference,
// provided that the publisher sends each delta after its reference. The hub knows no network and no auth; it starts no
// goroutines and takes its time from the clock it is given.
package hub

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sightline/internal/media"
)

// Errors a caller must tell apart.
var (
	ErrNoStream = errors.New("no such stream")
	ErrTaken    = errors.New("the stream has a publisher already")
	ErrFull     = errors.New("too many viewers")
)

// Options bound the hub. The zero value of a field means its default.
type Options struct {
	// QueueBudget is how long an access unit may have waited in a viewer's queue when the next one comes; beyond it the
	// queue is cut. Default 150 ms.
	QueueBudget time.Duration
	// QueueBytes bounds a viewer's queue. Default 4 MiB; a single access unit is always taken.
	QueueBytes int
	// Linger is how long a rendition goes on after its last viewer left. Default 2 s.
	Linger time.Duration
	// MaxViewers and MaxStreamViewers bound subscriptions, in all and per stream. Defaults 2000 and 2000.
	MaxViewers, MaxStreamViewers int
	// Arrived is told, of each access unit, how long it took from its capture until the server had all of it. It must be quick, must not
	// wait and must not call the hub. Nil: nobody is told.
	Arrived func(id media.StreamID, rendition media.Rendition, took time.Duration)
}

// cachedGOP bounds what a new viewer is given at once instead of waiting for a keyframe: a keyframe follows a request by
// at most keyframeSpacing, so an older group of pictures is never worth sending.
const (
	cachedGOPAge   = keyframeSpacing
	cachedGOPBytes = 256 << 10
	// A camera's own coding, whose bitrate nobody sets, makes no keyframes on request: what there is since the last is kept
	// for longer.
	ownGOPAge   = 2 * time.Second
	ownGOPBytes = 4 << 20
	// keyframeSpacing is the least time between two keyframe requests to a publisher for one rendition.
	keyframeSpacing = 500 * time.Millisecond
)

// Hub holds the streams. Safe for concurrent use. Make one with New.
type Hub struct {
	opts Options
	now  func() media.Timestamp

	mu                           sync.Mutex
	streams                      map[media.StreamID]*stream
	viewers                      int
	maxViewers, maxStreamViewers int
}

// New makes a hub whose clock is now.
func New(opts Options, now func() media.Timestamp) *Hub {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&opts.QueueBytes, queueBytes)
	def(&opts.MaxViewers, 2000)
	def(&opts.MaxStreamViewers, 2000)
	if opts.QueueBudget == 0 {
		opts.QueueBudget = queueBudget
	}
	if opts.Linger == 0 {
		opts.Linger = 2 * time.Second
	}
	return &Hub{
		opts: opts, now: now, streams: map[media.StreamID]*stream{},
		maxViewers: opts.MaxViewers, maxStreamViewers: opts.MaxStreamViewers,
	}
}

// SetLimits goes on with other bounds of subscriptions, in all and per stream. Those that there are stay.
func (h *Hub) SetLimits(viewers, streamViewers int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.maxViewers, h.maxStreamViewers = viewers, streamViewers
}

// Config is what a rendition is, as it goes to viewers. Immutable; shared by all access units encoded under it.
type Config struct {
	Rendition     media.Rendition
	CodecString   string
	Generation    uint8
	TargetBitrate int    // bit/s, 0 if not known
	Framed        []byte // the CONFIG message as it goes out
}

// AccessUnit is one picture's bytes, shared by all viewers. Nothing in it changes after Publish.
type AccessUnit struct {
	Config   *Config
	Key      bool
	Seq      uint32
	DepDelta uint16
	Capture  media.Timestamp
	Received media.Timestamp // when the server had all of it
	Bytes    int             // what it costs to send, without headers
	Chunks   [][]byte        // MEDIA messages as they go out; padding may follow the last
}

// Status is what a stream is doing.
type Status struct {
	State  media.State
	Cause  media.Cause // of the state; may be empty
	Detail string      // one sentence for people
	Since  media.Timestamp
}

// Origin is what is known of a publisher besides what it makes. The texts are its own.
type Origin struct {
	Source  string // the kind of its source, such as rtsp
	Sandbox string // what confines it, for people; empty if it does not say
}

// StreamInfo describes one stream for lists.
type StreamInfo struct {
	ID         media.StreamID
	Status     Status
	Viewers    int
	Origin     Origin // of its publisher, empty while there is none
	Renditions []media.Rendition
	// Encoding holds what is known of those of Renditions that are being encoded.
	Encoding map[media.RenditionID]Encoding
}

// Encoding is what a rendition comes to at the moment.
type Encoding struct {
	Viewers int // who have it, those that are paused too
	Figures
}

// Figures are what a publisher measured of a rendition lately. What it did not is 0.
type Figures struct {
	BitrateBps           int
	EncodeP50, EncodeP95 time.Duration // from a picture's slot to its access unit
	PSNR                 float64       // dB, of the luma
	SSIM                 float64       // 0 to 1, of the luma
	Skipped              int           // pictures that newer ones replaced before the encoder took them
}

type stream struct {
	hub      *Hub
	id       media.StreamID
	declared bool // by configuration: stays without publisher and viewers

	version atomic.Uint64 // rises when status or renditions change

	mu         sync.Mutex
	status     Status
	publisher  *Publisher
	origin     Origin // of publisher
	order      []media.RenditionID
	renditions map[media.RenditionID]*rendition
	subs       map[*Subscription]struct{}
}

// rendition outlives its place in the publisher's list, so that its numbers go on rising when it comes back. There are
// at most 256 of a stream.
type rendition struct {
	info       media.Rendition
	listed     bool    // in the publisher's list; viewers can select it
	config     *Config // nil before this publisher's first
	generation uint8   // of the next Config
	nextSeq    uint32
	seqOffset  uint32 // server's seq minus the publisher's
	started    bool   // this publisher has sent something
	subs       []*Subscription
	idleSince  media.Timestamp // when the last subscription left
	active     bool            // wanted from the publisher
	told       int             // the target that the publisher knows, bit/s; 0 for its most
	toldRate   int             // the pictures a second, in thousandths, that it knows to be enough; 0 for all
	meter      meter
	figures    Figures // of this publisher
	keyWanted  bool
	keyAsked   media.Timestamp // when the last request went out
	gop        []*AccessUnit   // since the last keyframe, while worth keeping
	gopBytes   int

	framesIn, keyframes, bytesIn, skipped uint64
	out                                   tally
	dropped                               map[DropReason]uint64 // nil while there is none
}

// find returns a rendition that the publisher lists, or nil. s.mu is held.
func (s *stream) find(id media.RenditionID) *rendition {
	if r := s.renditions[id]; r != nil && r.listed {
		return r
	}
	return nil
}

// keeps is how old and how large the group of pictures may be that joiners are given.
func (r *rendition) keeps() (age time.Duration, bytes int) {
	if r.info.MaxBitrateBps == 0 {
		return ownGOPAge, ownGOPBytes
	}
	return cachedGOPAge, cachedGOPBytes
}

// Declare makes a stream known before anybody publishes it.
func (h *Hub) Declare(id media.StreamID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.get(id).declared = true
}

// Withdraw takes back Declare: the stream is forgotten as soon as nobody publishes or watches it.
func (h *Hub) Withdraw(id media.StreamID) {
	h.mu.Lock()
	s := h.streams[id]
	if s != nil {
		s.declared = false
	}
	h.mu.Unlock()
	if s != nil {
		h.release(s)
	}
}

// Has tells whether the stream is declared, published or watched.
func (h *Hub) Has(id media.StreamID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[id] != nil
}

// get returns the stream, made if need be. h.mu is held.
func (h *Hub) get(id media.StreamID) *stream {
	s := h.streams[id]
	if s == nil {
		s = &stream{
			hub: h, id: id, renditions: map[media.RenditionID]*rendition{}, subs: map[*Subscription]struct{}{},
			status: Status{State: media.StateWaiting, Cause: media.CauseUnpublished, Detail: "Nobody publishes this stream yet.", Since: h.now()},
		}
		h.streams[id] = s
	}
	return s
}

// release forgets a stream that nothing holds.
func (h *Hub) release(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.declared && s.publisher == nil && len(s.subs) == 0 && h.streams[s.id] == s {
		delete(h.streams, s.id)
	}
}

// Streams lists all streams by name.
func (h *Hub) Streams() []StreamInfo {
	h.mu.Lock()
	all := make([]*stream, 0, len(h.streams))
	for _, s := range h.streams {
		all = append(all, s)
	}
	h.mu.Unlock()
	infos := make([]StreamInfo, 0, len(all))
	for _, s := range all {
		s.mu.Lock()
		infos = append(infos, StreamInfo{
			ID: s.id, Status: s.status, Viewers: len(s.subs), Origin: s.origin, Renditions: s.list(), Encoding: s.encoding(),
		})
		s.mu.Unlock()
	}
	slices.SortFunc(infos, func(a, b StreamInfo) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return infos
}

// list gives the renditions in the publisher's order. s.mu is held.
func (s *stream) list() []media.Rendition {
	l := make([]media.Rendition, 0, len(s.order))
	for _, id := range s.order {
		l = append(l, s.renditions[id].info)
	}
	return l
}

// encoding tells what is being encoded. s.mu is held.
func (s *stream) encoding() map[media.RenditionID]Encoding {
	encoding := map[media.RenditionID]Encoding{}
	for _, id := range s.order {
		if r := s.renditions[id]; r.active {
			encoding[id] = Encoding{len(r.subs), r.figures}
		}
	}
	return encoding
}

// SetStatus tells what a stream without a publisher is doing: for the supervisor of its capture process. It does
// nothing while there is a publisher, who knows better, or for a stream that is not known.
func (h *Hub) SetStatus(id media.StreamID, state media.State, cause media.Cause, detail string) {
	h.mu.Lock()
	s := h.streams[id]
	h.mu.Unlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publisher == nil {
		s.setStatus(state, cause, detail)
	}
}

// setStatus is called with s.mu held.
func (s *stream) setStatus(state media.State, cause media.Cause, detail string) {
	if s.status.State == state && s.status.Cause == cause && s.status.Detail == detail {
		return
	}
	if s.status.State != state {
		s.status.Since = s.hub.now()
	}
	s.status.State, s.status.Cause, s.status.Detail = state, cause, detail
	s.changed()
}

// changed wakes all subscriptions for a new status or list of renditions. s.mu is held.
func (s *stream) changed() {
	s.version.Add(1)
	for sub := range s.subs {
		sub.wake(false)
	}
}

// Publish makes the caller the publisher of a stream until it calls Close. The error wraps ErrTaken while there is
// another.
func (h *Hub) Publish(id media.StreamID) (*Publisher, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.get(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publisher != nil {
		return nil, fmt.Errorf("publish %s: %w", id, ErrTaken)
	}
	s.publisher = &Publisher{s: s, wake: make(chan struct{}, 1)}
	return s.publisher, nil
}

// Subscribe adds a viewer to a stream. It gets nothing before Select. The error wraps ErrNoStream or ErrFull.
func (h *Hub) Subscribe(id media.StreamID) (*Subscription, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.streams[id]
	if s == nil {
		return nil, fmt.Errorf("watch %s: %w", id, ErrNoStream)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.viewers >= h.maxViewers || len(s.subs) >= h.maxStreamViewers {
		return nil, fmt.Errorf("watch %s: %w", id, ErrFull)
	}
	h.viewers++
	sub := &Subscription{s: s, ready: make(chan struct{}, 1), dropped: map[DropReason]uint64{}}
	sub.queue = sub.first[:0]
	s.subs[sub] = struct{}{}
	return sub, nil
}
