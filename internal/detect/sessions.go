package detect

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"sightline/internal/audit"
)

const (
	overlap     = 30 * time.Second // how long two networks must be at work (D06)
	fewViewers  = 10               // a crowd is more than these (D08)
	manyStreams = 8                // bulk viewing is more than these (D15)
	// learnFor is how long a stream must have been watched before networks count as new to it.
	learnFor = 24 * time.Hour
)

// keepSessions keeps the sessions at work, and finds crowds and bulk viewing as they begin.
func (d *Detector) keepSessions(e Event) []Alert {
	r := e.Record
	switch {
	case r.Event == "watch" && r.Verdict == audit.Granted:
		if len(d.sessions) >= maxKeys {
			return nil
		}
		d.sessions[r.TokenID] = append(d.sessions[r.TokenID], session{e.Seq, r.Stream, r.Subject, networkOf(r.Remote), e.At})
		return slices.Concat(d.crowd(e), d.bulk(e))
	case r.Event == "watch-end":
		list := d.sessions[r.TokenID]
		if i := slices.IndexFunc(list, func(s session) bool { return s.stream == r.Stream && s.network == networkOf(r.Remote) }); i >= 0 {
			list = slices.Delete(list, i, i+1)
		}
		if len(list) == 0 {
			delete(d.sessions, r.TokenID)
		} else {
			d.sessions[r.TokenID] = list
		}
	}
	return nil
}

// networkOf is the network that an address belongs to, as far as one household or office has one: IPv4 /24, IPv6 /48.
func networkOf(remote string) netip.Prefix {
	ip, err := netip.ParseAddr(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	p, _ := ip.Prefix(bits) // the length fits the address
	return p
}

// lasting finds what has gone on for long enough at now: one token in two networks.
func (d *Detector) lasting(now time.Time) []Alert {
	var found []Alert
	for token, list := range d.sessions {
		for i, a := range list {
			for _, b := range list[:i] {
				since := a.since
				if b.since.After(since) {
					since = b.since
				}
				if token == "" || a.network == b.network || now.Sub(since) < overlap {
					continue
				}
				x := alert("D06", Event{Seq: a.seq, At: now}, token,
					fmt.Sprintf("The same token of %s is at work in %s and in %s.", a.subject, b.network, a.network))
				x.Subject, x.TokenID, x.Evidence, x.Answer, x.Ends = a.subject, token, []uint64{b.seq, a.seq}, AnswerRevokeToken, EndsToken
				if a.network.Addr().Is4() != b.network.Addr().Is4() {
					x.Level = Info // one device may have an address of each kind
				}
				found = append(found, x)
			}
		}
	}
	return found
}

// crowd finds more viewers than a stream is used to, and new networks.
func (d *Detector) crowd(e Event) []Alert {
	stream := e.Record.Stream
	viewers := 0
	for _, list := range d.sessions {
		for _, s := range list {
			if s.stream == stream {
				viewers++
			}
		}
	}
	p := d.peaks[stream]
	if p == nil {
		if len(d.peaks) >= maxKeys {
			return nil
		}
		p = &peaks{}
		d.peaks[stream], d.began[stream] = p, e.At
	}
	usual := p.usual(e.At)
	p.note(e.At, viewers)
	if viewers > max(fewViewers, 5*usual) {
		a := alert("D08", e, stream, fmt.Sprintf("%d people watch %s at once; usual at this hour are %d.", viewers, stream, usual))
		a.Ends = EndsStream
		return []Alert{a}
	}
	network := networkOf(e.Record.Remote)
	key := stream + " " + network.String()
	if _, seen := d.known[key]; seen || len(d.known) >= maxKeys {
		return nil
	}
	d.known[key] = e.At
	if e.At.Sub(d.began[stream]) < learnFor {
		return nil
	}
	n, evidence := d.newcomers.add(stream, e.At, e.Seq, network.String())
	if n < 3 {
		return nil
	}
	a := alert("D08", e, stream+" networks", fmt.Sprintf("%s is watched from %d networks that never did before.", stream, n))
	a.Evidence, a.Ends = evidence, EndsStream
	return []Alert{a}
}

// bulk finds one subject on many cameras.
func (d *Detector) bulk(e Event) []Alert {
	subject := e.Record.Subject
	if slices.Contains(d.opts.Walls, subject) {
		return nil
	}
	streams := map[string]uint64{}
	for _, list := range d.sessions {
		for _, s := range list {
			if s.subject == subject {
				streams[s.stream] = s.seq
			}
		}
	}
	if len(streams) <= manyStreams {
		return nil
	}
	a := alert("D15", e, subject, fmt.Sprintf("%s watches %d cameras at once.", subject, len(streams)))
	a.Evidence = nil
	for _, seq := range streams {
		a.Evidence = append(a.Evidence, seq)
	}
	slices.Sort(a.Evidence)
	a.Evidence = a.Evidence[max(0, len(a.Evidence)-maxEvidence):]
	a.Stream, a.Answer, a.Ends = "", AnswerRevokeSubject, EndsSubject
	return []Alert{a}
}

// peaks are the most viewers of a stream in each hour of the last seven days.
type peaks struct {
	days [7][24]peak
}

type peak struct {
	hour int64 // since 1970: which hour this is
	most int
}

// note takes in how many viewers there are.
func (p *peaks) note(at time.Time, viewers int) {
	hour := at.Unix() / 3600
	slot := &p.days[hour/24%7][hour%24]
	if slot.hour != hour {
		*slot = peak{hour: hour}
	}
	slot.most = max(slot.most, viewers)
}

// usual is the median of this hour's peaks on the last seven days, today left out.
func (p *peaks) usual(at time.Time) int {
	hour := at.Unix() / 3600
	var list []int
	for day := int64(1); day < 7; day++ {
		then := hour - day*24
		if slot := p.days[then/24%7][then%24]; slot.hour == then {
			list = append(list, slot.most)
		}
	}
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[len(list)/2]
}
