package tracing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// uploader posts spans to a collector: the OTLP/HTTP transport in binary
// Protobuf (OTLP specification 1.9, section OTLP/HTTP). It is an
// otlptrace.Client. The module's own client would link all of gRPC in, which
// doubles the program.
type uploader struct {
	url     string
	headers http.Header
	// hide takes secrets out of a text.
	hide   func(string) string
	client http.Client
}

// Start and Stop have nothing to do: a connection comes with the first spans.
func (u *uploader) Start(context.Context) error { return nil }

func (u *uploader) Stop(context.Context) error {
	u.client.CloseIdleConnections()
	return nil
}

// How often spans are offered to a collector that says that it cannot take them
// at present, and how long the first wait is. Each is twice the one before.
const (
	uploadTries = 4
	uploadPause = 250 * time.Millisecond
	uploadLimit = 10 * time.Second // the specification's default
)

// errBusy: the collector may take the same spans later.
var errBusy = errors.New("the collector is busy")

// UploadTraces sends the spans, without what is secret. It changes them: they
// are made for it.
func (u *uploader) UploadTraces(ctx context.Context, spans []*otlp.ResourceSpans) error {
	redactor(u.hide).resources(spans)
	// On the wire this is the request that a collector expects.
	body, err := proto.Marshal(&otlp.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encoding spans: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, uploadLimit)
	defer cancel()
	for pause, try := uploadPause, 1; ; pause, try = 2*pause, try+1 {
		err := u.post(ctx, body)
		if !errors.Is(err, errBusy) || try == uploadTries {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(err, ctx.Err())
		}
	}
}

func (u *uploader) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("preparing the upload: %w", err)
	}
	maps.Copy(req.Header, u.headers)
	req.Header.Set("Content-Type", "application/x-protobuf")
	resp, err := u.client.Do(req)
	if err != nil {
		return fmt.Errorf("uploading spans: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("%w: status %d", errBusy, resp.StatusCode)
	default:
		return fmt.Errorf("the collector refuses spans with status %d", resp.StatusCode)
	}
}

// ParseHeaders reads headers as OTEL_EXPORTER_OTLP_HEADERS has them: pairs of
// name=value, separated by commas, values percent-encoded (W3C Baggage).
func ParseHeaders(list string) (http.Header, error) {
	headers := http.Header{}
	for pair := range strings.SplitSeq(list, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || name == "" || err != nil || strings.ContainsAny(name+value, "\r\n\x00") {
			return nil, errors.New("not of the form name=value,name=value")
		}
		headers.Add(name, value)
	}
	return headers, nil
}
