package metrics

import (
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"sightline/internal/hub"
	"sightline/internal/media"
	"sightline/internal/wire"
)

// The names of what is told. Those of what is asked for stand in families.
const (
	attemptsName     = "sightline_auth_attempts_total"
	admissionName    = "sightline_admission_seconds"
	firstPictureName = "sightline_first_picture_seconds"
	appendName       = "sightline_audit_append_seconds"
	latencyName      = "sightline_latency_seconds"
	shownName        = "sightline_frames_shown_total"
	discardedName    = "sightline_frames_discarded_total"
	buildName        = "sightline_build_info"
)

// family is a figure that is asked for.
type family struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
}

// The figures of the server, of streams, and of their renditions.
const (
	streamsKnown = iota
	streamsLeftOut
	sessionsNow
	auditRecords
	auditWaiting
	auditLag
	auditDurable
	auditFailing
	alertsRaised
	streamState
	streamPublished
	streamViewers
	streamLimited
	captureRestarts
	framesReceived
	keyframesReceived
	bytesReceived
	framesSkipped
	framesSent
	bytesSent
	framesDropped
	viewersNow
	queueFrames
	queueAge
	encodingNow
	encodeTime
	psnr
	ssim
)

func families() []family {
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	stream, rendition := []string{"stream"}, []string{"stream", "rendition"}
	with := func(labels []string, more string) []string { return append(slices.Clone(labels), more) }
	return []family{
		streamsKnown:      {"sightline_streams", "Streams that are configured, published or watched.", gauge, nil},
		streamsLeftOut:    {"sightline_streams_left_out", fmt.Sprintf("Streams that have no series of their own, since there are more than %d.", MaxStreams), gauge, nil},
		sessionsNow:       {"sightline_sessions", "What runs with somebody's leave, by kind.", gauge, []string{"kind"}},
		auditRecords:      {"sightline_audit_records_total", "Audit records that are on disk, over the life of the record.", counter, nil},
		auditWaiting:      {"sightline_audit_waiting_records", "Audit records that wait for the disk.", gauge, nil},
		auditLag:          {"sightline_audit_lag_seconds", "For how long the audit record that has waited longest for the disk has waited; 0 where none does.", gauge, nil},
		auditDurable:      {"sightline_audit_last_durable_timestamp_seconds", "When an audit record was on disk last.", gauge, nil},
		auditFailing:      {"sightline_audit_failing", "1 while audit records cannot be written.", gauge, nil},
		alertsRaised:      {"sightline_alerts_total", "Alerts that the rules over the audit record raised, by rule.", counter, []string{"rule"}},
		streamState:       {"sightline_stream_state", "1 for the state that the stream is in, 0 for the others.", gauge, with(stream, "state")},
		streamPublished:   {"sightline_stream_published", "1 while somebody publishes the stream.", gauge, stream},
		streamViewers:     {"sightline_stream_viewers", "Viewers of the stream.", gauge, stream},
		streamLimited:     {"sightline_viewers_limited", "Viewers that something keeps from the best there is, by what does.", gauge, with(stream, "limit")},
		captureRestarts:   {"sightline_capture_restarts_total", "How often the stream's capture process was started again.", counter, stream},
		framesReceived:    {"sightline_frames_received_total", "Access units that came from the publisher.", counter, rendition},
		keyframesReceived: {"sightline_keyframes_received_total", "Those of them that were keyframes.", counter, rendition},
		bytesReceived:     {"sightline_received_bytes_total", "Bytes of access units from the publisher, padding counted.", counter, rendition},
		framesSkipped:     {"sightline_frames_skipped_total", "Pictures that newer ones replaced before the encoder took them, as the publisher says.", counter, rendition},
		framesSent:        {"sightline_frames_sent_total", "Access units that were taken to be sent, each viewer's copy counted.", counter, rendition},
		bytesSent:         {"sightline_sent_bytes_total", "Bytes of those access units, padding counted and headers not.", counter, rendition},
		framesDropped:     {"sightline_frames_dropped_total", "Access units that were not sent to a viewer, by reason.", counter, with(rendition, "reason")},
		viewersNow:        {"sightline_viewers", "Viewers that have the rendition.", gauge, rendition},
		queueFrames:       {"sightline_queue_frames", "Access units that wait for viewers' connections.", gauge, rendition},
		queueAge:          {"sightline_queue_age_seconds", "For how long the one that has waited longest has.", gauge, rendition},
		encodingNow:       {"sightline_encoding", "1 while the rendition is wanted of its publisher.", gauge, rendition},
		encodeTime:        {"sightline_encode_seconds", "Time from a picture's slot to its access unit lately, as the publisher says.", gauge, with(rendition, "percentile")},
		psnr:              {"sightline_psnr_decibels", "What the encoder kept of the luma lately, as the publisher says.", gauge, rendition},
		ssim:              {"sightline_ssim_ratio", "The same as structural similarity, 0 to 1.", gauge, rendition},
	}
}

// Names are the names of all figures but those of the Go runtime and the process.
func Names() []string {
	names := []string{attemptsName, admissionName, firstPictureName, appendName, latencyName, shownName, discardedName, buildName}
	for _, f := range families() {
		names = append(names, f.name)
	}
	slices.Sort(names)
	return names
}

// asked is what of Metrics is asked for: a prometheus.Collector.
type asked struct{ *Metrics }

// Describe implements prometheus.Collector.
func (a asked) Describe(to chan<- *prometheus.Desc) {
	for _, f := range families() {
		to <- prometheus.NewDesc(f.name, f.help, f.labels, nil)
	}
}

// Collect implements prometheus.Collector.
func (a asked) Collect(to chan<- prometheus.Metric) {
	list := families()
	descs := make([]*prometheus.Desc, len(list))
	for i, f := range list {
		descs[i] = prometheus.NewDesc(f.name, f.help, f.labels, nil)
	}
	put := func(which int, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(descs[which], list[which].kind, value, labels...)
	}
	a.server(put)
	streams := a.sources.Streams()
	put(streamsKnown, float64(len(streams)))
	kept := streams[:min(len(streams), MaxStreams)]
	put(streamsLeftOut, float64(len(streams)-len(kept)))
	for _, s := range kept {
		a.stream(put, s)
		seen := map[string]bool{}
		for _, r := range s.Renditions {
			name := r.Rendition.Name
			if seen[name] { // publishers choose names, and a series must be there once
				name = fmt.Sprintf("%s#%d", name, r.Rendition.ID)
			}
			seen[name] = true
			a.rendition(put, string(s.ID), name, r)
		}
	}
	a.limited(put, kept)
}

type putter func(which int, value float64, labels ...string)

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (a asked) server(put putter) {
	kinds := map[string]int{"watch": 0, "publish": 0}
	for _, s := range a.sources.Sessions() {
		kinds[s.Kind]++
	}
	for kind, n := range kinds {
		put(sessionsNow, float64(n), kind)
	}
	h := a.sources.Audit()
	put(auditRecords, float64(h.Records))
	put(auditWaiting, float64(h.Waiting))
	put(auditLag, h.Lag.Seconds())
	if !h.Durable.IsZero() {
		put(auditDurable, float64(h.Durable.UnixMilli())/1000)
	}
	put(auditFailing, truth(h.Failing))
	for rule, n := range a.sources.Alerts() {
		put(alertsRaised, float64(n), rule)
	}
}

func (a asked) stream(put putter, s hub.StreamTotals) {
	id := string(s.ID)
	for _, state := range []media.State{
		media.StateWaiting, media.StateConnecting, media.StateIdle, media.StateLive, media.StateOffline, media.StateStalled,
		media.StateRestarting, media.StateEnded,
	} {
		put(streamState, truth(s.State == state), id, string(state))
	}
	put(streamPublished, truth(s.Published), id)
	put(streamViewers, float64(s.Viewers), id)
	put(captureRestarts, float64(a.sources.Restarts(s.ID)), id)
}

// limited counts who could have more but for something, by what they said last.
func (a asked) limited(put putter, streams []hub.StreamTotals) {
	limits := []wire.Limit{wire.LimitNetwork, wire.LimitSize, wire.LimitShared}
	counts := map[media.StreamID]map[string]int{}
	for _, s := range a.sources.Sessions() {
		if counts[s.Stream] == nil {
			counts[s.Stream] = map[string]int{}
		}
		counts[s.Stream][s.Figures.Limit]++
	}
	for _, s := range streams {
		for _, limit := range limits {
			put(streamLimited, float64(counts[s.ID][string(limit)]), string(s.ID), string(limit))
		}
	}
}

func (a asked) rendition(put putter, id, name string, r hub.Totals) {
	put(framesReceived, float64(r.FramesIn), id, name)
	put(keyframesReceived, float64(r.Keyframes), id, name)
	put(bytesReceived, float64(r.BytesIn), id, name)
	put(framesSkipped, float64(r.Skipped), id, name)
	put(framesSent, float64(r.FramesOut), id, name)
	put(bytesSent, float64(r.BytesOut), id, name)
	for _, reason := range hub.DropReasons() {
		put(framesDropped, float64(r.Dropped[reason]), id, name, string(reason))
	}
	put(viewersNow, float64(r.Viewers), id, name)
	put(queueFrames, float64(r.Queued), id, name)
	put(queueAge, r.QueueAge.Seconds(), id, name)
	put(encodingNow, truth(r.Active), id, name)
	f := r.Figures
	if f.EncodeP95 > 0 {
		put(encodeTime, f.EncodeP50.Seconds(), id, name, "50")
		put(encodeTime, f.EncodeP95.Seconds(), id, name, "95")
	}
	if f.SSIM > 0 {
		put(psnr, f.PSNR, id, name)
		put(ssim, f.SSIM, id, name)
	}
}
