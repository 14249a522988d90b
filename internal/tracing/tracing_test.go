package tracing_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"sightline/internal/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// traceOne has a span sent to endpoint and gives what was logged.
func traceOne(t *testing.T, endpoint string) string {
	t.Helper()
	var said bytes.Buffer
	var mu sync.Mutex
	tr, err := tracing.New(endpoint, "v9", slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return said.Write(p)
	}), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	_, span := tr.Tracer().Start(ctx, "admission")
	span.End()
	stop()
	tr.Run(ctx)
	mu.Lock()
	defer mu.Unlock()
	return said.String()
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestTracing_SendsWhatIsLeftAtTheEnd(t *testing.T) {
	var got collector.ExportTraceServiceRequest
	var path string
	desk := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = proto.Unmarshal(body, &got)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	defer desk.Close()
	if said := traceOne(t, desk.URL); said != "" {
		t.Errorf("it says %s", said)
	}
	if path != "/v1/traces" || len(got.GetResourceSpans()) != 1 || got.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0].GetName() != "admission" {
		t.Fatalf("sent to %q: %v", path, &got)
	}
	if about := got.GetResourceSpans()[0].GetResource().String(); !strings.Contains(about, "sightline") || !strings.Contains(about, "v9") {
		t.Errorf("the resource is %s", about)
	}
}

func TestTracing_SaysWhatACollectorRefuses(t *testing.T) {
	desk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer desk.Close()
	if said := traceOne(t, desk.URL+"/sub"); !strings.Contains(said, "403") {
		t.Errorf("it says %q", said)
	}
}
