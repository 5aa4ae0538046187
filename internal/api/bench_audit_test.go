package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/audit"
)

// BenchmarkAudit is what a request costs that the audit log is not about (GET, PATCH), and
// one that it is (regenerate), each without the log and with one that takes no time.
func BenchmarkAudit(b *testing.B) {
	for _, log := range []struct {
		name string
		log  api.AuditLog
	}{{"off", nil}, {"on", countingLog{}}} {
		for _, kind := range []struct{ name, method, path, body string }{
			{"get", "GET", "/api/session", ""},
			{"patch", "PATCH", "/api/session", `{"inputs":{"step":1}}`},
			{"regenerate", "POST", "/api/session/regenerate", ""},
		} {
			b.Run(kind.name+"/"+log.name, func(b *testing.B) {
				l := newLoad(b, api.AccessLog{}, func(o *api.Options) { o.Audit = log.log })
				l.signIn(b)
				l.prepare(b, kind.method, "application/merge-patch+json", kind.body)
				l.request.URL.Path, l.request.RequestURI = kind.path, kind.path
				b.ReportAllocs()
				for b.Loop() {
					if status := l.send(); status != 200 {
						require.Equal(b, 200, status)
					}
					if kind.name == "regenerate" {
						l.keepCookie()
					}
				}
			})
		}
	}
}

// countingLog is an audit log that keeps nothing.
type countingLog struct{}

func (countingLog) Append(audit.Entry) error { return nil }
func (countingLog) Ready() error             { return nil }
func (countingLog) Failures() int64          { return 0 }
func (countingLog) Losses() int64            { return 0 }
func (countingLog) Sequence() uint64         { return 0 }
