package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseFigures(t *testing.T) {
	output, err := os.ReadFile("testdata/wrk.txt")
	require.NoError(t, err)
	f, err := parseWrkResult(string(output))
	require.NoError(t, err)

	want := wrkResult{Requests: 98764, Micros: 3004512, P50: 241, P99: 1530.5, P999: 4020, Max: 20110}
	assert.Equal(t, want, f)
	assert.NoError(t, f.check())
	assert.InDelta(t, 32872.0, f.rate(), 1)
}

func TestParseFiguresOfSomethingElse(t *testing.T) {
	for name, output := range map[string]string{
		"nothing":      "",
		"no result":    "Running 3s test\n  98764 requests in 3.00s\n",
		"broken":       "result {\"requests\":\n",
		"not a number": "result {\"requests\":\"many\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseWrkResult(output)
			assert.Error(t, err)
		})
	}
}

func TestFailuresAreNoFigures(t *testing.T) {
	for name, c := range map[string]struct{ line, want string }{
		"status":  {`{"requests":10,"micros":5,"failed":{"status":3}}`, "3 of 10 answers"},
		"connect": {`{"requests":10,"micros":5,"failed":{"connect":1}}`, "1 connecting"},
		"read":    {`{"requests":10,"micros":5,"failed":{"read":2}}`, "2 reading"},
		"write":   {`{"requests":10,"micros":5,"failed":{"write":2}}`, "2 writing"},
		"timeout": {`{"requests":10,"micros":5,"failed":{"timeout":4}}`, "4 timed out"},
		"silence": {`{"requests":0,"micros":5,"failed":{}}`, "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := parseWrkResult("result " + c.line + "\n")
			require.NoError(t, err)
			assert.ErrorContains(t, f.check(), c.want)
		})
	}
}
