package supervise

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"unicode"
)

// Limits of what a child can put into the log.
const (
	maxLine  = 4 << 10 // bytes of a line that are read; the rest of it is dropped
	maxAttrs = 16      // attributes of a line
	// maxText is the longest text logged, in bytes: less than what is read, so that a secret at the cut is seen whole first.
	maxText = 1 << 10
)

// lineLogger logs what is written to it, line by line. It is for one goroutine at a time.
type lineLogger struct {
	redact func(string) string // nil: nothing
	log    *slog.Logger
	name   string // what a program begins a line with that says why it ends, the colon and a space included
	line   []byte // not ended yet, at most maxLine
	words  string // of the last line that began with name, without it, and as safe to show as what is logged
}

// Write never fails: a child is not to be stopped by the log.
func (l *lineLogger) Write(p []byte) (int, error) {
	n := len(p)
	for {
		part, rest, ended := bytes.Cut(p, []byte{'\n'})
		l.line = append(l.line, part[:min(len(part), maxLine-len(l.line))]...)
		if !ended {
			return n, nil
		}
		l.flush()
		p = rest
	}
}

// flush logs the line begun, if there is one.
func (l *lineLogger) flush() {
	if level, msg, attrs, ok := l.parse(l.line); ok {
		l.log.LogAttrs(context.Background(), level, "capture: "+msg, attrs...) //nolint:sloglint // the words are the child's
	} else if text := l.clean(string(l.line)); text != "" {
		l.log.Info("capture", "line", text)
		if words, ok := strings.CutPrefix(text, l.name); ok {
			l.words = words
		}
	}
	l.line = l.line[:0]
}

// parse reads a line as slog.JSONHandler writes it. The child may have been taken over: its attributes stand in a group
// of their own, and what is not a plain value is left out.
func (l *lineLogger) parse(line []byte) (level slog.Level, msg string, attrs []slog.Attr, ok bool) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return 0, "", nil, false
	}
	var fields []any
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return 0, "", nil, false
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return 0, "", nil, false
		}
		text, isText := value.(string)
		switch key, _ := name.(string); {
		case key == slog.TimeKey:
		case key == slog.LevelKey && isText:
			if err := level.UnmarshalText([]byte(text)); err != nil {
				return 0, "", nil, false
			}
		case key == slog.MessageKey && isText:
			msg = l.clean(text)
		case len(fields) == maxAttrs:
		case isText:
			fields = append(fields, slog.String(l.clean(key), l.clean(text)))
		default:
			switch value.(type) {
			case json.Number, bool:
				fields = append(fields, slog.Any(l.clean(key), value))
			}
		}
	}
	if _, err := d.Token(); err != nil || msg == "" {
		return 0, "", nil, false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return 0, "", nil, false
	}
	if len(fields) > 0 {
		attrs = append(attrs, slog.Group("capture", fields...))
	}
	return level, msg, attrs, true
}

// clean makes text safe to log: without secrets, in visible characters, and not too long.
func (l *lineLogger) clean(text string) string {
	if l.redact != nil {
		text = l.redact(text)
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text[:min(len(text), maxText)]))
}
