package supervise

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode"
)

const secret = "rtsp://admin:hunter2@cam/1?a=1&b=2"

// logged writes texts to a lineLogger and gives the lines of the log, without their time.
func logged(texts ...string) []string {
	var out bytes.Buffer
	l := &lineLogger{
		redact: func(s string) string { return strings.ReplaceAll(s, secret, "rtsp://***@cam") },
		log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
			Level: slog.LevelDebug,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		})).With("stream", "door"),
	}
	for _, text := range texts {
		if n, err := l.Write([]byte(text)); n != len(text) || err != nil {
			panic(fmt.Sprint(n, err))
		}
	}
	l.flush()
	if out.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestLines(t *testing.T) {
	escaped, err := json.Marshal(secret) // & becomes \u0026
	if err != nil {
		t.Fatal(err)
	}
	many := `{"level":"INFO","msg":"m"`
	for i := range 30 {
		many += fmt.Sprintf(`,"k%02d":%d`, i, i)
	}
	for _, tc := range []struct {
		name string
		in   []string
		want []string
	}{
		{"a line of text", []string{"no such device\n"}, []string{`level=INFO msg=capture stream=door line="no such device"`}},
		{"in pieces", []string{"no ", "such", " device\nnext\n"}, []string{`level=INFO msg=capture stream=door line="no such device"`, `level=INFO msg=capture stream=door line=next`}},
		{"without its end", []string{"killed"}, []string{`level=INFO msg=capture stream=door line=killed`}},
		{"nothing", []string{"\n \n\r\n"}, nil},
		{"control characters", []string{"a\x1b[31mb\rc\x00\n"}, []string{`level=INFO msg=capture stream=door line="a [31mb c"`}},
		{"a secret", []string{"open " + secret + " refused\n"}, []string{`level=INFO msg=capture stream=door line="open rtsp://***@cam refused"`}},
		{"a record", []string{`{"time":"2026-01-02T03:04:05Z","level":"WARN","msg":"source stalled","after":5000000000,"again":true,"name":"x y"}` + "\n"}, []string{`level=WARN msg="capture: source stalled" stream=door capture.after=5000000000 capture.again=true capture.name="x y"`}},
		{"a record that plays another stream", []string{`{"level":"ERROR","msg":"m","stream":"yard"}` + "\n"}, []string{`level=ERROR msg="capture: m" stream=door capture.stream=yard`}},
		{"a record with a secret, escaped", []string{`{"level":"INFO","msg":"open","source":` + string(escaped) + `}` + "\n"}, []string{`level=INFO msg="capture: open" stream=door capture.source=rtsp://***@cam`}},
		{"a record with nested values", []string{`{"level":"DEBUG","msg":"m","a":{"b":[1,2]},"c":null,"d":1.5}` + "\n"}, []string{`level=DEBUG msg="capture: m" stream=door capture.d=1.5`}},
		{"a record without a message", []string{`{"level":"INFO","a":1}` + "\n"}, []string{`level=INFO msg=capture stream=door line="{\"level\":\"INFO\",\"a\":1}"`}},
		{"a record of a level unknown", []string{`{"level":"LOUD","msg":"m"}` + "\n"}, []string{`level=INFO msg=capture stream=door line="{\"level\":\"LOUD\",\"msg\":\"m\"}"`}},
		{"more behind the record", []string{`{"level":"INFO","msg":"m"} {}` + "\n"}, []string{`level=INFO msg=capture stream=door line="{\"level\":\"INFO\",\"msg\":\"m\"} {}"`}},
		{"half a record", []string{`{"level":"INFO","msg":"m` + "\n"}, []string{`level=INFO msg=capture stream=door line="{\"level\":\"INFO\",\"msg\":\"m"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := logged(tc.in...); strings.Join(got, "\n") != strings.Join(tc.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
	if got := logged(many + "}\n"); strings.Count(got[0], "capture.k") != maxAttrs {
		t.Errorf("a record of 30 attributes: %s", got)
	}
	long := logged(strings.Repeat("x", 10*maxLine)+"\nnext\n", strings.Repeat("y", maxLine-len(secret)/2)+secret+"\n")
	if len(long) != 3 || len(long[0]) > maxText+100 || !strings.HasSuffix(long[1], "line=next") {
		t.Errorf("a long line is logged as %d lines, %d bytes", len(long), len(long[0]))
	}
	if strings.Contains(long[2], "hunter") {
		t.Error("half a secret at the end of what is read shows")
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("text"), []byte("\n"))
	f.Add([]byte(`{"level":"INFO","msg":"m","source":"`), []byte(`","a":1}`))
	f.Add([]byte(`{"level":"INFO","msg":"`), []byte("\"}\n{\"a\":\n"))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		for _, line := range logged(string(before)+secret+string(after), "\n") {
			if strings.Contains(line, secret) {
				t.Errorf("the secret shows: %q", line)
			}
			if !strings.Contains(line, "stream=door") || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("logged: %q", line)
			}
			if len(line) > (maxAttrs*2+3)*(maxText*4+10) {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
	})
}
