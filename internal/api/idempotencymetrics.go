package api

import "github.com/prometheus/client_golang/prometheus"

// keyOutcome is what became of a request with an Idempotency-Key.
type keyOutcome string

const (
	keyFirst      keyOutcome = "first"       // done for the first time
	keyResumed    keyOutcome = "resumed"     // done after an attempt with an unknown outcome
	keyReplayed   keyOutcome = "replayed"    // answered as before
	keyInProgress keyOutcome = "in_progress" // refused for now
	keyReused     keyOutcome = "reused"      // refused: another request has the key
)

func newKeyedCounter() *prometheus.CounterVec {
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "session_api_idempotent_requests_total", Help: "Requests with an Idempotency-Key, by what became of them.",
	}, []string{"outcome"})
	for _, outcome := range []keyOutcome{keyFirst, keyResumed, keyReplayed, keyInProgress, keyReused} {
		counter.WithLabelValues(string(outcome))
	}
	return counter
}

// keyed counts a request with an Idempotency-Key.
func (m *metrics) keyed(outcome keyOutcome) { m.retries.WithLabelValues(string(outcome)).Inc() }
