package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const csvHeading = `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"` + "\n"

func TestParseRedisBenchmark(t *testing.T) {
	const output = csvHeading +
		`"SET","56915.20","0.369","0.072","0.359","0.527","0.711","4.439"` + "\n" +
		`"GET","28702.64","0.810","0.048","0.343","3.399","8.367","96.447"` + "\n"
	for command, want := range map[string]sample{
		"SET": {rate: 56915.20, p50: 0.359, p99: 0.711},
		"GET": {rate: 28702.64, p50: 0.343, p99: 8.367},
	} {
		t.Run(command, func(t *testing.T) {
			got, err := parseRedisBenchmark(output, command)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

func TestParseRedisBenchmarkOfSomethingElse(t *testing.T) {
	for name, output := range map[string]string{
		"nothing":          "",
		"heading only":     csvHeading,
		"another command":  csvHeading + `"SET","56915.20","0.369","0.072","0.359","0.527","0.711","4.439"` + "\n",
		"no heading":       `"GET","56915.20"` + "\n",
		"other columns":    `"test","rps"` + "\n" + `"GET","56915.20"` + "\n",
		"too few columns":  csvHeading + `"GET","56915.20"` + "\n",
		"not a number":     csvHeading + `"GET","many","0.369","0.072","0.359","0.527","0.711","4.439"` + "\n",
		"no connection":    "Could not connect to Redis at 127.0.0.1:7999: Connection refused\n",
		"broken quotation": csvHeading + `"GET","569` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseRedisBenchmark(output, "GET")
			assert.ErrorContains(t, err, "redis-benchmark")
		})
	}
}
