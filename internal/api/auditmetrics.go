package api

import "github.com/prometheus/client_golang/prometheus"

// auditCollectors are the metrics of the audit log.
func auditCollectors(log AuditLog) []prometheus.Collector {
	counter := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "session_api_audit_" + name, Help: help}, value)
	}
	return []prometheus.Collector{
		counter("failures_total", "Entries of the audit log that could not be written in time.", func() float64 { return float64(log.Failures()) }),
		counter("lost_entries_total", "Entries of the audit log that will never be written.", func() float64 { return float64(log.Losses()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "session_api_audit_sequence", Help: "Sequence number of the last entry of the audit log.",
		}, func() float64 { return float64(log.Sequence()) }),
	}
}
