package api

import (
	"github.com/prometheus/client_golang/prometheus"

	"session-api/internal/store"
)

// fileCollector reads how the data file is when the metrics are asked for.
type fileCollector struct{ sessions *store.Sessions }

var (
	descFileWritable = fileDesc("writable", "1 where any change can be made, 0 otherwise; /stats says why in words.")
	descFileBytes    = fileDesc("bytes", "The size of the data file.")
	descFileFree     = fileDesc("free_bytes", "Bytes of the data file that can be reused.")
	descFileLive     = fileDesc("live_bytes", "Approximate size of the live data in the data file: sessions and tombstones.")
	descVolumeFree   = fileDesc("volume_free_bytes", "Free bytes on the volume of the data file.")
	descCommitAge    = fileDesc("last_commit_age_seconds", "How long ago the data file was last written.")
	descCommitErrors = fileDesc("commit_failures_total", "How often the data file could not be written.")
	descCommits      = fileDesc("commit_seconds", "Time that the disk took for each committed transaction.")
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
	st, _ := c.sessions.File()
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
