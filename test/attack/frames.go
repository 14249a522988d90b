//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sightline/internal/wire"
)

// frame is one frame of RFC 6455, section 5.2, each part of which may be wrong.
type frame struct {
	final    bool
	rsv      byte // 4 is RSV1
	opcode   byte
	unmasked bool
	form     int    // how the length is written: 7, 16 or 64 bits; 0: as short as can be
	length   uint64 // said, where it is not the payload's
	payload  []byte
}

const (
	opContinue = 0
	opText     = 1
	opBinary   = 2
	opClose    = 8
	opPing     = 9
	opPong     = 10
)

func (f frame) bytes() []byte {
	first := f.rsv<<4 | f.opcode
	if f.final {
		first |= 0x80
	}
	b := []byte{first}
	n := f.length
	if n == 0 {
		n = uint64(len(f.payload))
	}
	form := f.form
	switch {
	case form != 0:
	case n < 126:
		form = 7
	case n < 1<<16:
		form = 16
	default:
		form = 64
	}
	mask := byte(0x80)
	if f.unmasked {
		mask = 0
	}
	switch form {
	case 7:
		b = append(b, mask|byte(n))
	case 16:
		b = binary.BigEndian.AppendUint16(append(b, mask|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, mask|127), n)
	}
	if f.unmasked {
		return append(b, f.payload...)
	}
	key := []byte{0x12, 0x34, 0x56, 0x78}
	b = append(b, key...)
	for i, c := range f.payload {
		b = append(b, c^key[i%4])
	}
	return b
}

func message(payload []byte) []byte {
	return frame{final: true, opcode: opBinary, payload: payload}.bytes()
}

// blowLimit is how long the server may take to close after a blow. Most of it is for the floods.
const blowLimit = 5 * time.Second

// stroke is one way to break the framing or the protocol, after a good handshake.
type stroke struct {
	name  string
	send  [][]byte
	codes []int  // of the close frame that is due
	end   string // the reason on record for the end of the session
	slow  bool
}

// strokes are those that both doors must parry.
func strokes() []stroke {
	hello := message(wire.AppendJSON(nil, wire.TypeHello, wire.ViewerHello{Player: "x", Codecs: []string{"h264"}, Mode: "live"}))
	skipped := []byte{0x7f, 1, 2, 3} // of a type that stays unassigned, and is skipped
	var list []stroke
	add := func(name string, codes []int, send ...[]byte) {
		list = append(list, stroke{name: name, send: send, codes: codes, end: "fault"})
	}
	protocol, big := []int{1002}, []int{1009, 1002}
	for _, op := range []byte{0, 1, 2, 8, 9, 10} {
		for _, n := range []int{0, 4, 200} {
			if op >= 8 && n > 125 {
				continue
			}
			add(fmt.Sprintf("unmasked, opcode %d, %d bytes", op, n), protocol, frame{final: true, opcode: op, unmasked: true, payload: make([]byte, n)}.bytes())
		}
		for _, rsv := range []byte{1, 2, 3, 4, 5, 6, 7} {
			add(fmt.Sprintf("reserved bits %03b, opcode %d", rsv, op), protocol, frame{final: true, rsv: rsv, opcode: op, payload: skipped}.bytes())
		}
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		for _, final := range []bool{true, false} {
			for _, payload := range [][]byte{nil, skipped} {
				add(fmt.Sprintf("reserved opcode %d, final %t, %d bytes", op, final, len(payload)), protocol, frame{final: final, opcode: op, payload: payload}.bytes())
			}
		}
	}
	for _, n := range []int{1, 4, 125} {
		for _, form := range []int{16, 64} {
			for _, op := range []byte{opBinary, opPing} {
				add(fmt.Sprintf("%d bytes, length in %d bits, opcode %d", n, form, op), protocol, frame{final: true, opcode: op, form: form, payload: slices.Concat(skipped[:1], make([]byte, n-1))}.bytes())
			}
		}
	}
	for _, n := range []int{126, 1000, 4000} {
		add(fmt.Sprintf("%d bytes, length in 64 bits", n), protocol, frame{final: true, opcode: opBinary, form: 64, payload: slices.Concat(skipped[:1], make([]byte, n-1))}.bytes())
	}
	for name, n := range map[string]uint64{
		"2^63": 1 << 63, "2^63-1": 1<<63 - 1, "2^64-1": 1<<64 - 1, "2^62": 1 << 62, "2^32": 1 << 32, "2^31": 1 << 31, "2^63+4": 1<<63 + 4, "2^24": 1 << 24, "70000": 70_000,
	} {
		for _, op := range []byte{opBinary, opText, opContinue} {
			codes := big
			if op == opText {
				codes = []int{1009, 1002, 1003}
			}
			add(fmt.Sprintf("length %s, opcode %d", name, op), codes, frame{final: true, opcode: op, form: 64, length: n, payload: skipped}.bytes())
		}
	}
	for _, op := range []byte{opClose, opPing, opPong} {
		add(fmt.Sprintf("control frame %d in fragments", op), protocol, frame{opcode: op, payload: skipped}.bytes())
		for _, n := range []int{126, 127, 1000, 65536} {
			add(fmt.Sprintf("control frame %d of %d bytes", op, n), protocol, frame{final: true, opcode: op, payload: make([]byte, n)}.bytes())
		}
		add(fmt.Sprintf("control frame %d that says 2^63 bytes", op), protocol, frame{final: true, opcode: op, form: 64, length: 1 << 63}.bytes())
	}
	for _, code := range []uint16{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535} {
		add(fmt.Sprintf("closing with code %d", code), protocol, frame{final: true, opcode: opClose, payload: binary.BigEndian.AppendUint16(nil, code)}.bytes())
	}
	add("closing with half a code", protocol, frame{final: true, opcode: opClose, payload: []byte{3}}.bytes())
	for i, reason := range []string{"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "abc\xe2\x82", "\x80", "\xfe\xff", "\xc3(", "ok\xf0\x9f\x92"} {
		add(fmt.Sprintf("closing with bad UTF-8 %d", i+1), []int{1007, 1002}, frame{final: true, opcode: opClose, payload: append([]byte{3, 232}, reason...)}.bytes())
	}
	begin := frame{opcode: opBinary, payload: skipped}.bytes()
	add("a continuation of nothing", protocol, frame{final: true, opcode: opContinue, payload: skipped}.bytes())
	add("a continuation of nothing, more to come", protocol, frame{opcode: opContinue, payload: skipped}.bytes())
	add("a continuation after the end", protocol, message(skipped), frame{final: true, opcode: opContinue}.bytes())
	add("a message inside another", protocol, begin, message(skipped))
	add("a message inside another, in fragments", protocol, begin, begin)
	add("text inside a message", protocol, begin, frame{final: true, opcode: opText, payload: skipped}.bytes())
	add("reserved bits in the second fragment", protocol, begin, frame{final: true, rsv: 4, opcode: opContinue}.bytes())
	add("an unmasked second fragment", protocol, begin, frame{final: true, opcode: opContinue, unmasked: true}.bytes())
	add("a bad ping between fragments", protocol, begin, frame{opcode: opPing}.bytes())
	for name, text := range map[string]string{"good text": "hello", "text no UTF-8": "\xff\xff", "a HELLO as text": `{"player":"x","codecs":["h264"]}`, "empty text": "", "text in fragments": "x"} {
		f := frame{final: name != "text in fragments", opcode: opText, payload: []byte(text)}
		list = append(list, stroke{name: name, send: [][]byte{f.bytes()}, codes: []int{1003}, end: "fault"})
	}
	add("an empty message", []int{1007}, message(nil))
	add("an empty message of two empty fragments", []int{1007}, frame{opcode: opBinary}.bytes(), frame{final: true, opcode: opContinue}.bytes())
	for _, n := range []int{65537, 100_000} {
		add(fmt.Sprintf("a message of %d bytes", n), []int{1009}, message(slices.Concat(skipped, make([]byte, n-4))))
	}
	pieces := [][]byte{begin}
	for range 20 {
		pieces = append(pieces, frame{opcode: opContinue, payload: make([]byte, 4000)}.bytes())
	}
	add("80 KB in fragments", []int{1009}, pieces...)
	list = append(list, stroke{name: "endless empty fragments", send: [][]byte{begin, slices.Repeat(frame{opcode: opContinue}.bytes(), 200_000)}, codes: []int{1002, 1008, 1009, 4408}, end: "fault", slow: true})
	list = append(list, stroke{name: "endless fragments of one byte", send: [][]byte{begin, slices.Repeat(frame{opcode: opContinue, payload: []byte{0}}.bytes(), 200_000)}, codes: []int{1002, 1008, 1009, 4408}, end: "fault"})
	list = append(list, stroke{name: "a flood of pings", send: [][]byte{slices.Repeat(frame{final: true, opcode: opPing, payload: []byte("ping")}.bytes(), 200_000)}, codes: []int{1008, 1002}, end: "fault", slow: true})
	list = append(list, stroke{name: "a flood of pongs nobody asked for", send: [][]byte{slices.Repeat(frame{final: true, opcode: opPong, payload: []byte("pong")}.bytes(), 200_000)}, codes: []int{1008, 1002}, end: "fault", slow: true})
	malformed := func(name string, send ...[]byte) {
		list = append(list, stroke{name: name, send: send, codes: []int{1007}, end: "malformed"})
	}
	for n := range 12 {
		malformed(fmt.Sprintf("TIME_REQ of %d bytes", n+1), message(append([]byte{byte(wire.TypeTimeReq)}, make([]byte, n)...)))
		if n == 10 {
			break
		}
	}
	malformed("TIME_REQ of 13 bytes", message(append([]byte{byte(wire.TypeTimeReq)}, make([]byte, 12)...)))
	for name, body := range map[string]string{
		"nothing": "", "half an object": `{"player":`, "a list": `[]`, "null": `null`, "a number": `1`, "a list of codecs that is none": `{"player":"x","codecs":"h264"}`,
		"a name twice": `{"player":"x","player":"y","codecs":["h264"],"renditions":[]}`, "bytes behind it": `{"player":"x","codecs":["h264"]}x`, "deep nesting": `{"player":` + strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 201),
		"no codecs and no renditions": `{"player":"x","agent":"x"}`, "no UTF-8": "{\"player\xff\":1}", "a name of 501 bytes": `{"player":"` + strings.Repeat("x", 501) + `","agent":"` + strings.Repeat("x", 501) + `","codecs":["h264"],"renditions":[]}`,
	} {
		malformed("HELLO with "+name, message(append([]byte{byte(wire.TypeHello)}, body...)))
	}
	_ = hello
	return list
}

// watchStrokes are those of the watch door alone, after a HELLO.
func watchStrokes() []stroke {
	hello := message(wire.AppendJSON(nil, wire.TypeHello, wire.ViewerHello{Player: "x", Codecs: []string{"h264"}, Mode: "live"}))
	var list []stroke
	malformed := func(name string, payload []byte) {
		list = append(list, stroke{name: name, send: [][]byte{hello, message(payload)}, codes: []int{1007}, end: "malformed"})
	}
	for t, right := range map[wire.Type]int{wire.TypeFeedback: 32, wire.TypeKeyReq: 8, wire.TypeCtrl: 4} {
		for _, n := range []int{1, 2, 3, 7, 31, 33, 100} {
			if n != right {
				malformed(fmt.Sprintf("type 0x%02x of %d bytes", byte(t), n), append([]byte{byte(t)}, make([]byte, n-1)...))
			}
		}
	}
	for _, reason := range []byte{0, 5, 255} {
		malformed(fmt.Sprintf("KEYREQ for reason %d", reason), []byte{byte(wire.TypeKeyReq), 1, reason, 0, 0, 0, 0, 0})
	}
	for _, op := range []byte{0, 7, 8, 255} {
		malformed(fmt.Sprintf("CTRL operation %d", op), []byte{byte(wire.TypeCtrl), op, 0, 0})
	}
	malformed("CTRL preference 6", []byte{byte(wire.TypeCtrl), byte(wire.CtrlPrefer), 0, 6})
	for name, body := range map[string]string{"half an object": `{"painted":`, "text for a number": `{"painted":"x"}`, "a name twice": `{"painted":1,"painted":2}`} {
		malformed("STATS with "+name, append([]byte{byte(wire.TypeStats)}, body...))
	}
	list = append(list,
		stroke{name: "a message of 4097 bytes", send: [][]byte{hello, message(append([]byte{0x7f}, make([]byte, 4096)...))}, codes: []int{1009}, end: "fault"},
		stroke{name: "1000 messages at once", send: [][]byte{hello, slices.Repeat(message([]byte{0x7f, 0, 0, 0}), 1000)}, codes: []int{1008}, end: "fault"},
		stroke{name: "1000 keyframes asked for at once", send: [][]byte{hello, slices.Repeat(message(wire.AppendKeyReq(nil, wire.KeyReq{Rendition: 1, Reason: wire.KeyLost})), 1000)}, codes: []int{1008}, end: "fault"},
	)
	return list
}

// publishStrokes are those of the publish door alone, after a HELLO and a CONFIG.
func publishStrokes() []stroke {
	hello := message(wire.AppendJSON(nil, wire.TypeHello, publisherHello("x")))
	config := message(wire.AppendConfig(nil, wire.Config{Codec: 1, Rendition: 1, Width: 320, Height: 240, FrameRateMilli: 10_000, CodecString: "avc1.42c01f"}))
	var list []stroke
	malformed := func(name string, payload []byte) {
		list = append(list, stroke{name: name, send: [][]byte{hello, config, message(payload)}, codes: []int{1007}, end: "malformed"})
	}
	good := wire.AppendChunk(nil, wire.MediaHeader{Flags: wire.FlagKey, Rendition: 1, Seq: 1}, make([]byte, 100), 0)
	change := func(at int, b ...byte) []byte {
		p := slices.Clone(good)
		copy(p[at:], b)
		return p
	}
	for _, n := range []int{1, 4, 16, 31, 32, 33, 100, 131} {
		malformed(fmt.Sprintf("MEDIA of %d bytes", n), good[:n])
	}
	malformed("MEDIA with a byte more", append(slices.Clone(good), 0))
	malformed("MEDIA of a rendition nobody announced", change(2, 9))
	malformed("MEDIA whose total is 0", change(28, 0, 0, 0, 0))
	malformed("MEDIA whose total is 4 GiB", change(28, 255, 255, 255, 255))
	malformed("MEDIA of 0 chunks", change(12, 0, 0))
	malformed("MEDIA of 65535 chunks", change(12, 255, 255))
	malformed("MEDIA, chunk 1 of 1", change(10, 0, 1))
	malformed("MEDIA, a key that depends", change(8, 0, 1))
	malformed("MEDIA, no key that depends on nothing", change(1, 0))
	malformed("MEDIA that refers to what was not sent", append(change(1, 0)[:8], change(8, 0, 5)[8:]...))
	for name, p := range map[string][]byte{
		"of 16 bytes": {byte(wire.TypeConfig), 1, 1, 0, 1, 64, 0, 240, 0, 0, 39, 16, 0, 0, 0, 0}, "of another codec": wire.AppendConfig(nil, wire.Config{Codec: 2, Rendition: 1, Width: 1, Height: 1, CodecString: "jpeg"}),
		"of no codec": wire.AppendConfig(nil, wire.Config{Codec: 9, Rendition: 1, Width: 1, Height: 1, CodecString: "x"}), "of 0 pixels": wire.AppendConfig(nil, wire.Config{Codec: 1, Rendition: 1, CodecString: "x"}),
		"without a codec string": wire.AppendConfig(nil, wire.Config{Codec: 1, Rendition: 1, Width: 1, Height: 1}), "with a newline in it": wire.AppendConfig(nil, wire.Config{Codec: 1, Rendition: 1, Width: 1, Height: 1, CodecString: "avc1\n"}),
		"for a rendition nobody announced": wire.AppendConfig(nil, wire.Config{Codec: 1, Rendition: 7, Width: 1, Height: 1, CodecString: "x"}),
	} {
		malformed("CONFIG "+name, p)
	}
	for name, body := range map[string]string{
		"no state": `{}`, "a state that is none": `{"state":"root"}`, "too long a detail": `{"state":"live","detail":"` + strings.Repeat("x", 501) + `"}`, "a number for a state": `{"state":1}`,
	} {
		malformed("STATUS with "+name, append([]byte{byte(wire.TypeStatus)}, body...))
	}
	for name, body := range map[string]string{
		"17 renditions": renditions(17, `"name":"x","codec":"h264"`), "an id twice": `{"agent":"x","source":"x","renditions":[{"id":1,"name":"x","codec":"h264"},{"id":1,"name":"y","codec":"h264"}]}`,
		"an id of 256": `{"agent":"x","source":"x","renditions":[{"id":256,"name":"x","codec":"h264"}]}`, "a codec that is none": renditions(1, `"name":"x","codec":"exec"`),
		"no name": renditions(1, `"codec":"h264"`), "a name of 65 bytes": renditions(1, `"codec":"h264","name":"`+strings.Repeat("x", 65)+`"`), "negative lines": renditions(1, `"name":"x","codec":"h264","height":-1`),
		"65536 lines": renditions(1, `"name":"x","codec":"h264","height":65536`), "rates in the wrong order": renditions(1, `"name":"x","codec":"h264","min_bitrate_bps":2,"max_bitrate_bps":1`),
		"a source of 33 bytes": `{"agent":"x","source":"` + strings.Repeat("x", 33) + `","renditions":[{"id":1,"name":"x","codec":"h264"}]}`,
	} {
		malformed("HELLO again, with "+name, append([]byte{byte(wire.TypeHello)}, body...))
	}
	return list
}

func renditions(n int, members string) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"id":%d,%s}`, i+1, members))
	}
	return `{"agent":"x","source":"x","renditions":[` + strings.Join(list, ",") + `]}`
}

func publisherHello(name string) wire.PublisherHello {
	return wire.PublisherHello{Agent: name, Source: "test", Renditions: []wire.RenditionInfo{{ID: 1, Name: name, Codec: "h264", Width: 320, Height: 240, FrameRateMilli: 10_000, MaxBitrateBps: 1}}}
}

// frameCases are all strokes at both doors, and handshakes that are wrong. Whoever strikes has leave: what must hold is that the blow ends this
// connection, with the right code, and is on record as the session's end.
func frameCases(ctx context.Context, t *target, _ plan) ([]*testCase, error) {
	view, err := t.token(ctx, "view", "door", "insider")
	if err != nil {
		return nil, err
	}
	publish, err := t.token(ctx, "publish", "pub/**", "insider")
	if err != nil {
		return nil, err
	}
	var cases []*testCase
	var streams atomic.Int64
	for _, door := range []struct {
		event, token string
		path         func() string
		own          []stroke
	}{
		{"watch", view, func() string { return "/ws/watch/door" }, watchStrokes()},
		{"publish", publish, func() string { return fmt.Sprintf("/ws/publish/pub/frames-%d", streams.Add(1)%64) }, publishStrokes()},
	} {
		for _, s := range append(strokes(), door.own...) {
			cases = append(cases, &testCase{class: "frames", group: door.event, name: door.event + ": " + s.name, slow: s.slow, try: func(_ context.Context, v *visitor) (outcome, error) {
				v.leave()
				a, err := v.ask(upgrade(door.path(), bearer(door.token)))
				if err != nil || a.status != http.StatusSwitchingProtocols {
					return outcome{}, fmt.Errorf("the handshake: status %d %s: %w", a.status, a.code, err)
				}
				defer v.leave()
				code, err := strike(v, s.send)
				if err == nil && !slices.Contains(s.codes, code) {
					err = fmt.Errorf("closed with %d, want %v", code, s.codes)
				}
				return outcome{entries: []entry{{door.event, "granted", ""}, {door.event + "-end", "ended", s.end}}}, err
			}})
		}
		for _, h := range handshakes() {
			cases = append(cases, &testCase{class: "frames", group: door.event, name: door.event + ": handshake " + h.name, try: func(_ context.Context, v *visitor) (outcome, error) {
				r := h.request
				r.path = door.path()
				r.header = append([]string{bearer(door.token)}, r.header...)
				a, err := v.ask(r)
				return judge(a, err, h.may(door.event)...)
			}})
		}
	}
	return cases, nil
}

// strike sends blows and gives the code with which the server closes. The code is 0 where it just hangs up.
func strike(v *visitor, blows [][]byte) (int, error) {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for _, b := range blows {
			if _, err := v.conn.Write(b); err != nil {
				return // the server has closed
			}
		}
	}()
	defer func() {
		_ = v.conn.NetConn().SetDeadline(time.Now())
		<-sent
	}()
	_ = v.conn.NetConn().SetReadDeadline(time.Now().Add(blowLimit))
	for {
		op, payload, err := readFrame(v.in)
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return 0, nil
		case err != nil:
			return 0, fmt.Errorf("not closed: %w", err)
		case op == opClose && len(payload) >= 2:
			return int(binary.BigEndian.Uint16(payload)), nil
		}
	}
}

func readFrame(r io.Reader) (op byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1] & 0x7f)
	if n >= 126 {
		long := make([]byte, 2+6*(n-126))
		if _, err := io.ReadFull(r, long); err != nil {
			return 0, nil, err
		}
		n = 0
		for _, b := range long {
			n = n<<8 | uint64(b)
		}
	}
	if n > 1<<24 {
		return 0, nil, fmt.Errorf("a frame of %d bytes", n)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return head[0] & 15, payload, err
}

type handshake struct {
	name    string
	request request
	may     func(event string) []outcome
}

// handshakes are requests that ask for a WebSocket in a wrong way.
func handshakes() []handshake {
	good := upgrade("").header
	without := func(name string) []string {
		return slices.DeleteFunc(slices.Clone(good), func(line string) bool { return strings.HasPrefix(line, name+":") })
	}
	with := func(name, value string) []string { return append(without(name), name+": "+value) }
	failed := func(status int) func(string) []outcome { // let in by the guard, and then no WebSocket
		return func(event string) []outcome {
			return []outcome{{status: status, entries: []entry{{event, "granted", ""}, {event + "-end", "ended", "fault"}}}}
		}
	}
	noProtocol := func(event string) []outcome { return []outcome{refused(event, "no-subprotocol")} }
	return []handshake{
		{"without Upgrade", request{header: without("Upgrade")}, failed(400)},
		{"without Connection", request{header: without("Connection")}, failed(400)},
		{"without a key", request{header: without("Sec-WebSocket-Key")}, failed(400)},
		{"without a version", request{header: without("Sec-WebSocket-Version")}, failed(400)},
		{"of version 8", request{header: with("Sec-WebSocket-Version", "8")}, failed(400)},
		{"of version 14", request{header: with("Sec-WebSocket-Version", "14")}, failed(400)},
		{"with a short key", request{header: with("Sec-WebSocket-Key", "AAAA")}, failed(400)},
		{"with a key that is no base64", request{header: with("Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!==")}, failed(400)},
		{"with an empty key", request{header: with("Sec-WebSocket-Key", "")}, failed(400)},
		{"for h2c", request{header: with("Upgrade", "h2c")}, failed(400)},
		{"without a subprotocol", request{header: without("Sec-WebSocket-Protocol")}, noProtocol},
		{"with another subprotocol", request{header: with("Sec-WebSocket-Protocol", "mqtt")}, noProtocol},
		{"with a later version's subprotocol", request{header: with("Sec-WebSocket-Protocol", "sightline.v2")}, noProtocol},
		{"with the subprotocol in capitals", request{header: with("Sec-WebSocket-Protocol", "SIGHTLINE.V1")}, noProtocol},
		{"by POST", request{method: "POST", header: good}, func(string) []outcome { return []outcome{refused("request", "not-found")} }},
		{"by PUT", request{method: "PUT", header: good}, func(string) []outcome { return []outcome{refused("request", "not-found")} }},
		{"by HEAD", request{method: "HEAD", header: good}, func(event string) []outcome {
			return append(failed(405)(event), failed(400)(event)...)
		}},
	}
}
