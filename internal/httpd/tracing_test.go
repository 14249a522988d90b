package httpd

import (
	"net/http"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"sightline/internal/auth"
)

// Each request for a stream is a trace that says what came of it, and names nobody.
func TestTraces_OfAdmissions(t *testing.T) {
	s := newSite(t)
	spans := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans))
	s.server.opts.Tracer = provider.Tracer("")
	if a := s.as(s.tokenOf("alice", auth.View, "yard"), http.MethodGet, "/api/v1/streams/door/snapshot.jpg", ""); a.status != http.StatusForbidden {
		t.Fatalf("status %d", a.status)
	}
	s.as(s.tokenOf("alice", auth.View, "yard"), http.MethodGet, "/api/v1/streams", "") // is no request for a stream
	got := spans.GetSpans()
	if len(got) != 1 || got[0].Name != "admission" {
		t.Fatalf("spans %v", got)
	}
	want := []attribute.KeyValue{
		attribute.String("sightline.event", "snapshot"), attribute.String("sightline.stream", "door"), attribute.String("sightline.refused", "not-allowed"),
	}
	if !slices.Equal(got[0].Attributes, want) {
		t.Errorf("got %v, want %v", got[0].Attributes, want)
	}
}
