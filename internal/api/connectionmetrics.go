package api

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"session-api/internal/httpserver"
)

func newClosedCounter() *prometheus.CounterVec {
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "session_api_connections_closed_total", Help: "Connections closed to make room for others, by reason.",
	}, []string{"reason"})
	for _, reason := range httpserver.CloseReasons {
		counter.WithLabelValues(string(reason))
	}
	return counter
}

func newRefusedCounter() *prometheus.CounterVec {
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "session_api_http_rejected_requests_total", Help: "Requests refused before they reached a route, as malformed or too large, by status.",
	}, []string{"status"})
	for _, status := range []int{http.StatusBadRequest, http.StatusRequestHeaderFieldsTooLarge} {
		counter.WithLabelValues(strconv.Itoa(status))
	}
	return counter
}

// CountClosed counts a connection that was closed for another.
func (s *Server) CountClosed(reason httpserver.CloseReason) {
	s.metrics.closed.WithLabelValues(string(reason)).Inc()
}

// CountRefused counts a request that was refused before the Server saw it.
func (s *Server) CountRefused(status int) {
	s.metrics.refused.WithLabelValues(strconv.Itoa(status)).Inc()
}
