package api

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics shows. Label values come from the route table and
// from fixed sets alone, so that no client can add to them.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	closed   *prometheus.CounterVec
	retries  *prometheus.CounterVec
	page     http.Handler // shows them

	known  atomic.Pointer[map[metricLabels]*requestMetrics] // never changed, but replaced
	adding sync.Mutex
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "session_api_http_requests_total", Help: "Requests by route, method and status.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "session_api_http_request_duration_seconds", Help: "Time from the request's headers to the end of the response, by route and method.",
			Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "method"}),
		refused: newRefusedCounter(),
		closed:  newClosedCounter(),
		retries: newKeyedCounter(),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "session_api_build_info", Help: "1, with the running version as a label.",
		ConstLabels: prometheus.Labels{"version": s.Version},
	})
	build.Set(1)
	eventStreams := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "session_api_event_streams", Help: "Open event streams.",
	}, func() float64 { return float64(s.streams.open()) })
	clientChanges := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "session_api_client_changes_total", Help: "Sessions that were used by another family of clients, such as another browser, than before.",
	}, func() float64 { return float64(s.Sessions.ClientChanges()) })
	m.registry.MustRegister(
		m.requests, m.duration, m.refused, m.closed, m.retries, s.uses.requests, build, eventStreams, clientChanges, &storeCollector{s},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	if _, ok := s.Sessions.File(); ok {
		m.registry.MustRegister(fileCollector{s.Sessions})
	}
	if s.Audit != nil {
		m.registry.MustRegister(auditCollectors(s.Audit)...)
	}
	m.page = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request) error {
	s.metrics.page.ServeHTTP(w, r)
	return nil
}

// unmatched is the route label of requests that no route matches.
const unmatched = "none"

// observe counts one request of a route.
func (m *metrics) observe(route, method string, status int, took time.Duration) {
	m.get(metricLabels{route: route, method: methodLabel(method), status: status}).observe(took)
}

func (of *requestMetrics) observe(took time.Duration) {
	of.requests.Inc()
	of.duration.Observe(took.Seconds())
}

// metricLabels is what requests are counted by, figures are where.
type metricLabels struct {
	route, method string
	status        int
}

type requestMetrics struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

// routeMetrics are the figures of one route. It keeps the series that it has counted
// last, because nearly all requests of a route are of the same.
type routeMetrics struct {
	route string
	last  atomic.Pointer[labelledMetrics]
}

type labelledMetrics struct {
	metricLabels
	*requestMetrics
}

// observe counts one request of the route.
func (of *routeMetrics) observe(m *metrics, method string, status int, took time.Duration) {
	last := of.last.Load()
	if last == nil || last.status != status || last.method != method {
		labels := metricLabels{route: of.route, method: methodLabel(method), status: status}
		last = &labelledMetrics{labels, m.get(labels)}
		of.last.Store(last)
	}
	last.observe(took)
}

// get returns the figures of a series. They are looked up by their labels once:
// there are few, and the registry takes its time.
func (m *metrics) get(s metricLabels) *requestMetrics {
	if known := m.known.Load(); known != nil {
		if f := (*known)[s]; f != nil {
			return f
		}
	}
	m.adding.Lock()
	defer m.adding.Unlock()
	more := make(map[metricLabels]*requestMetrics)
	if known := m.known.Load(); known != nil {
		maps.Copy(more, *known)
	}
	f := &requestMetrics{
		requests: m.requests.WithLabelValues(s.route, s.method, strconv.Itoa(s.status)),
		duration: m.duration.WithLabelValues(s.route, s.method),
	}
	more[s] = f
	m.known.Store(&more)
	return f
}

func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

func boolToFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// storeCollector reads the counters of the store and of the cleanup when the
// metrics are asked for.
type storeCollector struct{ s *Server }

var (
	descSessions    = storeDesc("sessions", "Live sessions.")
	descBytes       = storeDesc("store_bytes", "Memory that the stored sessions take, as counted for the memory limit.")
	descOver        = storeDesc("store_over_limit", "1 where the store holds more than its limits allow, because they were lowered, 0 otherwise.")
	descHits        = storeDesc("store_hits_total", "Reads that found their session.")
	descMisses      = storeDesc("store_misses_total", "Reads that did not.")
	descSets        = storeDesc("store_sets_total", "Sessions created, changed or regenerated.")
	descDeletes     = storeDesc("store_deletes_total", "Sessions ended.")
	descEvictions   = storeDesc("store_evictions_total", "Live sessions evicted to make room.")
	descReserved    = storeDesc("store_reserve_refusals_total", "Creations and changes of sessions without a user that were refused because only the reserve for users and services had room.")
	descDamaged     = storeDesc("store_damaged_sessions_total", "Values encountered under a session's key that are not session documents.")
	descExpirations = storeDesc("store_expirations_total", "Sessions freed because they had expired.")

	descRuns    = prometheus.NewDesc("session_api_cleanup_runs_total", "Cleanup runs, not counting dry runs.", nil, nil)
	descScanned = prometheus.NewDesc("session_api_cleanup_scanned_files_total", "Files that the cleanup examined.", nil, nil)
	descDeleted = prometheus.NewDesc("session_api_cleanup_deleted_files_total", "Files that the cleanup deleted.", nil, nil)
	descFreed   = prometheus.NewDesc("session_api_cleanup_freed_bytes_total", "Bytes that the cleanup freed.", nil, nil)
	descErrors  = prometheus.NewDesc("session_api_cleanup_errors_total", "Failures of the cleanup.", nil, nil)
	descLastRun = prometheus.NewDesc("session_api_cleanup_last_run_timestamp_seconds", "Start time of the last cleanup.", nil, nil)
)

func storeDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("session_api_"+name, help, []string{"store"}, nil)
}

// Describe implements prometheus.Collector.
func (c *storeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descSessions, descBytes, descOver, descHits, descMisses, descSets, descDeletes, descEvictions, descExpirations, descReserved, descDamaged,
		descRuns, descScanned, descDeleted, descFreed, descErrors, descLastRun,
	} {
		ch <- d
	}
}

// scrapeTimeout bounds how long the store may hold up a scrape.
const scrapeTimeout = time.Second

// Collect implements prometheus.Collector. A store that cannot be asked has
// its figures left out: /metrics must work when the store does not.
func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	if st, err := c.s.Sessions.Stats(ctx, c.s.Now()); err == nil {
		name := c.s.Sessions.Name()
		gauge(descSessions, float64(st.Entries), name)
		gauge(descBytes, float64(st.Bytes), name)
		gauge(descOver, boolToFloat(st.OverLimit), name)
		counter(descHits, st.Hits, name)
		counter(descMisses, st.Misses, name)
		counter(descSets, st.Sets, name)
		counter(descDeletes, st.Deletes, name)
		counter(descEvictions, st.Evictions, name)
		counter(descExpirations, st.Expirations, name)
		counter(descReserved, st.Reserved, name)
		counter(descDamaged, st.Damaged, name)
	}
	t := c.s.Cleaner.Totals()
	counter(descRuns, t.Runs)
	counter(descScanned, t.Scanned)
	counter(descDeleted, t.Deleted)
	counter(descFreed, t.BytesFreed)
	counter(descErrors, t.Errors)
	if last, ok := c.s.Cleaner.Last(); ok {
		gauge(descLastRun, float64(last.StartedAt.UnixMilli())/1000)
	}
}
