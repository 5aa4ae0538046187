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

// counters are the service's metrics, by name and labels as written, and the number of
// lines in its log.
type counters struct {
	metrics  map[string]float64
	logLines int64
}

// counters reads the counters of the service.
func (l *harness) counters(ctx context.Context, service *process) (counters, error) {
	a, err := l.do(ctx, service.addr, http.MethodGet, "/metrics", "", http.StatusOK)
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

// statusClientClosed is counted for a request whose client closed the connection.
const statusClientClosed = 499

// verifyCounters returns an error if the counters do not show that the service answered
// the requests sent as the row requires. Up to cut more may have been abandoned by wrk
// at the end of a round: they count as 499.
func (r *row) verifyCounters(before, after counters, sent, cut int64) error {
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
	if r.storeCounter != "" {
		if n := grown(fmt.Sprintf(`session_api_store_%s_total{store=%q}`, r.storeCounter, r.store())); n < least {
			return fmt.Errorf("of %d requests the store on %s counts %.0f %s", sent, r.store(), n, r.storeCounter)
		}
	}
	if n := after.logLines - before.logLines; r.logged && n < sent {
		return fmt.Errorf("of %d requests %d are in the log", sent, n)
	}
	return nil
}

// store returns the name of the row's store.
func (r *row) store() string {
	switch {
	case r.onRedis:
		return "redis"
	case r.onDisk:
		return "bolt"
	}
	return "memory"
}
