package api_test

import (
	"net/http"
	"strings"
	"testing"

	"session-api/internal/api"
)

// BenchmarkVerify answers a gateway about one session, with a user, by its
// cookie.
func BenchmarkVerify(b *testing.B) {
	for name, query := range map[string]string{"role=none": "", "role=one": "?role=editor"} {
		b.Run(name, func(b *testing.B) {
			benchLogs(b, func(b *testing.B, log api.AccessLog) {
				l := newLoad(b, log)
				l.signInAs(b, `{"user":{"id":"u-1042","email":"ada@example.org","roles":["editor"]},"inputs":{"step":1}}`)
				l.prepare(b, http.MethodGet, "", "")
				l.request.URL.Path, l.request.RequestURI = "/api/session/verify", "/api/session/verify"+query
				if query != "" {
					l.request.URL.RawQuery = query[1:]
				}
				b.ReportAllocs()
				for b.Loop() {
					if status := l.send(); status != http.StatusOK {
						b.Fatal(status)
					}
				}
			})
		})
	}
}

// signInAs is signIn with a document of its own.
func (l *load) signInAs(b testing.TB, document string) {
	b.Helper()
	l.prepare(b, http.MethodPost, "application/json", document)
	if status := l.send(); status != http.StatusCreated {
		b.Fatal(status)
	}
	l.cookie, _, _ = strings.Cut(l.w.header.Get("Set-Cookie"), ";")
}
