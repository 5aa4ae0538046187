package api_test

import (
	"net/http"
	"testing"

	"session-api/internal/api"
)

// userSessions is how many sessions listBench's user has.
const userSessions = 10

// listed makes the sessions of a user, and asks for them from now on.
func (l *load) listed(b testing.TB) {
	b.Helper()
	l.prepare(b, http.MethodPost, "application/json", `{"user":{"id":"u-1042"},`+benchSession[1:])
	for range userSessions {
		if status := l.send(); status != http.StatusCreated {
			b.Fatal(status)
		}
	}
	l.prepare(b, http.MethodGet, "", "")
	l.request.URL.Path, l.request.RequestURI = "/api/sessions", "/api/sessions?limit=10&userId=u-1042"
	l.request.URL.RawQuery = "limit=10&userId=u-1042"
}

// BenchmarkList lists the ten sessions of a user. What it allocates weighs more
// than here where much is stored, and is looked through for garbage.
func BenchmarkList(b *testing.B) {
	l := newLoad(b, api.AccessLog{})
	l.listed(b)
	b.ReportAllocs()
	for b.Loop() {
		if status := l.send(); status != http.StatusOK {
			b.Fatal(status)
		}
	}
}
