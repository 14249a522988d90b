// Package tracing sends traces of how viewers are let in and get their first picture to an OpenTelemetry collector, over HTTP (OTLP 1). It
// knows nothing of what is traced. Run owns its goroutines, with those that the SDK starts.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// grace is how long the last spans may take at the end.
const grace = 2 * time.Second

// Tracing sends spans. Make it with New, and Run it.
type Tracing struct {
	provider *sdk.TracerProvider
	log      *slog.Logger
}

// New makes a Tracing that sends to the collector at endpoint, such as http://127.0.0.1:4318. Nobody is asked yet. What cannot be sent is lost,
// and said in the log.
func New(endpoint, version string, log *slog.Logger) (*Tracing, error) {
	base, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	exporter := otlptrace.NewUnstarted(&collector{url: base.JoinPath("v1/traces").String()})
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("traces are not sent", "error", strings.ReplaceAll(err.Error(), "\n", " "))
	}))
	return &Tracing{log: log, provider: sdk.NewTracerProvider(
		sdk.WithBatcher(exporter),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "sightline"), attribute.String("service.version", version),
		)),
	)}, nil
}

// Tracer is what spans begin at.
func (t *Tracing) Tracer() trace.Tracer { return t.provider.Tracer("sightline") }

// Run sends spans until ctx is done, and then those that are left.
func (t *Tracing) Run(ctx context.Context) {
	<-ctx.Done()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := t.provider.Shutdown(last); err != nil {
		t.log.Warn("the last traces are not sent", "error", err)
	}
}
