package main

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
	"session-api/internal/store/redis/redistest"
)

// Visitors fill a Redis that may not evict with documents that stay for a month.
// Afterwards services and signed-in users go on, and what ends makes room again.
func TestRedis_visitorsCannotTakeTheReserve(t *testing.T) {
	server := redistest.Start(t, redistest.MaxMemory("64mb", "noeviction"))
	set := []string{"SERVICE_TOKENS", servicetest.Token, "REDIS_TIMEOUT_MS", "20000", "SESSION_MAX_TTL_MS", "2592000000", "SESSION_TTL_MS", "2592000000"}
	one, other := two(t, server, set...)
	asService := http.Header{"Authorization": {"Bearer " + servicetest.Token}, "Content-Type": {"application/json"}}
	service := func(method, path, body string) answer {
		t.Helper()
		return do(t, method, one.url(path), asService, body)
	}
	var user struct{ Token string }
	require.NoError(t, json.Unmarshal([]byte(service(http.MethodPost, "/api/sessions", `{"user":{"id":"ada"}}`).body), &user))
	signedIn := visitor{t, user.Token}
	anonymous := visit(t, one.url(""), "")

	document := `{"inputs":{"text":"` + strings.Repeat("x", 900_000) + `"},"ttlMs":2592000000}`
	var mu sync.Mutex
	var stored []visitor
	var all sync.WaitGroup
	for _, instance := range []*running{one, other} {
		for range 2 {
			all.Go(func() {
				for refused := 0; refused < 5 && !t.Failed(); {
					resp := visitor{t: t}.ask(http.MethodPost, instance.url("/api/session?transport=bearer"), document)
					if resp.status == http.StatusCreated {
						var created struct{ Token string }
						assert.NoError(t, json.Unmarshal([]byte(resp.body), &created))
						mu.Lock()
						stored = append(stored, visitor{t, created.Token})
						mu.Unlock()
						continue
					}
					refused++
					assert.Equal(t, http.StatusServiceUnavailable, resp.status, resp.body)
					assert.Contains(t, resp.body, `"code":"store_full"`)
					assert.NotEmpty(t, resp.header.Get("Retry-After"))
				}
			})
		}
	}
	all.Wait()
	require.Greater(t, len(stored), 30)

	large := `{"inputs":{"text":"` + strings.Repeat("y", 900_000) + `"}}`
	assert.Equal(t, http.StatusServiceUnavailable, anonymous.ask(http.MethodPatch, one.url("/api/session"), large).status)
	assert.Equal(t, http.StatusOK, anonymous.ask(http.MethodGet, one.url("/api/session"), "").status)
	created := service(http.MethodPost, "/api/sessions", large)
	assert.Equal(t, http.StatusCreated, created.status, created.body)
	patched := signedIn.ask(http.MethodPatch, other.url("/api/session"), large)
	assert.Equal(t, http.StatusOK, patched.status, patched.body)
	var seen struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(anonymous.ask(http.MethodGet, one.url("/api/session"), "").body), &seen))
	signIn := service(http.MethodPost, "/api/sessions/"+seen.ID+"/regenerate", `{"user":{"id":"bob"}}`)
	assert.Equal(t, http.StatusOK, signIn.status, signIn.body)
	refusals := regexp.MustCompile(`session_api_store_reserve_refusals_total\{store="redis"\} [1-9]`)
	assert.Regexp(t, refusals, do(t, http.MethodGet, one.url("/metrics"), asService, "").body)

	for _, v := range stored[:5] {
		require.Equal(t, http.StatusNoContent, v.ask(http.MethodDelete, one.url("/api/session"), "").status)
	}
	require.Eventually(t, func() bool {
		return visitor{t: t}.ask(http.MethodPost, other.url("/api/session?transport=bearer"), document).status == http.StatusCreated
	}, patience, 10*time.Millisecond)
}
