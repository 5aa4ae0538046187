package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// counters are what the service says of itself: its metrics, by name and
// labels as they are written, and the lines of its log.
type counters struct {
	metrics  map[string]float64
	logLines int64
}

// counters asks the service.
func (l *lab) counters(ctx context.Context, service *process) (counters, error) {
	a, err := l.ask(ctx, service.addr, http.MethodGet, "/metrics", "", http.StatusOK)
	if err != nil {
		return counters{}, err
	}
	metrics, err := parseMetrics(string(a.Body))
	if err != nil {
		return counters{}, err
	}
	n, err := countLines(service.log)
	return counters{metrics, n}, err
}

// parseMetrics reads Prometheus's text format, without timestamps.
func parseMetrics(text string) (map[string]float64, error) {
	metrics := map[string]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[i+1:], 64)
		if i < 0 || err != nil {
			return nil, fmt.Errorf("metrics: no number in %q", line)
		}
		metrics[line[:i]] = value
	}
	return metrics, nil
}

func countLines(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // it was only read
	var n int64
	for r := bufio.NewReaderSize(f, 1<<20); ; {
		chunk, err := r.ReadSlice('\n')
		n += int64(bytes.Count(chunk, []byte("\n")))
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		}
	}
}

// statusClientClosed is what the service counts where the client left first.
const statusClientClosed = 499

// prove returns an error if the service did not do what the row claims for the
// requests that were sent between the two looks at its counters. Up to cut more
// may have been given up by wrk, at the ends of turns: 499, which nobody gets.
func (r *row) prove(before, after counters, sent, cut int64) error {
	grown := func(name string) float64 { return after.metrics[name] - before.metrics[name] }
	least := float64(sent)

	route, _, _ := strings.Cut(r.path, "?")
	answered := fmt.Sprintf(`session_api_http_requests_total{method=%q,route=%q,status="`, r.method, route)
	expected := fmt.Sprintf(`%s%d"}`, answered, r.status)
	if n := grown(expected); n < least {
		return fmt.Errorf("of %d requests the service counts %.0f answers %d", sent, n, r.status)
	}
	for name := range after.metrics {
		if name == fmt.Sprintf(`%s%d"}`, answered, statusClientClosed) && grown(name) <= float64(cut) {
			continue
		}
		if strings.HasPrefix(name, answered) && name != expected && grown(name) > 0 {
			return fmt.Errorf("other answers than %d: %.0f %s", r.status, grown(name), name)
		}
	}
	if r.did != "" {
		if n := grown(fmt.Sprintf(`session_api_store_%s_total{store=%q}`, r.did, r.store())); n < least {
			return fmt.Errorf("of %d requests the store on %s counts %.0f %s", sent, r.store(), n, r.did)
		}
	}
	if n := after.logLines - before.logLines; r.logged && n < sent {
		return fmt.Errorf("of %d requests %d are in the log", sent, n)
	}
	return nil
}

// store is the name of the store that the row's service has.
func (r *row) store() string {
	switch {
	case r.onRedis:
		return "redis"
	case r.onDisk:
		return "bolt"
	}
	return "memory"
}
