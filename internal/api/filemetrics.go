package api

import (
	"github.com/prometheus/client_golang/prometheus"

	"session-api/internal/store/backend"
)

// fileCollector reads how the data file is when the metrics are asked for.
type fileCollector struct{ file func() backend.FileStats }

var (
	descFileWritable = fileDesc("writable", "1 where any change can be made, 0 otherwise; /stats says why in words.")
	descFileBytes    = fileDesc("bytes", "The size of the data file.")
	descFileFree     = fileDesc("free_bytes", "What of the data file can be written again.")
	descFileLive     = fileDesc("live_bytes", "About what of the data file counts: sessions, and ids that are taken for a while.")
	descVolumeFree   = fileDesc("volume_free_bytes", "What is left of the volume of the data file.")
	descCommitAge    = fileDesc("last_commit_age_seconds", "How long ago the data file was last written.")
	descCommitErrors = fileDesc("commit_failures_total", "How often the data file could not be written.")
	descCommits      = fileDesc("commit_seconds", "How long the disk took for the transactions that it has.")
)

func fileDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("session_api_data_file_"+name, help, nil, nil)
}

// Describe implements prometheus.Collector.
func (fileCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descFileWritable, descFileBytes, descFileFree, descFileLive, descVolumeFree, descCommitAge, descCommitErrors, descCommits,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c fileCollector) Collect(ch chan<- prometheus.Metric) {
	st := c.file()
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	gauge(descFileWritable, boolToFloat(st.Writable))
	gauge(descFileBytes, float64(st.Bytes))
	gauge(descFileFree, float64(st.FreeBytes))
	gauge(descFileLive, float64(st.LiveBytes))
	gauge(descVolumeFree, float64(st.VolumeFreeBytes))
	gauge(descCommitAge, st.LastCommitAge.Seconds())
	ch <- prometheus.MustNewConstMetric(descCommitErrors, prometheus.CounterValue, float64(st.CommitFailures))
	ch <- prometheus.MustNewConstHistogram(descCommits, st.Commits, st.CommitSeconds, st.CommitBuckets)
}
