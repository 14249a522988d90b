package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sightline/internal/media"
	"sightline/internal/wire"
)

var update = flag.Bool("update", false, "rewrite the good vectors in testdata/wire") //nolint:gochecknoglobals // a flag of the test program

const vectorDir = "../../testdata/wire"

func au(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func mediaChunk(h wire.MediaHeader, n, index int) []byte {
	return wire.AppendChunk(nil, h, au(n), index)
}

// good are the messages that must parse to these values and marshal to these bytes.
func good() map[string]struct {
	message, from string
	value         any
	bytes         []byte
} {
	type v = struct {
		message, from string
		value         any
		bytes         []byte
	}
	key := wire.MediaHeader{Flags: wire.FlagKey, Rendition: 1, Generation: 3, Seq: 7, Capture: 1_234_567_890, EncodeDelay: 2900}
	delta := wire.MediaHeader{Rendition: 2, Generation: 255, Seq: 0xffffffff, DepDelta: 1, Capture: -5, EncodeDelay: 0xffffffff}
	config := wire.Config{Codec: media.CodecH264, Rendition: 1, Generation: 3, Width: 1280, Height: 720, FrameRateMilli: 29970, TargetBitrateBps: 2_500_000, CodecString: "avc1.42c01f"}
	jpeg := wire.Config{Codec: media.CodecJPEG, Rendition: 2, Generation: 0, Width: 65535, Height: 1, CodecString: "jpeg"}
	timeReq := wire.TimeReq{ID: 258, T1: -1}
	timeResp := wire.TimeResp{ID: 258, T1: -1, T2: 1 << 40, T3: 1<<40 + 3}
	abort := wire.Abort{Rendition: 1, Seq: 99}
	feedback := wire.Feedback{Flags: wire.FlagHidden | wire.FlagOverloaded, Rendition: 1, Seq: 42, Arrival: 5_000_000, Received: 0xfffffff0, DecodeQueue: 2, Dropped: 1, PaintP50: 18_000, ClockError: 150}
	keyReq := wire.KeyReq{Rendition: 1, Reason: wire.KeyDecoderError, LastGood: 41}
	ctrl := wire.Ctrl{Op: wire.CtrlMaxHeight, Arg: 544}
	prefer := wire.Ctrl{Op: wire.CtrlPrefer, Arg: uint16(wire.PreferMotion)}
	viewerHello := wire.ViewerHello{Player: "sightline-web/1", Codecs: []string{"h264", "jpeg"}, MaxHeight: 720, Mode: "live"}
	hello := wire.PublisherHello{Agent: "sightline-capture/1", Source: "rtsp", Renditions: []wire.RenditionInfo{{ID: 1, Name: "720p", Codec: "h264", Width: 1280, Height: 720, FrameRateMilli: 29970, MinBitrateBps: 300_000, MaxBitrateBps: 2_500_000, Encoder: "libx264"}}, Sandbox: "seccomp, Landlock"}
	status := wire.PublisherStatus{State: media.StateOffline, Cause: media.CauseSilent, Detail: "The camera does not answer; check its cable.", SourceWidth: 1280, SourceHeight: 720}
	viewerStatus := wire.ViewerStatus{Stream: "site/door", State: media.StateRestarting, Cause: media.CauseRestarted, Detail: "é", Rendition: 1, Since: 77, Dropped: map[string]uint64{"queue": 3}}
	limited := wire.ViewerStatus{Stream: "door", State: media.StateLive, Rendition: 2, Since: 77, Limit: wire.LimitNetwork, CarriesBps: 64_000, Stills: true, Until: 3_600_000_077, Renditions: []wire.RenditionInfo{{ID: 2, Name: "Motion JPEG", Codec: "jpeg", Width: 640, Height: 360, FrameRateMilli: 10_000, MinBitrateBps: 0, MaxBitrateBps: 9_000_000}}}
	renew := wire.Renew{Ticket: "AAAABBBBCCCCDDDDEEEEFFFFGG"}
	want := wire.Want{Renditions: []wire.WantedRendition{{ID: 1, BitrateBps: 2_500_000}, {ID: 2, MaxFrameRateMilli: 5000}}}
	viewerStats := wire.ViewerStats{PaintP50: 18_000, PaintP95: 24_000, ClockError: 150, Painted: 30, Decoded: 30, BitrateBps: 2_400_000, Renderer: "track"}
	stats := wire.PublisherStats{Renditions: []wire.RenditionStats{{ID: 1, Encoded: 30, EncodeP50: 2900, EncodeP95: 4800, BitrateBps: 2_400_000, PSNR: 41.5, SSIM: 0.982}}}
	return map[string]v{
		"media-key":        {"MEDIA", "server", key, mediaChunk(key, 40, 0)},
		"media-delta":      {"MEDIA", "server", delta, mediaChunk(delta, 1, 0)},
		"media-exact":      {"MEDIA", "server", key, mediaChunk(key, wire.MaxChunkPayload, 0)},
		"media-last-chunk": {"MEDIA", "server", key, mediaChunk(key, wire.MaxChunkPayload+5, 1)},
		"config-h264":      {"CONFIG", "server", config, wire.AppendConfig(nil, config)},
		"config-jpeg":      {"CONFIG", "server", jpeg, wire.AppendConfig(nil, jpeg)},
		"time-req":         {"TIME_REQ", "viewer", timeReq, wire.AppendTimeReq(nil, timeReq)},
		"time-resp":        {"TIME_RESP", "server", timeResp, wire.AppendTimeResp(nil, timeResp)},
		"abort":            {"ABORT", "server", abort, wire.AppendAbort(nil, abort)},
		"feedback":         {"FEEDBACK", "viewer", feedback, wire.AppendFeedback(nil, feedback)},
		"keyreq":           {"KEYREQ", "viewer", keyReq, wire.AppendKeyReq(nil, keyReq)},
		"ctrl":             {"CTRL", "viewer", ctrl, wire.AppendCtrl(nil, ctrl)},
		"ctrl-prefer":      {"CTRL", "viewer", prefer, wire.AppendCtrl(nil, prefer)},
		"hello-viewer":     {"HELLO", "viewer", viewerHello, wire.AppendJSON(nil, wire.TypeHello, viewerHello)},
		"hello-publisher":  {"HELLO", "publisher", hello, wire.AppendJSON(nil, wire.TypeHello, hello)},
		"status-publisher": {"STATUS", "publisher", status, wire.AppendJSON(nil, wire.TypeStatus, status)},
		"status-limited":   {"STATUS", "server", limited, wire.AppendJSON(nil, wire.TypeStatus, limited)},
		"status-viewer":    {"STATUS", "server", viewerStatus, wire.AppendJSON(nil, wire.TypeStatus, viewerStatus)},
		"renew":            {"RENEW", "viewer", renew, wire.AppendJSON(nil, wire.TypeRenew, renew)},
		"want":             {"WANT", "server", want, wire.AppendJSON(nil, wire.TypeWant, want)},
		"stats-viewer":     {"STATS", "viewer", viewerStats, wire.AppendJSON(nil, wire.TypeStats, viewerStats)},
		"stats-publisher":  {"STATS", "publisher", stats, wire.AppendJSON(nil, wire.TypeStats, stats)},
	}
}

// bad are bytes that must be refused, by message.
func bad() map[string]struct {
	message, from string
	bytes         []byte
} {
	type v = struct {
		message, from string
		bytes         []byte
	}
	key := wire.MediaHeader{Flags: wire.FlagKey, Rendition: 1}
	change := func(b []byte, at int, with ...byte) []byte {
		c := bytes.Clone(b)
		copy(c[at:], with)
		return c
	}
	whole := mediaChunk(key, 40, 0)
	config := wire.AppendConfig(nil, wire.Config{Codec: media.CodecH264, Width: 16, Height: 16, CodecString: "avc1.42c01f"})
	text := func(t wire.Type, s string) []byte { return append([]byte{byte(t)}, s...) }
	return map[string]v{
		"media-short":           {"MEDIA", "server", whole[:31]},
		"media-truncated":       {"MEDIA", "server", whole[:len(whole)-1]},
		"media-trailing":        {"MEDIA", "server", append(bytes.Clone(whole), 0)},
		"media-empty":           {"MEDIA", "server", change(whole[:32], 28, 0, 0, 0, 0)},
		"media-huge":            {"MEDIA", "server", change(whole, 28, 0xff, 0xff, 0xff, 0xff)},
		"media-chunk-count":     {"MEDIA", "server", change(whole, 12, 0, 2)},
		"media-chunk-index":     {"MEDIA", "server", change(whole, 10, 0, 1)},
		"media-key-with-dep":    {"MEDIA", "server", change(whole, 8, 0, 1)},
		"media-delta-no-dep":    {"MEDIA", "server", change(whole, 1, 0)},
		"config-codec":          {"CONFIG", "server", change(config, 1, 9)},
		"config-no-pixels":      {"CONFIG", "server", change(config, 4, 0, 0)},
		"config-string-length":  {"CONFIG", "server", change(config, 16, 12)},
		"config-string-control": {"CONFIG", "server", change(config, 17, '\n')},
		"time-req-short":        {"TIME_REQ", "viewer", wire.AppendTimeReq(nil, wire.TimeReq{})[:11]},
		"time-resp-long":        {"TIME_RESP", "server", append(wire.AppendTimeResp(nil, wire.TimeResp{}), 0)},
		"abort-short":           {"ABORT", "server", wire.AppendAbort(nil, wire.Abort{})[:7]},
		"feedback-short":        {"FEEDBACK", "viewer", wire.AppendFeedback(nil, wire.Feedback{})[:31]},
		"keyreq-reason":         {"KEYREQ", "viewer", wire.AppendKeyReq(nil, wire.KeyReq{Reason: 9})},
		"ctrl-prefer-unknown":   {"CTRL", "viewer", wire.AppendCtrl(nil, wire.Ctrl{Op: wire.CtrlPrefer, Arg: 6})},
		"ctrl-op":               {"CTRL", "viewer", wire.AppendCtrl(nil, wire.Ctrl{Op: 9})},
		"hello-not-object":      {"HELLO", "viewer", text(wire.TypeHello, `["h264"]`)},
		"hello-duplicate-key":   {"HELLO", "viewer", text(wire.TypeHello, `{"codecs":["h264"],"codecs":["jpeg"]}`)},
		"hello-trailing":        {"HELLO", "viewer", text(wire.TypeHello, `{"codecs":["h264"]}{}`)},
		"hello-type":            {"HELLO", "viewer", text(wire.TypeHello, `{"codecs":"h264"}`)},
		"hello-no-renditions":   {"HELLO", "publisher", text(wire.TypeHello, `{"agent":"a","source":"test","renditions":[]}`)},
		"hello-same-id":         {"HELLO", "publisher", text(wire.TypeHello, `{"renditions":[{"id":1,"name":"a","codec":"h264"},{"id":1,"name":"b","codec":"h264"}]}`)},
		"status-viewer-state":   {"STATUS", "server", text(wire.TypeStatus, `{"state":"happy"}`)},
		"status-viewer-limit":   {"STATUS", "server", text(wire.TypeStatus, `{"state":"live","limit":"luck"}`)},
		"renew-empty":           {"RENEW", "viewer", text(wire.TypeRenew, `{"ticket":""}`)},
		"status-state":          {"STATUS", "publisher", text(wire.TypeStatus, `{"state":"happy"}`)},
		"want-negative":         {"WANT", "server", text(wire.TypeWant, `{"renditions":[{"id":1,"bitrate_bps":-1}]}`)},
	}
}

// parse parses b as a message sent by from and gives the value, and its bytes again where the encoding is canonical.
func parse(message, from string, b []byte) (value any, again []byte, err error) {
	j := func(t wire.Type, v any) (any, []byte, error) {
		err := wire.ParseJSON(b, t, v)
		return v, nil, err
	}
	switch message {
	case "MEDIA":
		h, payload, err := wire.ParseMedia(b)
		return h, append(wire.AppendMediaHeader(nil, h), payload...), err
	case "CONFIG":
		v, err := wire.ParseConfig(b)
		return v, wire.AppendConfig(nil, v), err
	case "TIME_REQ":
		v, err := wire.ParseTimeReq(b)
		return v, wire.AppendTimeReq(nil, v), err
	case "TIME_RESP":
		v, err := wire.ParseTimeResp(b)
		return v, wire.AppendTimeResp(nil, v), err
	case "ABORT":
		v, err := wire.ParseAbort(b)
		return v, wire.AppendAbort(nil, v), err
	case "FEEDBACK":
		v, err := wire.ParseFeedback(b)
		return v, wire.AppendFeedback(nil, v), err
	case "KEYREQ":
		v, err := wire.ParseKeyReq(b)
		return v, wire.AppendKeyReq(nil, v), err
	case "CTRL":
		v, err := wire.ParseCtrl(b)
		return v, wire.AppendCtrl(nil, v), err
	case "HELLO":
		if from == "publisher" {
			return j(wire.TypeHello, &wire.PublisherHello{})
		}
		return j(wire.TypeHello, &wire.ViewerHello{})
	case "STATUS":
		if from == "publisher" {
			return j(wire.TypeStatus, &wire.PublisherStatus{})
		}
		return j(wire.TypeStatus, &wire.ViewerStatus{})
	case "WANT":
		return j(wire.TypeWant, &wire.Want{})
	case "RENEW":
		return j(wire.TypeRenew, &wire.Renew{})
	case "STATS":
		if from == "publisher" {
			return j(wire.TypeStats, &wire.PublisherStats{})
		}
		return j(wire.TypeStats, &wire.ViewerStats{})
	}
	return nil, nil, fmt.Errorf("no parser for message %q", message)
}

type vector struct {
	name, message, from, expect, value string
	bytes                              []byte
}

func (v vector) file() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "message: %s\nfrom: %s\nexpect: %s\n", v.message, v.from, v.expect)
	if v.value != "" {
		fmt.Fprintf(&b, "value: %s\n", v.value)
	}
	b.WriteString("\n")
	for line := range chunks(v.bytes, 32) {
		b.WriteString(hex.EncodeToString(line) + "\n")
	}
	return b.Bytes()
}

func chunks(b []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			k := min(n, len(b))
			if !yield(b[:k]) {
				return
			}
			b = b[k:]
		}
	}
}

func readVector(t *testing.T, path string) vector {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, body, ok := strings.Cut(string(raw), "\n\n")
	if !ok {
		t.Fatalf("%s: no empty line between header and bytes", path)
	}
	v := vector{name: strings.TrimSuffix(filepath.Base(path), ".txt")}
	for line := range strings.SplitSeq(head, "\n") {
		k, val, _ := strings.Cut(line, ": ")
		switch k {
		case "message":
			v.message = val
		case "from":
			v.from = val
		case "expect":
			v.expect = val
		case "value":
			v.value = val
		default:
			t.Fatalf("%s: header key %q", path, k)
		}
	}
	if v.bytes, err = hex.DecodeString(strings.ReplaceAll(body, "\n", "")); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

func TestVectors(t *testing.T) {
	if *update {
		for name, g := range good() {
			value, err := json.Marshal(g.value)
			if err != nil {
				t.Fatal(err)
			}
			if g.message == "MEDIA" {
				h, _, err := wire.ParseMedia(g.bytes)
				if err != nil {
					t.Fatal(err)
				}
				value, _ = json.Marshal(h)
			}
			write(t, vector{name: name, message: g.message, from: g.from, expect: "ok", value: string(value), bytes: g.bytes})
		}
		for name, b := range bad() {
			write(t, vector{name: name, message: b.message, from: b.from, expect: "malformed", bytes: b.bytes})
		}
	}
	paths, err := filepath.Glob(filepath.Join(vectorDir, "*.txt"))
	if err != nil || len(paths) < len(good())+len(bad()) {
		t.Fatalf("%d vectors in %s (%v), want at least %d", len(paths), vectorDir, err, len(good())+len(bad()))
	}
	for _, path := range paths {
		v := readVector(t, path)
		t.Run(v.name, func(t *testing.T) {
			value, again, err := parse(v.message, v.from, v.bytes)
			switch v.expect {
			case "ok":
				if err != nil {
					t.Fatal(err)
				}
				got, _ := json.Marshal(value)
				if string(got) != v.value {
					t.Errorf("value\n got %s\nwant %s", got, v.value)
				}
				if again != nil && !bytes.Equal(again, v.bytes) {
					t.Errorf("marshalled again\n got %x\nwant %x", again, v.bytes)
				}
			case "malformed":
				var m *wire.MalformedError
				if !asMalformed(err, &m) {
					t.Fatalf("error %v, want a MalformedError", err)
				}
				if m.Message != v.message {
					t.Errorf("error names %s, want %s", m.Message, v.message)
				}
			default:
				t.Fatalf("expect %q", v.expect)
			}
		})
	}
}

func write(t *testing.T, v vector) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(vectorDir, v.name+".txt"), v.file(), 0o644); err != nil {
		t.Fatal(err)
	}
}
