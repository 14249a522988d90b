package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sightline/internal/media"
)

// ViewerHello is the HELLO of a viewer.
type ViewerHello struct {
	Player    string   `json:"player"`
	Codecs    []string `json:"codecs"`               // what it decodes, best first
	MaxHeight int      `json:"max_height,omitempty"` // lines it can use; 0: no limit
	Mode      string   `json:"mode,omitempty"`       // "live" or "smooth"
}

// RenditionInfo is one rendition in a PublisherHello.
type RenditionInfo struct {
	ID             media.RenditionID `json:"id"`
	Name           string            `json:"name"`
	Codec          string            `json:"codec"`
	Width          int               `json:"width"`
	Height         int               `json:"height"`
	FrameRateMilli int               `json:"frame_rate_milli"`
	MinBitrateBps  int               `json:"min_bitrate_bps"`
	MaxBitrateBps  int               `json:"max_bitrate_bps"`
	Encoder        string            `json:"encoder,omitempty"` // what makes it: "libx264"; "copy": the camera itself
}

// PublisherHello is the HELLO of a publisher.
type PublisherHello struct {
	Agent      string          `json:"agent"`
	Source     string          `json:"source"`            // the scheme of the source, never its URL
	Sandbox    string          `json:"sandbox,omitempty"` // what confines the publisher, for people
	Renditions []RenditionInfo `json:"renditions"`
}

// PublisherStatus is the STATUS a publisher sends.
type PublisherStatus struct {
	State        media.State `json:"state"`
	Cause        media.Cause `json:"cause,omitempty"` // may be one that is not known here
	Detail       string      `json:"detail"`          // one sentence for people
	SourceWidth  int         `json:"source_width,omitempty"`
	SourceHeight int         `json:"source_height,omitempty"`
}

// ViewerStatus is the STATUS a viewer gets.
type ViewerStatus struct {
	Stream    media.StreamID    `json:"stream"`
	State     media.State       `json:"state"`
	Cause     media.Cause       `json:"cause,omitempty"` // what Detail says, in a word
	Detail    string            `json:"detail"`
	Rendition media.RenditionID `json:"rendition"`
	Since     media.Timestamp   `json:"since"`
	Dropped   map[string]uint64 `json:"dropped,omitempty"` // access units not sent, by reason
	Limit     Limit             `json:"limit,omitempty"`
	// CarriesBps is what the viewer's network is known to carry, in bit/s; 0: more than is sent.
	CarriesBps int `json:"carries_bps,omitempty"`
	// Stills tells that keyframes alone are sent, each when the one before has arrived.
	Stills bool `json:"stills,omitempty"`
	// Until is when the viewer's leave ends; 0: it is not known to.
	Until media.Timestamp `json:"until,omitempty"`
	// Renditions are those the viewer may ask for. Nil: as last told.
	Renditions []RenditionInfo `json:"renditions,omitempty"`
}

// Limit is what keeps a viewer from getting more than it does, as the server sees it.
type Limit string

// The limits. LimitNone is the best rendition at its best rate.
const (
	LimitNone    Limit = ""
	LimitNetwork Limit = "network" // the path to the viewer
	LimitSize    Limit = "size"    // the lines the viewer shows, or its own choice
	LimitShared  Limit = "shared"  // others watch the same rendition, whose networks carry less
)

// WantedRendition is one entry of a Want.
type WantedRendition struct {
	ID                media.RenditionID `json:"id"`
	BitrateBps        int               `json:"bitrate_bps"`          // 0: the publisher's default
	MaxFrameRateMilli int               `json:"max_frame_rate_milli"` // 0: no cap
}

// Want tells a publisher which renditions to encode from now on; one not listed is stopped.
type Want struct {
	Renditions []WantedRendition `json:"renditions"`
}

// ViewerStats is the STATS of a viewer.
type ViewerStats struct {
	PaintP50   int64  `json:"paint_p50_us"`
	PaintP95   int64  `json:"paint_p95_us"`
	ClockError int64  `json:"clock_error_us"`
	Painted    int    `json:"painted"`
	Decoded    int    `json:"decoded"`
	Dropped    int    `json:"dropped"`
	BitrateBps int    `json:"bitrate_bps"`
	Renderer   string `json:"renderer"`
	// Stages are where the time goes between capture and screen; nil while nothing is shown.
	Stages *ViewerStages `json:"stages_p50_us,omitempty"`
}

// ViewerStages are medians of the last second, in microseconds.
type ViewerStages struct {
	Encode  int64 `json:"encode"`  // from capture until the encoder gave the picture
	Network int64 `json:"network"` // from there until it was here
	Decode  int64 `json:"decode"`  // from there until it was decoded, with the time that it was held back
	Show    int64 `json:"show"`    // from there to the screen
}

// Renew is a viewer's new ticket for the stream that it watches: the session goes on under the ticket's leave.
type Renew struct {
	Ticket string `json:"ticket"`
}

// RenditionStats is one rendition in a PublisherStats.
type RenditionStats struct {
	ID         media.RenditionID `json:"id"`
	Encoded    int               `json:"encoded"` // access units since the last STATS
	Skipped    int               `json:"skipped"` // pictures replaced by newer ones before the encoder took them
	EncodeP50  int64             `json:"encode_p50_us"`
	EncodeP95  int64             `json:"encode_p95_us"`
	BitrateBps int               `json:"bitrate_bps"`
	// PSNR in dB and SSIM, of the luma of the picture that was last compared with what it was encoded from; 0 if none was.
	PSNR float64 `json:"psnr_db,omitempty"`
	SSIM float64 `json:"ssim,omitempty"`
}

// PublisherStats is the STATS of a publisher.
type PublisherStats struct {
	Renditions []RenditionStats `json:"renditions"`
}

// AppendJSON appends a message of type t that carries v. v must be one of the JSON message types of this package.
func AppendJSON(b []byte, t Type, v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("wire: %T cannot be JSON: %v", v, err)) // our own types always can
	}
	return append(append(b, byte(t)), body...)
}

// ParseJSON reads the JSON message b of type t into v and then runs the checks of v's type. Unknown keys are ignored;
// duplicate keys, wrong types and bytes after the object are malformed.
func ParseJSON(b []byte, t Type, v any) error {
	m := jsonName(t)
	if len(b) < 3 || Type(b[0]) != t {
		return malformed(m, "%d bytes, or not of type 0x%02x", len(b), uint8(t))
	}
	if b[1] != '{' {
		return malformed(m, "not a JSON object")
	}
	if err := checkKeys(b[1:]); err != nil {
		return malformed(m, "%v", err)
	}
	if err := json.Unmarshal(b[1:], v); err != nil {
		return malformed(m, "%v", err)
	}
	if c, ok := v.(interface{ check() error }); ok {
		if err := c.check(); err != nil {
			return malformed(m, "%v", err)
		}
	}
	return nil
}

func jsonName(t Type) string {
	switch t {
	case TypeHello:
		return "HELLO"
	case TypeStatus:
		return "STATUS"
	case TypeWant:
		return "WANT"
	case TypeStats:
		return "STATS"
	case TypeRenew:
		return "RENEW"
	}
	return fmt.Sprintf("message 0x%02x", uint8(t))
}

const maxJSONDepth = 5

// checkKeys walks one JSON value and refuses duplicate keys (RFC 8259 section 4 leaves them undefined), deep nesting and
// trailing bytes.
func checkKeys(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := walk(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("bytes after the JSON object")
	}
	return nil
}

func walk(d *json.Decoder, depth int) error {
	if depth > maxJSONDepth {
		return fmt.Errorf("nested deeper than %d", maxJSONDepth)
	}
	token, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			if seen[name] {
				return fmt.Errorf("key %.40q twice", name)
			}
			seen[name] = true
		}
		if err := walk(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

const maxText = 500

func (h *ViewerHello) check() error {
	if len(h.Player) > maxText || len(h.Codecs) == 0 || len(h.Codecs) > 8 {
		return errors.New("player at most 500 bytes, codecs 1 to 8 entries")
	}
	if h.MaxHeight < 0 || h.MaxHeight > 65535 {
		return fmt.Errorf("max_height %d", h.MaxHeight)
	}
	if h.Mode != "" && h.Mode != "live" && h.Mode != "smooth" {
		return fmt.Errorf("mode %.40q, want live or smooth", h.Mode)
	}
	return nil
}

func (h *PublisherHello) check() error {
	if len(h.Agent) > maxText || len(h.Source) > 32 || len(h.Sandbox) > maxText {
		return errors.New("agent and sandbox at most 500 bytes, source at most 32")
	}
	if len(h.Renditions) == 0 {
		return fmt.Errorf("no renditions, want 1 to %d", MaxRenditions)
	}
	return checkRenditions(h.Renditions)
}

func checkRenditions(list []RenditionInfo) error {
	if len(list) > MaxRenditions {
		return fmt.Errorf("%d renditions, want at most %d", len(list), MaxRenditions)
	}
	seen := map[media.RenditionID]bool{}
	for _, r := range list {
		if seen[r.ID] {
			return fmt.Errorf("rendition id %d twice", r.ID)
		}
		seen[r.ID] = true
		if err := r.check(); err != nil {
			return fmt.Errorf("rendition %d: %w", r.ID, err)
		}
	}
	return nil
}

func (r RenditionInfo) check() error {
	switch {
	case len(r.Name) == 0 || len(r.Name) > 64:
		return errors.New("name of 1 to 64 bytes")
	case len(r.Encoder) > 64:
		return errors.New("encoder of at most 64 bytes")
	case r.Codec != media.CodecH264.String() && r.Codec != media.CodecJPEG.String():
		return fmt.Errorf("codec %.40q, want h264 or jpeg", r.Codec)
	case r.Width < 0 || r.Width > 65535 || r.Height < 0 || r.Height > 65535:
		return fmt.Errorf("%dx%d pixels", r.Width, r.Height)
	case r.FrameRateMilli < 0 || r.MinBitrateBps < 0 || r.MaxBitrateBps < r.MinBitrateBps:
		return errors.New("negative rate, or bitrates in the wrong order")
	}
	return nil
}

// NewRenditionInfo gives r as messages carry it.
func NewRenditionInfo(r media.Rendition) RenditionInfo {
	return RenditionInfo{
		ID: r.ID, Name: r.Name, Codec: r.Codec.String(), Width: r.Width, Height: r.Height,
		FrameRateMilli: r.FrameRateMilli, MinBitrateBps: r.MinBitrateBps, MaxBitrateBps: r.MaxBitrateBps, Encoder: r.Encoder,
	}
}

// Media gives the rendition as the other rooms know it.
func (r RenditionInfo) Media() media.Rendition {
	codec := media.CodecH264
	if r.Codec == media.CodecJPEG.String() {
		codec = media.CodecJPEG
	}
	return media.Rendition{
		ID: r.ID, Name: r.Name, Codec: codec, Width: r.Width, Height: r.Height,
		FrameRateMilli: r.FrameRateMilli, MinBitrateBps: r.MinBitrateBps, MaxBitrateBps: r.MaxBitrateBps, Encoder: r.Encoder,
	}
}

func (s *PublisherStatus) check() error {
	switch s.State {
	case media.StateConnecting, media.StateIdle, media.StateLive, media.StateOffline, media.StateStalled, media.StateEnded:
	default:
		return fmt.Errorf("state %.40q", s.State)
	}
	if len(s.Detail) > maxText {
		return fmt.Errorf("detail of %d bytes, at most %d", len(s.Detail), maxText)
	}
	if len(s.Cause) > maxText {
		return fmt.Errorf("cause of %d bytes, at most %d", len(s.Cause), maxText)
	}
	return nil
}

func (s *ViewerStatus) check() error {
	switch {
	case !s.State.Valid():
		return fmt.Errorf("state %.40q", s.State)
	case s.Limit != LimitNone && s.Limit != LimitNetwork && s.Limit != LimitSize && s.Limit != LimitShared:
		return fmt.Errorf("limit %.40q", s.Limit)
	case s.CarriesBps < 0:
		return errors.New("negative rate")
	}
	return checkRenditions(s.Renditions)
}

func (r *Renew) check() error {
	if len(r.Ticket) == 0 || len(r.Ticket) > maxText {
		return fmt.Errorf("ticket of %d bytes, want 1 to %d", len(r.Ticket), maxText)
	}
	return nil
}

func (w *Want) check() error {
	if len(w.Renditions) > MaxRenditions {
		return fmt.Errorf("%d renditions, at most %d", len(w.Renditions), MaxRenditions)
	}
	seen := map[media.RenditionID]bool{}
	for _, r := range w.Renditions {
		if seen[r.ID] {
			return fmt.Errorf("rendition id %d twice", r.ID)
		}
		seen[r.ID] = true
		if r.BitrateBps < 0 || r.MaxFrameRateMilli < 0 {
			return errors.New("negative rate")
		}
	}
	return nil
}
