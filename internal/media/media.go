// Package media holds the nouns every other room speaks in: streams, renditions, access units and the
// one time scale they share. It knows no bytes on a wire, no sockets, no codecs' insides and owns no goroutines.
package media

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// StreamID names one camera. The grammar is one or more segments of [a-z0-9][a-z0-9._-]{0,63} joined by '/';
// segments before the last are groups. At most MaxStreamIDLen bytes in all. Make one with ParseStreamID.
type StreamID string

// MaxStreamIDLen is the longest stream name accepted, in bytes, groups included.
const MaxStreamIDLen = 255

// ErrStreamID is the error every refused stream name wraps.
var ErrStreamID = errors.New("invalid stream name")

var segment = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// ParseStreamID checks s against the grammar of StreamID. The error wraps ErrStreamID and quotes at most
// the first 80 bytes of s, escaped.
func ParseStreamID(s string) (StreamID, error) {
	if len(s) == 0 || len(s) > MaxStreamIDLen {
		return "", fmt.Errorf("%w: %d bytes, want 1 to %d", ErrStreamID, len(s), MaxStreamIDLen)
	}
	for part := range strings.SplitSeq(s, "/") {
		if !segment.MatchString(part) {
			return "", fmt.Errorf("%w %.80q: each part between slashes must start with a-z or 0-9 "+
				"and hold at most 64 of a-z 0-9 . _ -", ErrStreamID, s)
		}
	}
	return StreamID(s), nil
}

// Codec is how a rendition's access units are coded.
type Codec uint8

// The codecs that cross the wire. Values are those of the CONFIG message.
const (
	CodecH264 Codec = 1 // Annex B, parameter sets in band in every keyframe, no B pictures
	CodecJPEG Codec = 2 // one baseline JPEG per access unit, every one a keyframe
)

// String gives the codec's name as configuration and pages write it.
func (c Codec) String() string {
	switch c {
	case CodecH264:
		return "h264"
	case CodecJPEG:
		return "jpeg"
	}
	return fmt.Sprintf("codec(%d)", uint8(c))
}

// Valid reports whether c is a codec this version knows.
func (c Codec) Valid() bool { return c == CodecH264 || c == CodecJPEG }

// RenditionID tells the renditions of one stream apart. It is chosen by the publisher and stays the same
// for the life of its connection.
type RenditionID uint8

// Rendition describes one encoding a publisher can make of its stream.
type Rendition struct {
	ID     RenditionID
	Name   string // "720p", "mjpeg-360p": for people
	Codec  Codec
	Width  int // pixels, as displayed
	Height int
	// FrameRateMilli is the frame rate in thousandths of a frame a second: 29970 for 30000/1001.
	FrameRateMilli int
	MinBitrateBps  int
	MaxBitrateBps  int
	// Encoder is what makes it, by its own name ("libx264"); "copy" is the camera itself, and empty is not known.
	Encoder string
}

// Timestamp is a time in microseconds on the server's epoch: its monotonic clock, counted from the
// moment the server started. Every hop maps its own clock onto it before it stamps anything.
type Timestamp int64

// Sub returns t-u.
func (t Timestamp) Sub(u Timestamp) time.Duration { return time.Duration(t-u) * time.Microsecond }

// Add returns t+d, truncated to whole microseconds.
func (t Timestamp) Add(d time.Duration) Timestamp { return t + Timestamp(d/time.Microsecond) }

// Epoch is a monotonic clock with an origin. Safe for concurrent use; the zero value is not usable.
type Epoch struct{ origin time.Time }

// NewEpoch starts an epoch now.
func NewEpoch() Epoch { return Epoch{origin: time.Now()} }

// Now is the time since the epoch began.
func (e Epoch) Now() Timestamp { return e.At(time.Now()) }

// At maps t, which must carry a monotonic reading of this process, onto the epoch.
func (e Epoch) At(t time.Time) Timestamp { return Timestamp(t.Sub(e.origin) / time.Microsecond) }

// State is what a stream is doing, in words that the pages and the API show.
type State string

// The states of a stream. A publisher reports all but StateWaiting and StateRestarting, which are the server's own
// words.
const (
	StateWaiting    State = "waiting"    // known, but nobody publishes it
	StateConnecting State = "connecting" // the source is being opened
	StateIdle       State = "idle"       // reachable, and nothing is encoded since nobody watches
	StateLive       State = "live"       // pictures are coming
	StateOffline    State = "offline"    // the source cannot be reached, or is not what it should be
	StateStalled    State = "stalled"    // the source is open but sends no pictures
	StateRestarting State = "restarting" // the publisher ended unexpectedly and is being started again
	StateEnded      State = "ended"      // the source has come to its end and will not go on
)

// Valid reports whether s is one of the states above.
func (s State) Valid() bool {
	switch s {
	case StateWaiting, StateConnecting, StateIdle, StateLive, StateOffline, StateStalled, StateRestarting, StateEnded:
		return true
	}
	return false
}
