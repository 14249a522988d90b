package audit

import (
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// Verdict is how an attempt ended.
type Verdict string

// The verdicts.
const (
	Granted Verdict = "granted" // the attempt was allowed; the record is on disk before the access is given
	Refused Verdict = "refused"
	Ended   Verdict = "ended" // what was granted earlier is over
)

// Record is one thing somebody did or tried. No field may hold a credential: TokenID is a token's jti, never
// the token. Each field is cut to its limit (1 KiB of file, 256 bytes for UserAgent), and every character that
// is not plainly visible is escaped, so that a record is one line and safe to show in a terminal.
type Record struct {
	Event     string // required; "login", "ticket", "watch", "publish", "api", "session-end"; not "audit" or "checkpoint"
	Verdict   Verdict
	Reason    string // why refused or ended, as one word where there is one
	Subject   string
	TokenID   string
	Stream    string
	Action    string
	Remote    string // the socket's IP address, with or without its port
	UserAgent string
	Session   string // the session's own name, not its secret
}

const (
	maxField     = 1024 // bytes in the file, quotes not counted
	maxUserAgent = 256
	cutMark      = "…"
)

// The events of lines that the log writes about itself.
const (
	eventAudit      = "audit"
	eventCheckpoint = "checkpoint"
)

// The actions of records with eventAudit.
const (
	actionMend  = "mend"  // a crash left an unfinished line
	actionChain = "chain" // the records before this one have no chain
	actionPrune = "prune" // the oldest file is removed
	actionGap   = "gap"   // records could not be written
)

// validate refuses records that say nothing, and those that only the log itself may write.
func (r Record) validate() error {
	switch r.Event {
	case "":
		return errors.New("the record names no event")
	case eventAudit, eventCheckpoint:
		return fmt.Errorf("the event %s is the log's own", r.Event)
	}
	switch r.Verdict {
	case Granted, Refused, Ended:
		return nil
	}
	return fmt.Errorf("the record's verdict is %.40q: want granted, refused or ended", r.Verdict)
}

// item is a record on its way into the file.
type item struct {
	Record
	at time.Time
	// A roll-up stands for count attempts between first and last; count is 0 in any other record.
	count       uint64
	first, last time.Time
}

// attempts is how many attempts the item stands for.
func (it item) attempts() uint64 { return max(1, it.count) }

const timeFormat = "2006-01-02T15:04:05.000000Z"

// appendLine appends the item as one line of JSON with the newline. The fields and their order are part of the
// format: every line has all of them, and a roll-up count, first and last besides. prev is "" or a digest.
func (it item) appendLine(b []byte, seq uint64, prev string) []byte {
	b = appendHead(b, seq, it.at)
	for _, f := range []struct {
		name, value string
		limit       int
	}{
		{"event", it.Event, maxField},
		{"verdict", string(it.Verdict), maxField},
		{"reason", it.Reason, maxField},
		{"subject", it.Subject, maxField},
		{"token_id", it.TokenID, maxField},
		{"stream", it.Stream, maxField},
		{"action", it.Action, maxField},
		{"remote", it.Remote, maxField},
		{"user_agent", it.UserAgent, maxUserAgent},
		{"session", it.Session, maxField},
	} {
		b = append(b, `,"`...)
		b = append(b, f.name...)
		b = append(b, `":"`...)
		b = appendEscaped(b, f.value, f.limit)
		b = append(b, '"')
	}
	if it.count > 0 {
		b = append(b, `,"count":`...)
		b = strconv.AppendUint(b, it.count, 10)
		b = append(b, `,"first":"`...)
		b = it.first.UTC().AppendFormat(b, timeFormat)
		b = append(b, `","last":"`...)
		b = it.last.UTC().AppendFormat(b, timeFormat)
		b = append(b, '"')
	}
	b = append(b, `,"prev":"`...)
	b = append(b, prev...)
	return append(b, '"', '}', '\n')
}

// appendHead appends what every line begins with.
func appendHead(b []byte, seq uint64, at time.Time) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"time":"`...)
	b = at.UTC().AppendFormat(b, timeFormat)
	return append(b, '"')
}

// appendEscaped appends s as the inside of a JSON string, in at most limit bytes; what is longer ends with
// cutMark. Everything but visible characters and the plain space is escaped: control characters, ANSI
// sequences, direction marks, line and paragraph separators, private use. Bytes that are no UTF-8 become U+FFFD.
func appendEscaped(b []byte, s string, limit int) []byte {
	start, fits := len(b), len(b) // fits: the longest prefix that leaves room for the mark
	for _, r := range s {
		b = appendRune(b, r)
		if len(b)-start > limit {
			return append(b[:fits], cutMark...)
		}
		if len(b)-start <= limit-len(cutMark) {
			fits = len(b)
		}
	}
	return b
}

func appendRune(b []byte, r rune) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(b, '\\', byte(r))
	case r == '<' || r == '>' || r == '&' || r == utf8.RuneError || !unicode.IsPrint(r):
		if r > 0xffff {
			r -= 0x10000
			return appendUnit(appendUnit(b, 0xd800+r>>10), 0xdc00+r&0x3ff)
		}
		return appendUnit(b, r)
	}
	return utf8.AppendRune(b, r)
}

// appendUnit appends one UTF-16 code unit as \uXXXX.
func appendUnit(b []byte, u rune) []byte {
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
}
