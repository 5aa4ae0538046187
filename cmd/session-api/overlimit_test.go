package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A service starts with room for fewer sessions than its file holds: with policy
// none, and with the others.
func TestBolt_limitsThatWereLowered(t *testing.T) {
	for policy, after := range map[string]string{
		"none": "no new session is taken until enough of them have ended",
		"lru":  "each new session ends two others",
		"ttl":  "each new session ends two others",
	} {
		t.Run(policy, func(t *testing.T) {
			dir := t.TempDir()
			s := start(t, onData(t, dir, "SESSION_EVICTION_POLICY", policy, "SESSION_MAX_ENTRIES", "20"))
			var cookies []http.Header
			for range 20 {
				created := do(t, http.MethodPost, s.url("/api/session"), nil, "")
				require.Equal(t, http.StatusCreated, created.status)
				cookie, _, _ := strings.Cut(created.header.Get("Set-Cookie"), ";")
				cookies = append(cookies, http.Header{"Cookie": {cookie}, "Content-Type": {"application/merge-patch+json"}})
			}
			assert.Contains(t, do(t, http.MethodGet, s.url("/stats"), nil, "").body, `"overLimit":false`)
			require.Zero(t, s.end(t))

			s = start(t, onData(t, dir, "SESSION_EVICTION_POLICY", policy, "SESSION_MAX_ENTRIES", "10"))
			for _, cookie := range cookies {
				require.Equal(t, http.StatusOK, do(t, http.MethodGet, s.url("/api/session"), cookie, "").status)
				require.Equal(t, http.StatusOK, do(t, http.MethodPatch, s.url("/api/session"), cookie, `{"inputs":{"a":1}}`).status)
			}
			assert.Contains(t, do(t, http.MethodGet, s.url("/stats"), nil, "").body, `"entryCount":20,"maxEntries":10,"overLimit":true`)
			assert.Contains(t, do(t, http.MethodGet, s.url("/metrics"), nil, "").body, `session_api_store_over_limit{store="bolt"} 1`)
			said := s.log.wait(t, "the data file holds more sessions than the limits allow, and none is dropped")
			assert.Equal(t, after, said["then"])
			assert.EqualValues(t, 20, said["sessions"])

			if policy != "none" {
				for range 10 {
					require.Equal(t, http.StatusCreated, do(t, http.MethodPost, s.url("/api/session"), nil, "").status)
				}
				assert.Contains(t, do(t, http.MethodGet, s.url("/stats"), nil, "").body, `"entryCount":10,"maxEntries":10,"overLimit":false`)
				require.Zero(t, s.end(t))
				return
			}
			for _, cookie := range cookies[:11] {
				refused := do(t, http.MethodPost, s.url("/api/session"), nil, "")
				require.Equal(t, http.StatusServiceUnavailable, refused.status, refused.body)
				require.NotEmpty(t, refused.header.Get("Retry-After"))
				require.Equal(t, http.StatusNoContent, do(t, http.MethodDelete, s.url("/api/session"), cookie, "").status)
			}
			require.Equal(t, http.StatusCreated, do(t, http.MethodPost, s.url("/api/session"), nil, "").status)
			assert.Contains(t, do(t, http.MethodGet, s.url("/metrics"), nil, "").body, `session_api_store_over_limit{store="bolt"} 0`)
			require.Zero(t, s.end(t))
		})
	}
}
