package api_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"session-api/internal/api"
)

// The allocations of one request, within the service alone. Unlike times they
// are the same on every machine: one more is a change that somebody made, and
// the figure here is either wrong or a reason to look again.
func TestAllocations(t *testing.T) {
	const user = `{"user":{"id":"u-1042","email":"ada@example.org","roles":["editor"]},"inputs":{"step":1}}`
	for name, c := range map[string]struct {
		log   api.AccessLog
		most  float64
		setUp func(l *load) (status int)
	}{
		// The scope, the request with it, its id, and the ETag.
		"GET": {most: 4, setUp: func(l *load) int {
			l.signIn(t)
			l.prepare(t, http.MethodGet, "", "")
			return http.StatusOK
		}},
		// The line's message, URL and duration besides, and the session's short hash.
		"GET, logged": {log: api.AccessLog{Every: 1, Lines: io.Discard}, most: 6, setUp: func(l *load) int {
			l.signIn(t)
			l.prepare(t, http.MethodGet, "", "")
			return http.StatusOK
		}},
		// A context with a deadline, and the user's headers; no scope.
		"verify": {most: 5, setUp: func(l *load) int {
			l.signInAs(t, user)
			l.prepare(t, http.MethodGet, "", "")
			l.request.URL.Path = "/api/session/verify"
			return http.StatusOK
		}},
		// The patch and its turn, the new document and its record.
		"PATCH": {most: 8, setUp: func(l *load) int {
			l.signIn(t)
			l.prepare(t, http.MethodPatch, "application/merge-patch+json", `{"inputs":{"step":100000000}}`)
			return http.StatusOK
		}},
		// The input and its turn, the document, its record and entry, the id, the
		// cookie, and what the store's tables grow by.
		"POST": {most: 15, setUp: func(l *load) int {
			l.prepare(t, http.MethodPost, "application/json", benchSession)
			return http.StatusCreated
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoad(t, c.log)
			status := c.setUp(l)
			n := 0
			got := testing.AllocsPerRun(200, func() {
				n++
				if l.request.Method == http.MethodPatch {
					l.step(len(`{"inputs":{"step":`), n)
				}
				if l.send() != status {
					t.Error(l.w.status)
				}
			})
			most := c.most
			if underRace {
				most *= 1.6
			}
			assert.LessOrEqual(t, got, most)
		})
	}
}
