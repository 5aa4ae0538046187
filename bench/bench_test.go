package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"-rounds", "2", "-rows", "^GET"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, 2, o.rounds)
	var names []string
	for _, r := range o.selectedRows() {
		names = append(names, r.name)
	}
	assert.Equal(t, []string{"GET", "GET, logged", "GET, held", "GET, Redis", "GET, Redis, cached", "GET, 1 million", "GET, cleanup"}, names)

	for name, args := range map[string][]string{
		"argument":            {"GET"},
		"no rounds":           {"-rounds", "0"},
		"too many rounds":     {"-rounds", "81"},
		"part of a second":    {"-duration", "1500ms"},
		"no time":             {"-duration", "0s"},
		"too few connections": {"-connections", "0"},
		"no expression":       {"-rows", "("},
		"no such row":         {"-rows", "DELETE"},
		"part of a page":      {"-rows", "GET", "-write", "performance.md"},
		"row left out":        {"-rows", "1 million", "-million=false"},
		"nothing to profile":  {"-profile", "store in memory"},
		"part of a name":      {"-profile", "GE"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(args, io.Discard)
			assert.Error(t, err)
		})
	}
}

func TestMillionCanBeLeftOut(t *testing.T) {
	o, err := parse([]string{"-million=false"}, io.Discard)
	require.NoError(t, err)
	require.NotEmpty(t, o.selectedRows())
	for _, r := range o.selectedRows() {
		assert.Less(t, r.sessions, million, r.name)
		assert.NotEqual(t, treeMark, r.env["ANALYSIS_TMP_DIR"], r.name)
	}
}

func TestProfileIsOfOneName(t *testing.T) {
	o, err := parse([]string{"-profile", "PATCH"}, io.Discard)
	require.NoError(t, err)
	require.Len(t, o.selectedRows(), 1)
	assert.Equal(t, "PATCH", o.selectedRows()[0].name)
}

// Each row has what its claims are about, and a name of its own.
func TestRows(t *testing.T) {
	names := map[string]bool{}
	for _, r := range rows() {
		assert.NotContains(t, names, r.name)
		names[r.name] = true
		assert.NotEmpty(t, r.doc, r.name)
		assert.NotEmpty(t, r.metrics, r.name)
		for _, c := range r.metrics {
			assert.True(t, c.absolute || len(r.against) > 0, "%s: %s has no yardstick", r.name, c.what)
		}
	}
}

func TestFindAddr(t *testing.T) {
	for name, c := range map[string]struct{ log, want string }{
		"nothing yet":  {"", ""},
		"half a line":  {`{"level":"INFO","msg":"listening","ad`, ""},
		"another line": {`{"msg":"for development only","addr":"1.2.3.4:5"}` + "\n", ""},
		"not first":    {"not JSON\n{\"msg\":\"listening\",\"addr\":\"127.0.0.1:4711\"}\n", "127.0.0.1:4711"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, findAddr(strings.NewReader(c.log)))
		})
	}
}

// The bare server reads what it is sent, and sends what was recorded.
func TestAnswer(t *testing.T) {
	a := &response{
		Status: http.StatusCreated,
		Header: http.Header{"Content-Type": {"application/json"}, "Set-Cookie": {"a=1", "b=2"}},
		Body:   []byte(`{"id":"x"}`),
	}
	sent := bytes.NewBufferString(`{"inputs":{}}`)
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "http://localhost/api/session", sent))
	assert.Equal(t, a.Status, w.Code)
	assert.Equal(t, a.Header, w.Header())
	assert.Equal(t, a.Body, w.Body.Bytes())
	assert.Zero(t, sent.Len())
}

// load.lua and the program agree on how long a number is: the length of a body
// is fixed before its number is.
func TestStepsHaveTheLengthOfTheirMark(t *testing.T) {
	for _, r := range rows() {
		assert.Len(t, numberedBody(r.body, 0), len(r.body), r.name)
		assert.Len(t, numberedBody(r.body, million-1), len(r.body), r.name)
		if r.storeCounter == sets {
			assert.NotEqual(t, numberedBody(r.body, 0), numberedBody(r.body, 1), r.name)
		}
	}
}
