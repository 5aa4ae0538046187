package api_test

import (
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"session-api/internal/api"
)

// The allocations of one read, see TestAllocations; and its bytes, which are
// garbage that somebody has to collect: where much is stored, that is dear.
func TestAllocationsOfReads(t *testing.T) {
	const user = `{"user":{"id":"u-1042","email":"ada@example.org","roles":["editor"]},"inputs":{"step":1}}`
	all := api.AccessLog{Every: 1, Lines: io.Discard}
	for name, c := range map[string]struct {
		log         api.AccessLog
		most, bytes float64
		setUp       func(l *load)
	}{
		// Besides what a GET takes: the duration as a text.
		"GET, logged": {log: all, most: 8, bytes: 1 << 10, setUp: func(l *load) {
			l.signIn(t)
			l.prepare(t, http.MethodGet, "", "")
		}},
		// What is kept of the question, in one piece, and the user.
		"verify": {most: 5, bytes: 512, setUp: func(l *load) { l.verified(t, user) }},
		// The scope and the duration besides.
		"verify, logged": {log: all, most: 8, bytes: 1 << 10, setUp: func(l *load) { l.verified(t, user) }},
		// The query, the ids, and where the sessions stand; no document.
		"list": {most: 30, bytes: 6 << 10, setUp: func(l *load) { l.listed(t) }},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoad(t, c.log)
			c.setUp(l)
			send := func() {
				if l.send() != http.StatusOK {
					t.Error(l.w.status)
				}
			}
			most, bytes := c.most, c.bytes
			if underRace { // pools forget
				most, bytes = most*1.6, bytes*4
			}
			assert.LessOrEqual(t, testing.AllocsPerRun(200, send), most)
			const times = 500
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range times {
				send()
			}
			runtime.ReadMemStats(&after)
			assert.LessOrEqual(t, float64(after.TotalAlloc-before.TotalAlloc)/times, bytes)
		})
	}
}

// verified asks for the session of a user, as a gateway does, from now on.
func (l *load) verified(t *testing.T, document string) {
	t.Helper()
	l.signInAs(t, document)
	l.prepare(t, http.MethodGet, "", "")
	l.request.URL.Path, l.request.RequestURI = "/api/session/verify", "/api/session/verify"
}
