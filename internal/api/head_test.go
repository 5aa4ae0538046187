package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// HEAD is GET without the body: the same status, the same headers.
func TestHeadWhereverThereIsGet(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	b.do("PUT", foreign, `{"meta":{"a":1}}`).expect(201)
	visitor := s.client()
	visitor.create("")
	var paths []string
	require.NoError(t, chi.Walk(s.api.Routes(), func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if method == http.MethodGet && !strings.Contains(path, "/verify") {
			paths = append(paths, path)
		}
		return nil
	}))
	require.Greater(t, len(paths), 12)
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			c := b
			if path == "/api/session" || path == "/api/user/sessions" {
				c = &serviceCaller{visitor}
			}
			at := strings.NewReplacer("/api/sessions/{id}", foreign, "{file}", "docs.js").Replace(path)
			head := c.do("HEAD", at, "").expect(200)
			assert.Empty(t, head.body)
			assert.NotEmpty(t, head.Header.Get("Content-Type"))
			if path == "/api/events" { // it would not end
				assert.Equal(t, "text/event-stream", head.Header.Get("Content-Type"))
				assert.Contains(t, s.metric("session_api_event_streams"), " 0")
				return
			}
			get := c.do("GET", at, "").expect(200)
			assert.Equal(t, get.Header.Get("Content-Type"), head.Header.Get("Content-Type"))
			assert.Equal(t, get.Header.Get("Etag"), head.Header.Get("Etag"))
			if !strings.Contains(path, "stats") && path != "/metrics" && path != "/api/export" && path != "/api/backup" { // figures change, or are not counted before
				assert.Equal(t, get.Header.Get("Content-Length"), head.Header.Get("Content-Length"))
			}
			allow := c.do("TRACE", at, "").expect(405).Header.Values("Allow")
			assert.Contains(t, allow, "HEAD")
		})
	}
	for path, status := range map[string]int{
		"/api/sessions?limit=0": 400, "/api/events?type=x": 400, "/api/export?namespace=A": 400, "/docs/none.js": 404, "/nowhere": 404,
	} {
		assert.Empty(t, b.do("HEAD", path, "").expect(status).body, path)
	}
	s.client().do("HEAD", "/api/sessions", "").expect(401)
	lines := logLines(t, s)
	for _, line := range lines {
		if line["http.request.method"] == "HEAD" && line["http.response.status_code"] == 200.0 {
			assert.Zero(t, line["http.response.body.bytes"], line["url.path"])
		}
	}
}

// metric is the line of a metric.
func (s *service) metric(name string) string {
	s.t.Helper()
	for line := range strings.Lines(string(s.client().do("GET", "/metrics", "").expect(200).body)) {
		if strings.HasPrefix(line, name+" ") {
			return line
		}
	}
	return ""
}
