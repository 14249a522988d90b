// Package detect finds what deserves a person's attention in the audit record: rules that look at one record after another
// and raise alerts, each with its evidence. It is pure: records and times go in, alerts come out. It knows no files and no
// network, and starts no goroutines.
//
// Rules that alert on one record name what no honest client does. Those that count keep to windows and bounded memory, and
// what they have learned is gone after a restart.
package detect

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sightline/internal/audit"
)

// Event is a durable audit record with its place.
type Event struct {
	Seq    uint64
	At     time.Time
	Count  uint64 // how many refusals a roll-up stands for; 0: it is none
	Record audit.Record
}

// Level says how much an alert wants.
type Level string

// The levels.
const (
	Info   Level = "info"   // explained, kept for the curious
	Digest Level = "digest" // to be read with the day's others
	Urgent Level = "alert"  // to be looked at now
)

// Answer is what one click should do about an alert.
type Answer string

// The answers.
const (
	AnswerNone          Answer = ""
	AnswerRevokeToken   Answer = "revoke-token"   // the alert's TokenID
	AnswerRevokeSubject Answer = "revoke-subject" // the alert's Subject
)

// Ends names the sessions that an alert is about, which a person may end.
type Ends string

// What an alert may name sessions by.
const (
	EndsNothing Ends = ""
	EndsToken   Ends = "token"   // the alert's TokenID
	EndsSubject Ends = "subject" // the alert's Subject
	EndsStream  Ends = "stream"  // viewers of the alert's Stream
)

// Alert is one finding. Its texts hold no credentials, since records hold none.
type Alert struct {
	Rule      string    `json:"rule"` // "D01" to "D15"
	Title     string    `json:"title"`
	Level     Level     `json:"level"`
	At        time.Time `json:"at"`
	Detail    string    `json:"detail"`    // one sentence: what happened
	Threshold string    `json:"threshold"` // the rule's, for people
	Evidence  []uint64  `json:"evidence"`  // records, by number; at most maxEvidence, the newest
	Subject   string    `json:"subject,omitempty"`
	TokenID   string    `json:"token_id,omitempty"`
	Stream    string    `json:"stream,omitempty"`
	Source    string    `json:"source,omitempty"` // an address or a network
	Answer    Answer    `json:"answer,omitempty"`
	Ends      Ends      `json:"ends,omitempty"`

	about string // with Rule: what a repetition is a repetition of
}

// Options adapt the rules to a site. The zero value is usable.
type Options struct {
	// Sensitive are streams whose first view by somebody at an odd hour is told (D11).
	Sensitive []string
	// OpenFrom and OpenUntil are the hours of the day, local time, that are not odd; both 0: none is.
	OpenFrom, OpenUntil int
	// Walls are subjects that watch many cameras by profession (D15).
	Walls []string
}

const (
	maxEvidence = 20
	// maxKeys bounds what a rule remembers: at it, what was quiet longest is forgotten.
	maxKeys = 4096
	// repeatAfter is how long the same finding is not told again.
	repeatAfter = 10 * time.Minute
)

// Detector applies the rules. Make one with New. Not safe for concurrent use.
type Detector struct {
	opts  Options
	told  map[string]time.Time // by rule and what it was about
	muted map[string]time.Time // until when, by rule

	last       Event
	signatures *window // by source
	granted    *window // watch and publish, by source
	logins     *window // refused, by source, of subjects
	welcome    *window // logins granted, by source
	spray      *window // refused, under one key, of subjects
	sprayFrom  *window // the same, of sources
	misses     *window // by principal, of streams
	hits       *window // by principal
	crowds     *window // under one key
	newcomers  *window // by stream, of networks
	configured time.Time

	sessions   map[string][]session // at work, by token
	publishers map[string]string    // the last one's address, by stream
	known      map[string]time.Time // stream and network: when first seen
	began      map[string]time.Time // stream: when first watched
	viewed     map[string]bool      // stream and subject
	peaks      map[string]*peaks    // by stream
}

type session struct {
	seq     uint64
	stream  string
	subject string
	network netip.Prefix
	since   time.Time
}

// New makes a detector that has seen nothing.
func New(opts Options) *Detector {
	return &Detector{
		opts: opts, told: map[string]time.Time{}, muted: map[string]time.Time{},
		signatures: newWindow(10 * time.Minute), granted: newWindow(2 * time.Second),
		logins: newWindow(5 * time.Minute), welcome: newWindow(5 * time.Minute),
		spray: newWindow(15 * time.Minute), sprayFrom: newWindow(15 * time.Minute),
		misses: newWindow(time.Minute), hits: newWindow(time.Minute), crowds: newWindow(40 * time.Second),
		newcomers: newWindow(10 * time.Minute),
		sessions:  map[string][]session{}, publishers: map[string]string{}, known: map[string]time.Time{},
		began: map[string]time.Time{}, viewed: map[string]bool{}, peaks: map[string]*peaks{},
	}
}

// SetSite goes on with other Options. What the rules have learned stays.
func (d *Detector) SetSite(o Options) { d.opts = o }

// Rules names all rules.
func Rules() []string { return slices.Sorted(maps.Keys(rules)) }

// IsRule tells whether there is a rule of that name.
func IsRule(name string) bool {
	_, ok := rules[name]
	return ok
}

// Mute keeps a rule from telling anything until then.
func (d *Detector) Mute(rule string, until time.Time) {
	if IsRule(rule) {
		d.muted[rule] = until
	}
}

// Muted tells until when rules are mute, by rule, of those that are.
func (d *Detector) Muted(now time.Time) map[string]time.Time {
	list := maps.Clone(d.muted)
	maps.DeleteFunc(list, func(_ string, until time.Time) bool { return !now.Before(until) })
	return list
}

// Observe takes in the next record and gives the alerts that it completes.
func (d *Detector) Observe(e Event) []Alert {
	var found []Alert
	for _, rule := range []func(Event) []Alert{
		d.impossibleToken, d.badSignatures, d.usedTicket, d.stuffing, d.spraying, d.enumeration,
		d.publisherChanged, d.secondPublisher, d.oddHour, d.integrity, d.weakened, d.crowded, d.keepSessions,
	} {
		found = append(found, rule(e)...)
	}
	d.last = e
	return d.fresh(append(found, d.lasting(e.At)...), e.At)
}

// Tick gives the alerts that time alone completes. Call it every few seconds.
func (d *Detector) Tick(now time.Time) []Alert { return d.fresh(d.lasting(now), now) }

// fresh leaves out what is muted or was told a little while ago.
func (d *Detector) fresh(found []Alert, now time.Time) []Alert {
	return slices.DeleteFunc(found, func(a Alert) bool {
		key := a.Rule + " " + a.about
		if now.Before(d.muted[a.Rule]) || now.Before(d.told[key].Add(repeatAfter)) {
			return true
		}
		if len(d.told) >= maxKeys {
			clear(d.told)
		}
		d.told[key] = now
		return false
	})
}

// alert makes an alert about e.
func alert(rule string, e Event, about, detail string) Alert {
	r := rules[rule]
	return Alert{
		Rule: rule, Title: r.title, Level: r.level, At: e.At, Detail: detail, Threshold: r.threshold, Evidence: []uint64{e.Seq},
		Subject: e.Record.Subject, TokenID: e.Record.TokenID, Stream: e.Record.Stream, Source: e.Record.Remote, about: about,
	}
}

// rules are the texts of the rules.
var rules = map[string]struct { //nolint:gochecknoglobals // a table nobody writes to
	title, threshold string
	level            Level
}{
	"D01": {"Impossible token", "one token that no honest client has", Urgent},
	"D02": {"Bad signatures", "3 from one source in 10 minutes", Urgent},
	"D03": {"One-time credential tried again", "one; explained where its owner came a moment ago from the same source", Urgent},
	"D04": {"Stuffing", "10 accounts fail from one source in 5 minutes, and over 80 % of its logins", Urgent},
	"D05": {"Spray", "20 accounts fail from 10 sources in 15 minutes", Urgent},
	"D06": {"One token in two networks", "both at work for 30 seconds", Urgent},
	"D07": {"Enumeration", "8 forbidden or unknown streams in 60 seconds, and under 20 % hits", Urgent},
	"D08": {"Crowd at a camera", "over 10 viewers and five times the usual of the hour, or 3 new networks in 10 minutes", Urgent},
	"D09": {"Another publisher's address", "one change without a change of configuration in 10 minutes", Urgent},
	"D10": {"Second publisher", "one, while the first lives", Urgent},
	"D11": {"Odd hour", "the first view of a sensitive camera by somebody outside opening hours", Digest},
	"D12": {"Audit record", "one gap, break or step of the clock by over 2 seconds", Urgent},
	"D13": {"More is allowed", "one new administrator, key, issuer, role or origin, or one limit raised", Urgent},
	"D14": {"Connections at their limit", "for 30 seconds", Urgent},
	"D15": {"Bulk viewing", "one subject on more than 8 cameras at once", Digest},
}

func (d *Detector) impossibleToken(e Event) []Alert {
	if e.Record.Reason != "forged" {
		return nil
	}
	a := alert("D01", e, e.Record.Remote, "A token of a form that no honest client has was shown from "+e.Record.Remote+".")
	return []Alert{a}
}

func (d *Detector) badSignatures(e Event) []Alert {
	if e.Record.Reason != "bad-signature" {
		return nil
	}
	n, evidence := d.signatures.add(e.Record.Remote, e.At, e.Seq, fmt.Sprint(e.Seq))
	if total := uint64(n) + e.Count; total < 3 { // what a roll-up counts has no records of its own
		return nil
	}
	a := alert("D02", e, e.Record.Remote, "Tokens with wrong signatures came again and again from "+e.Record.Remote+".")
	a.Evidence = evidence
	return []Alert{a}
}

func (d *Detector) usedTicket(e Event) []Alert {
	r := e.Record
	opening := r.Event == "watch" || r.Event == "publish"
	if opening && r.Verdict == audit.Granted {
		d.granted.add(r.Remote, e.At, e.Seq, r.Stream)
	}
	if r.Reason != "used" || !opening && r.Event != "login" {
		return nil
	}
	a := alert("D03", e, r.Remote+" "+r.Event, "A one-time credential that was used before, or never given out, was tried from "+r.Remote+".")
	if n, evidence := d.granted.count(r.Remote, e.At); n > 0 {
		a.Level = Info // a browser that asked twice
		a.Evidence = append(evidence, e.Seq)
		a.about += " explained"
	}
	return []Alert{a}
}

func (d *Detector) stuffing(e Event) []Alert {
	r := e.Record
	if r.Event != "login" || r.Subject == "" {
		return nil
	}
	if r.Verdict == audit.Granted {
		d.welcome.add(r.Remote, e.At, e.Seq, fmt.Sprint(e.Seq))
		return nil
	}
	failed, evidence := d.logins.add(r.Remote, e.At, e.Seq, r.Subject)
	passed, _ := d.welcome.count(r.Remote, e.At)
	if failed < 10 || float64(failed)/float64(failed+passed) <= 0.8 {
		return nil
	}
	a := alert("D04", e, r.Remote, fmt.Sprintf("Logins to %d accounts failed from %s.", failed, r.Remote))
	a.Evidence, a.Subject = evidence, ""
	return []Alert{a}
}

func (d *Detector) spraying(e Event) []Alert {
	r := e.Record
	if r.Event != "login" || r.Subject == "" || r.Verdict != audit.Refused {
		return nil
	}
	accounts, evidence := d.spray.add("", e.At, e.Seq, r.Subject)
	sources, _ := d.sprayFrom.add("", e.At, e.Seq, r.Remote)
	if accounts < 20 || sources < 10 {
		return nil
	}
	a := alert("D05", e, "", fmt.Sprintf("Logins to %d accounts failed from %d sources.", accounts, sources))
	a.Evidence, a.Subject, a.Source = evidence, "", ""
	return []Alert{a}
}

func (d *Detector) enumeration(e Event) []Alert {
	r := e.Record
	who := cmp.Or(r.Subject, r.Remote)
	if r.Stream == "" {
		return nil
	}
	if r.Verdict == audit.Granted {
		d.hits.add(who, e.At, e.Seq, fmt.Sprint(e.Seq))
		return nil
	}
	if r.Reason != "not-allowed" {
		return nil
	}
	missed, evidence := d.misses.add(who, e.At, e.Seq, r.Stream)
	hit, _ := d.hits.count(who, e.At)
	if missed < 8 || float64(hit)/float64(hit+missed) >= 0.2 {
		return nil
	}
	a := alert("D07", e, who, fmt.Sprintf("%s asked for %d streams that they may not use, or that are not there.", who, missed))
	a.Evidence, a.Stream = evidence, ""
	if r.TokenID != "" {
		a.Answer, a.Ends = AnswerRevokeToken, EndsToken
	}
	return []Alert{a}
}

func (d *Detector) publisherChanged(e Event) []Alert {
	r := e.Record
	if r.Event == "config" {
		d.configured = e.At
	}
	if r.Event != "publish" || r.Verdict != audit.Granted {
		return nil
	}
	before, known := d.publishers[r.Stream]
	if len(d.publishers) < maxKeys || known {
		d.publishers[r.Stream] = r.Remote
	}
	if !known || before == r.Remote || e.At.Sub(d.configured) < 10*time.Minute {
		return nil
	}
	a := alert("D09", e, r.Stream+" "+r.Remote, fmt.Sprintf("Stream %s is published from %s, before from %s.", r.Stream, r.Remote, before))
	a.Answer, a.Ends = AnswerRevokeToken, EndsToken
	return []Alert{a}
}

func (d *Detector) secondPublisher(e Event) []Alert {
	r := e.Record
	if r.Event != "publish-end" || r.Reason != "taken" {
		return nil
	}
	a := alert("D10", e, r.Stream, fmt.Sprintf("%s tried to publish %s, which has a publisher.", cmp.Or(r.Subject, "Somebody"), r.Stream))
	a.Answer = AnswerRevokeToken // its session is over; the first may have the same token
	return []Alert{a}
}

func (d *Detector) oddHour(e Event) []Alert {
	r := e.Record
	if r.Event != "watch" || r.Verdict != audit.Granted || !slices.Contains(d.opts.Sensitive, r.Stream) {
		return nil
	}
	key := r.Stream + " " + r.Subject
	first := !d.viewed[key]
	if len(d.viewed) < maxKeys {
		d.viewed[key] = true
	}
	hour := e.At.Local().Hour()
	if !first || d.opts.OpenFrom == d.opts.OpenUntil || hour >= d.opts.OpenFrom && hour < d.opts.OpenUntil {
		return nil
	}
	a := alert("D11", e, key, fmt.Sprintf("%s watched %s for the first time, at %s.", r.Subject, r.Stream, e.At.Local().Format("15:04")))
	a.Answer, a.Ends = AnswerRevokeSubject, EndsSubject
	return []Alert{a}
}

func (d *Detector) integrity(e Event) []Alert {
	var list []Alert
	if e.Record.Event == "audit" && (e.Record.Action == "mend" || e.Record.Action == "gap") {
		list = append(list, alert("D12", e, "note", "The audit record was found damaged or could not be written: "+e.Record.Reason))
	}
	if d.last.Seq == 0 {
		return list
	}
	if e.Seq != d.last.Seq+1 {
		list = append(list, alert("D12", e, "gap", fmt.Sprintf("Record %d follows record %d.", e.Seq, d.last.Seq)))
	}
	if back := d.last.At.Sub(e.At); back > 2*time.Second {
		list = append(list, alert("D12", e, "clock", fmt.Sprintf("The clock went back by %s.", back.Round(time.Second))))
	}
	return list
}

func (d *Detector) weakened(e Event) []Alert {
	if e.Record.Event != "weakened" {
		return nil
	}
	return []Alert{alert("D13", e, e.Record.Reason, "More is allowed than before: "+e.Record.Reason+".")}
}

func (d *Detector) crowded(e Event) []Alert {
	r := e.Record
	if !strings.HasPrefix(r.Reason, "crowded-out") && r.Reason != "full" {
		return nil
	}
	_, evidence := d.crowds.add("", e.At, e.Seq, fmt.Sprint(e.Seq))
	if first := d.crowds.first(""); e.At.Sub(first) < 30*time.Second {
		return nil
	}
	a := alert("D14", e, "", "For 30 seconds connections or viewers have been at their limit; the last was "+r.Remote+".")
	a.Evidence, a.Subject, a.Stream = evidence, "", ""
	return []Alert{a}
}
