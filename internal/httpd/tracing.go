package httpd

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"sightline/internal/media"
)

// traceAdmission begins the trace of a request for a stream; that of any other is none. It names no person and no address.
func (s *Server) traceAdmission(r *http.Request, rl rule, stream media.StreamID, asked time.Time) trace.Span {
	if !rl.onStream() {
		return noop.Span{}
	}
	_, span := s.opts.Tracer.Start(r.Context(), "admission", trace.WithTimestamp(asked), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("sightline.event", rl.event), attribute.String("sightline.stream", string(stream))))
	return span
}

// traceFirstPicture begins, as a part of its admission, the span of a viewer's wait for its first picture.
func (s *Server) traceFirstPicture(c caller) trace.Span {
	_, span := s.opts.Tracer.Start(trace.ContextWithSpan(context.Background(), c.admission), "first picture",
		trace.WithAttributes(attribute.String("sightline.stream", string(c.stream))))
	return span
}

// traceOf names the trace that span is of; "" where nobody is told of it.
func traceOf(span trace.Span) string {
	if of := span.SpanContext(); of.IsSampled() {
		return of.TraceID().String()
	}
	return ""
}
