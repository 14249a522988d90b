// Package wire turns the messages of protocol sightline.v1 into bytes and back, for both its halves, publish and
// watch. It checks lengths, ranges and limits and knows no sockets, no streams' meaning and no goroutines.
// docs/protocol.md is its specification and testdata/wire its vectors.
//
// Every Parse function returns a *MalformedError for bytes that break the specification, and never keeps
// a reference to its argument unless its comment says so. All functions are safe for concurrent use.
package wire

import (
	"encoding/binary"
	"fmt"

	"sightline/internal/media"
)

// Subprotocol is the WebSocket subprotocol that names this version.
const Subprotocol = "sightline.v1"

// CertificateProtocol is what a client that has a certificate to show offers in TLS's list of protocols (ALPN, RFC 7301), beside
// http/1.1, which is what the server takes: no other client is asked for one.
const CertificateProtocol = "sightline-certificate"

// Type is the first byte of every message.
type Type uint8

// The message types. Those from 0x70 to 0x7f and 0xf0 to 0xff stay unassigned so that skipping can be exercised.
const (
	TypeMedia    Type = 0x01
	TypeConfig   Type = 0x02
	TypeTimeResp Type = 0x03
	TypePad      Type = 0x04
	TypeAbort    Type = 0x05
	TypeStatus   Type = 0x06
	TypeWant     Type = 0x07
	TypeHello    Type = 0x80
	TypeTimeReq  Type = 0x81
	TypeFeedback Type = 0x82
	TypeKeyReq   Type = 0x83
	TypeCtrl     Type = 0x84
	TypeStats    Type = 0x85
	TypeRenew    Type = 0x86
)

// Limits, in bytes unless the name says otherwise.
const (
	MediaHeaderLen   = 32
	PadHeaderLen     = 4
	MaxChunkPayload  = 16256
	MaxChunkLen      = MediaHeaderLen + MaxChunkPayload
	MaxAccessUnitLen = 8 << 20
	MaxMessageLen    = 64 << 10 // any message
	MaxViewerMessage = 4 << 10  // any message a viewer sends
	MaxCodecString   = 64
	MaxRenditions    = 16
)

// MalformedError says which message broke the specification and how.
type MalformedError struct {
	Message string // "MEDIA", "HELLO", ...
	Problem string
}

// Error implements error.
func (e *MalformedError) Error() string { return "malformed " + e.Message + ": " + e.Problem }

func malformed(message, format string, args ...any) error {
	return &MalformedError{Message: message, Problem: fmt.Sprintf(format, args...)}
}

// MediaFlags are the flags of a MEDIA message.
type MediaFlags uint8

// The flags of a MEDIA message.
const (
	FlagKey           MediaFlags = 0x01 // decodable alone
	FlagDiscardable   MediaFlags = 0x02 // nothing refers to it
	FlagDiscontinuity MediaFlags = 0x04 // capture time jumped
)

// MediaHeader is the fixed head of every MEDIA message.
type MediaHeader struct {
	Flags       MediaFlags
	Rendition   media.RenditionID
	Generation  uint8
	Seq         uint32
	DepDelta    uint16
	ChunkIndex  uint16
	ChunkCount  uint16
	Capture     media.Timestamp
	EncodeDelay uint32 // µs from capture to the end of encoding
	TotalLen    uint32 // bytes of the whole access unit
}

// Key reports whether the access unit can be decoded alone.
func (h MediaHeader) Key() bool { return h.Flags&FlagKey != 0 }

// chunkLen is how many payload bytes chunk h.ChunkIndex must have.
func (h MediaHeader) chunkLen() int {
	if h.ChunkIndex+1 < h.ChunkCount {
		return MaxChunkPayload
	}
	return int(h.TotalLen) - int(h.ChunkCount-1)*MaxChunkPayload
}

// Chunks is how many MEDIA messages an access unit of n bytes takes.
func Chunks(n int) int { return (n + MaxChunkPayload - 1) / MaxChunkPayload }

// AppendMediaHeader appends the 32 bytes of h to b.
func AppendMediaHeader(b []byte, h MediaHeader) []byte {
	b = append(b, byte(TypeMedia), byte(h.Flags), byte(h.Rendition), h.Generation)
	b = binary.BigEndian.AppendUint32(b, h.Seq)
	b = binary.BigEndian.AppendUint16(b, h.DepDelta)
	b = binary.BigEndian.AppendUint16(b, h.ChunkIndex)
	b = binary.BigEndian.AppendUint16(b, h.ChunkCount)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Capture))
	b = binary.BigEndian.AppendUint32(b, h.EncodeDelay)
	return binary.BigEndian.AppendUint32(b, h.TotalLen)
}

// ParseMedia reads one chunk. payload is a part of b.
func ParseMedia(b []byte) (h MediaHeader, payload []byte, err error) {
	const m = "MEDIA"
	if len(b) < MediaHeaderLen {
		return h, nil, malformed(m, "%d bytes, the header alone has %d", len(b), MediaHeaderLen)
	}
	if Type(b[0]) != TypeMedia {
		return h, nil, malformed(m, "type 0x%02x", b[0])
	}
	h = MediaHeader{
		Flags:       MediaFlags(b[1]),
		Rendition:   media.RenditionID(b[2]),
		Generation:  b[3],
		Seq:         binary.BigEndian.Uint32(b[4:]),
		DepDelta:    binary.BigEndian.Uint16(b[8:]),
		ChunkIndex:  binary.BigEndian.Uint16(b[10:]),
		ChunkCount:  binary.BigEndian.Uint16(b[12:]),
		Capture:     media.Timestamp(binary.BigEndian.Uint64(b[16:])),
		EncodeDelay: binary.BigEndian.Uint32(b[24:]),
		TotalLen:    binary.BigEndian.Uint32(b[28:]),
	}
	switch {
	case h.TotalLen == 0 || h.TotalLen > MaxAccessUnitLen:
		return h, nil, malformed(m, "access unit of %d bytes, want 1 to %d", h.TotalLen, MaxAccessUnitLen)
	case int(h.ChunkCount) != Chunks(int(h.TotalLen)):
		return h, nil, malformed(m, "%d chunks for %d bytes, want %d", h.ChunkCount, h.TotalLen, Chunks(int(h.TotalLen)))
	case h.ChunkIndex >= h.ChunkCount:
		return h, nil, malformed(m, "chunk %d of %d", h.ChunkIndex, h.ChunkCount)
	case h.Key() != (h.DepDelta == 0):
		return h, nil, malformed(m, "dep_delta %d with key flag %t", h.DepDelta, h.Key())
	case len(b)-MediaHeaderLen != h.chunkLen():
		return h, nil, malformed(m, "chunk %d of %d has %d bytes, want %d", h.ChunkIndex, h.ChunkCount, len(b)-MediaHeaderLen, h.chunkLen())
	}
	return h, b[MediaHeaderLen:], nil
}

// RestampMedia overwrites, in an encoded MEDIA message, the fields that the server owns: the generation and the
// sequence number, which go on rising when a publisher is replaced, and the flags.
func RestampMedia(b []byte, generation uint8, seq uint32, flags MediaFlags) {
	b[1] = byte(flags)
	b[3] = generation
	binary.BigEndian.PutUint32(b[4:], seq)
}

// AppendChunk appends the whole MEDIA message of chunk index of the access unit au to b. h gives all fields but those of
// the chunk and the total length, which are filled in from au.
func AppendChunk(b []byte, h MediaHeader, au []byte, index int) []byte {
	h.TotalLen = uint32(len(au))
	h.ChunkCount = uint16(Chunks(len(au)))
	h.ChunkIndex = uint16(index)
	from := index * MaxChunkPayload
	return append(AppendMediaHeader(b, h), au[from:min(from+MaxChunkPayload, len(au))]...)
}

// Config is a CONFIG message.
type Config struct {
	Codec            media.Codec
	Rendition        media.RenditionID
	Generation       uint8
	Width, Height    int // pixels, as displayed, 1 to 65535
	FrameRateMilli   uint32
	TargetBitrateBps uint32
	CodecString      string // RFC 6381, from the real parameter sets
}

// AppendConfig appends c to b.
func AppendConfig(b []byte, c Config) []byte {
	b = append(b, byte(TypeConfig), byte(c.Codec), byte(c.Rendition), c.Generation)
	b = binary.BigEndian.AppendUint16(b, uint16(c.Width))
	b = binary.BigEndian.AppendUint16(b, uint16(c.Height))
	b = binary.BigEndian.AppendUint32(b, c.FrameRateMilli)
	b = binary.BigEndian.AppendUint32(b, c.TargetBitrateBps)
	b = append(b, byte(len(c.CodecString)))
	return append(b, c.CodecString...)
}

// ParseConfig reads a CONFIG message.
func ParseConfig(b []byte) (Config, error) {
	const m = "CONFIG"
	if len(b) < 17 {
		return Config{}, malformed(m, "%d bytes, want at least 17", len(b))
	}
	n := int(b[16])
	switch {
	case Type(b[0]) != TypeConfig:
		return Config{}, malformed(m, "type 0x%02x", b[0])
	case !media.Codec(b[1]).Valid():
		return Config{}, malformed(m, "codec %d", b[1])
	case n == 0 || n > MaxCodecString:
		return Config{}, malformed(m, "codec string of %d bytes, want 1 to %d", n, MaxCodecString)
	case len(b) != 17+n:
		return Config{}, malformed(m, "%d bytes, want %d", len(b), 17+n)
	}
	for _, c := range b[17:] {
		if c <= ' ' || c > '~' {
			return Config{}, malformed(m, "byte 0x%02x in the codec string", c)
		}
	}
	c := Config{
		Codec:            media.Codec(b[1]),
		Rendition:        media.RenditionID(b[2]),
		Generation:       b[3],
		Width:            int(binary.BigEndian.Uint16(b[4:])),
		Height:           int(binary.BigEndian.Uint16(b[6:])),
		FrameRateMilli:   binary.BigEndian.Uint32(b[8:]),
		TargetBitrateBps: binary.BigEndian.Uint32(b[12:]),
		CodecString:      string(b[17:]),
	}
	if c.Width == 0 || c.Height == 0 {
		return Config{}, malformed(m, "%dx%d pixels", c.Width, c.Height)
	}
	return c, nil
}

// TimeReq is a TIME_REQ message.
type TimeReq struct {
	ID uint16
	T1 int64 // µs, the asker's clock
}

// AppendTimeReq appends r to b.
func AppendTimeReq(b []byte, r TimeReq) []byte {
	b = append(b, byte(TypeTimeReq), 0)
	b = binary.BigEndian.AppendUint16(b, r.ID)
	return binary.BigEndian.AppendUint64(b, uint64(r.T1))
}

// ParseTimeReq reads a TIME_REQ message.
func ParseTimeReq(b []byte) (TimeReq, error) {
	if err := fixed(b, "TIME_REQ", TypeTimeReq, 12); err != nil {
		return TimeReq{}, err
	}
	return TimeReq{ID: binary.BigEndian.Uint16(b[2:]), T1: int64(binary.BigEndian.Uint64(b[4:]))}, nil
}

// TimeResp is a TIME_RESP message. T2 and T3 are on the server's epoch.
type TimeResp struct {
	ID     uint16
	T1     int64 // µs, echoed
	T2, T3 media.Timestamp
}

// AppendTimeResp appends r to b.
func AppendTimeResp(b []byte, r TimeResp) []byte {
	b = append(b, byte(TypeTimeResp), 0)
	b = binary.BigEndian.AppendUint16(b, r.ID)
	b = binary.BigEndian.AppendUint64(b, uint64(r.T1))
	b = binary.BigEndian.AppendUint64(b, uint64(r.T2))
	return binary.BigEndian.AppendUint64(b, uint64(r.T3))
}

// ParseTimeResp reads a TIME_RESP message.
func ParseTimeResp(b []byte) (TimeResp, error) {
	if err := fixed(b, "TIME_RESP", TypeTimeResp, 28); err != nil {
		return TimeResp{}, err
	}
	return TimeResp{
		ID: binary.BigEndian.Uint16(b[2:]),
		T1: int64(binary.BigEndian.Uint64(b[4:])),
		T2: media.Timestamp(binary.BigEndian.Uint64(b[12:])),
		T3: media.Timestamp(binary.BigEndian.Uint64(b[20:])),
	}, nil
}

// Abort is an ABORT message.
type Abort struct {
	Rendition media.RenditionID
	Seq       uint32
}

// AppendAbort appends a to b.
func AppendAbort(b []byte, a Abort) []byte {
	return binary.BigEndian.AppendUint32(append(b, byte(TypeAbort), 0, byte(a.Rendition), 0), a.Seq)
}

// ParseAbort reads an ABORT message.
func ParseAbort(b []byte) (Abort, error) {
	if err := fixed(b, "ABORT", TypeAbort, 8); err != nil {
		return Abort{}, err
	}
	return Abort{Rendition: media.RenditionID(b[2]), Seq: binary.BigEndian.Uint32(b[4:])}, nil
}

// FeedbackFlags are the flags of a FEEDBACK message.
type FeedbackFlags uint8

// The flags of a FEEDBACK message.
const (
	FlagHidden     FeedbackFlags = 0x01
	FlagOverloaded FeedbackFlags = 0x02
)

// Feedback is a FEEDBACK message.
type Feedback struct {
	Flags       FeedbackFlags
	Rendition   media.RenditionID
	Seq         uint32
	Arrival     media.Timestamp // of the last chunk of Seq, as the viewer knows the server's epoch
	Received    uint32          // bytes since the connection opened, wrapping
	DecodeQueue uint16          // access units
	Dropped     uint16          // access units, since the last feedback
	PaintP50    uint32          // µs, capture to paint over the last second; 0 if none
	ClockError  uint32          // µs
}

// AppendFeedback appends f to b.
func AppendFeedback(b []byte, f Feedback) []byte {
	b = append(b, byte(TypeFeedback), byte(f.Flags), byte(f.Rendition), 0)
	b = binary.BigEndian.AppendUint32(b, f.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(f.Arrival))
	b = binary.BigEndian.AppendUint32(b, f.Received)
	b = binary.BigEndian.AppendUint16(b, f.DecodeQueue)
	b = binary.BigEndian.AppendUint16(b, f.Dropped)
	b = binary.BigEndian.AppendUint32(b, f.PaintP50)
	return binary.BigEndian.AppendUint32(b, f.ClockError)
}

// ParseFeedback reads a FEEDBACK message.
func ParseFeedback(b []byte) (Feedback, error) {
	if err := fixed(b, "FEEDBACK", TypeFeedback, 32); err != nil {
		return Feedback{}, err
	}
	return Feedback{
		Flags:       FeedbackFlags(b[1]),
		Rendition:   media.RenditionID(b[2]),
		Seq:         binary.BigEndian.Uint32(b[4:]),
		Arrival:     media.Timestamp(binary.BigEndian.Uint64(b[8:])),
		Received:    binary.BigEndian.Uint32(b[16:]),
		DecodeQueue: binary.BigEndian.Uint16(b[20:]),
		Dropped:     binary.BigEndian.Uint16(b[22:]),
		PaintP50:    binary.BigEndian.Uint32(b[24:]),
		ClockError:  binary.BigEndian.Uint32(b[28:]),
	}, nil
}

// KeyReason says why a keyframe is asked for.
type KeyReason uint8

// The reasons of a KEYREQ message.
const (
	KeyStart        KeyReason = 1
	KeyLost         KeyReason = 2
	KeyDecoderError KeyReason = 3
	KeySwitch       KeyReason = 4
)

// KeyReq is a KEYREQ message.
type KeyReq struct {
	Rendition media.RenditionID
	Reason    KeyReason
	LastGood  uint32
}

// AppendKeyReq appends k to b.
func AppendKeyReq(b []byte, k KeyReq) []byte {
	return binary.BigEndian.AppendUint32(append(b, byte(TypeKeyReq), byte(k.Rendition), byte(k.Reason), 0), k.LastGood)
}

// ParseKeyReq reads a KEYREQ message.
func ParseKeyReq(b []byte) (KeyReq, error) {
	if err := fixed(b, "KEYREQ", TypeKeyReq, 8); err != nil {
		return KeyReq{}, err
	}
	k := KeyReq{Rendition: media.RenditionID(b[1]), Reason: KeyReason(b[2]), LastGood: binary.BigEndian.Uint32(b[4:])}
	if k.Reason < KeyStart || k.Reason > KeySwitch {
		return KeyReq{}, malformed("KEYREQ", "reason %d", k.Reason)
	}
	return k, nil
}

// CtrlOp is what a CTRL message asks for.
type CtrlOp uint8

// The operations of a CTRL message.
const (
	CtrlPause     CtrlOp = 1
	CtrlResume    CtrlOp = 2
	CtrlRendition CtrlOp = 3
	CtrlAuto      CtrlOp = 4
	CtrlMaxHeight CtrlOp = 5
	CtrlPrefer    CtrlOp = 6
)

// Preference is what a viewer would rather have, where its network or its eyes do not carry everything: the argument of
// CtrlPrefer.
type Preference uint16

// The preferences.
const (
	PreferAuto   Preference = 0 // a picture in motion, as sharp as the network carries
	PreferHigh   Preference = 1 // the most lines, whatever they look like
	PreferLow    Preference = 2 // the fewest lines
	PreferSaver  Preference = 3 // the fewest bytes
	PreferDetail Preference = 4 // the most lines at their best: rather fewer pictures than blurred ones
	PreferMotion Preference = 5 // the most pictures a second: rather fewer lines than fewer or blurred pictures
)

// Ctrl is a CTRL message.
type Ctrl struct {
	Op  CtrlOp
	Arg uint16
}

// AppendCtrl appends c to b.
func AppendCtrl(b []byte, c Ctrl) []byte {
	return binary.BigEndian.AppendUint16(append(b, byte(TypeCtrl), byte(c.Op)), c.Arg)
}

// ParseCtrl reads a CTRL message.
func ParseCtrl(b []byte) (Ctrl, error) {
	if err := fixed(b, "CTRL", TypeCtrl, 4); err != nil {
		return Ctrl{}, err
	}
	c := Ctrl{Op: CtrlOp(b[1]), Arg: binary.BigEndian.Uint16(b[2:])}
	if c.Op < CtrlPause || c.Op > CtrlPrefer || c.Op == CtrlPrefer && c.Arg > uint16(PreferMotion) {
		return Ctrl{}, malformed("CTRL", "operation %d", c.Op)
	}
	return c, nil
}

// fixed checks the type and the exact length of a message without a variable part.
func fixed(b []byte, message string, t Type, n int) error {
	if len(b) != n {
		return malformed(message, "%d bytes, want %d", len(b), n)
	}
	if Type(b[0]) != t {
		return malformed(message, "type 0x%02x", b[0])
	}
	return nil
}

// SetCapture overwrites the capture time of an encoded MEDIA message.
func SetCapture(b []byte, t media.Timestamp) { binary.BigEndian.PutUint64(b[16:], uint64(t)) }

// SetT3 overwrites the departure time of an encoded TIME_RESP message.
func SetT3(b []byte, t media.Timestamp) { binary.BigEndian.PutUint64(b[20:], uint64(t)) }
