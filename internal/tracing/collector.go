package tracing

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A collector is told of spans by OTLP over HTTP, as protobuf. It is an otlptrace.Client.
type collector struct {
	url  string
	http http.Client
}

// uploadTimeout is the protocol's own default.
const uploadTimeout = 10 * time.Second

// Start implements otlptrace.Client.
func (c *collector) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *collector) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client.
func (c *collector) UploadTraces(ctx context.Context, list []*spans.ResourceSpans) error {
	// The bytes of TracesData are those of the protocol's ExportTraceServiceRequest, whose package brings gRPC along.
	body, err := proto.Marshal(&spans.TracesData{ResourceSpans: list})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()                     // read only
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16)) // so that the connection is used again
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s answers %s", c.url, answer.Status)
	}
	return nil
}
