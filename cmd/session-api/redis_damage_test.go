package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
	"session-api/internal/store/redis/redistest"
)

// A value that is no session is the fault of that session alone, in every route.
func TestRedis_damagedSessions(t *testing.T) {
	server := redistest.Start(t)
	one := start(t, instanceOn(t, server))
	well, hurt := visit(t, one.url(""), ""), visit(t, one.url(""), "")
	id, _, _ := strings.Cut(strings.TrimPrefix(hurt.token, "s:"), ".")
	damage := func(t *testing.T) {
		t.Helper()
		server.CLI("DEL", "session:"+id)
		require.Equal(t, "1", server.CLI("HSET", "session:"+id, "not", "a session"))
	}
	damage(t)
	byID := one.url("/api/sessions/" + id)
	for _, tc := range []struct {
		method, url, body string
		who               visitor
		status            int
	}{
		{http.MethodGet, one.url("/api/session"), "", hurt, 500},
		{http.MethodPatch, one.url("/api/session"), `{"inputs":{"a":1}}`, hurt, 500},
		{http.MethodPost, one.url("/api/session/touch"), "", hurt, 500},
		{http.MethodPost, one.url("/api/session/regenerate"), "", hurt, 500},
		{http.MethodGet, byID, "", visitor{t: t}, 500},
		{http.MethodPatch, byID, `{"inputs":{"a":1}}`, visitor{t: t}, 500},
		{http.MethodGet, one.url("/api/session/verify"), "", hurt, 503}, // a gateway knows no other
		{http.MethodGet, one.url("/api/session"), "", well, 200},
		{http.MethodGet, one.url("/api/sessions?limit=10"), "", visitor{t: t}, 200},
		{http.MethodGet, one.url("/stats"), "", visitor{t: t}, 200},
		{http.MethodGet, one.url("/readyz"), "", visitor{t: t}, 200},
		{http.MethodPost, one.url("/api/cleanup"), "", visitor{t: t}, 200},
	} {
		got := tc.who.ask(tc.method, tc.url, tc.body)
		assert.Equal(t, tc.status, got.status, "%s %s: %s", tc.method, tc.url, got.body)
		if tc.status == http.StatusInternalServerError {
			assert.Contains(t, got.body, `"damaged_session"`)
		}
	}
	assert.Contains(t, do(t, http.MethodGet, one.url("/metrics"), nil, "").body, "session_api_store_damaged_sessions_total{store=\"redis\"}")
	assert.Len(t, one.log.all("a session is damaged: what its key holds is not a session's document; end it, or repair the value"), 1)
	assert.NotContains(t, one.log.String(), id)

	service := visitor{t: t}
	assert.Equal(t, http.StatusCreated, service.ask(http.MethodPut, byID, `{"inputs":{"a":1}}`).status)
	assert.Equal(t, http.StatusOK, service.ask(http.MethodGet, byID, "").status)
	damage(t)
	assert.Equal(t, http.StatusNoContent, service.ask(http.MethodDelete, byID, "").status)
	assert.Equal(t, http.StatusNotFound, service.ask(http.MethodGet, byID, "").status)
	assert.Equal(t, http.StatusGone, service.ask(http.MethodPut, byID, `{}`).status, "it was ended")
	damage(t)
	assert.Equal(t, http.StatusCreated, service.ask(http.MethodPut, byID+"?revive=true", `{}`).status)
	damage(t)
	assert.Equal(t, http.StatusNoContent, hurt.ask(http.MethodDelete, one.url("/api/session"), "").status)
	assert.Equal(t, http.StatusUnauthorized, hurt.ask(http.MethodGet, one.url("/api/session"), "").status)
}

// What is wrong with a value is nobody's mistake who asks for it: each is the same
// 500, and shows nothing of itself.
func TestRedis_damagedValues(t *testing.T) {
	server := redistest.Start(t)
	one := start(t, instanceOn(t, server))
	who := visit(t, one.url(""), "")
	id, _, _ := strings.Cut(strings.TrimPrefix(who.token, "s:"), ".")
	service := visitor{t: t}
	for _, value := range []string{
		"", "not JSON", "[]", "null", `"text"`, "{}", `{"id":1}`, "\x01\x02", `{"id":"` + id + `"}`,
		`{"id":"another-session-01","createdAt":"2026-11-29T00:00:00.000Z"}`,
		`{"id":"` + id + `","createdAt":"yesterday"}`,
		`{"id":"` + id + `","createdAt":"2026-11-29T00:00:00.000Z","user":{"id":5}}`,
		`{"id":"` + id + `","createdAt":"2026-11-29T00:00:00.000Z","inputs":{"secret":1,"secret":2}}`,
		`{"id":"` + id + `","createdAt":"2026-11-29T00:00:00.000Z","secret":1}`,
		`{"id":"` + id + `","createdAt":"2026-11-29T00:00:00.000Z","inputs":{"a":1e400}}`,
	} {
		require.Equal(t, "OK", server.CLI("SET", "session:"+id, value, "EX", "600"))
		byID := one.url("/api/sessions/" + id)
		for _, got := range []answer{
			who.ask(http.MethodGet, one.url("/api/session"), ""),
			who.ask(http.MethodPut, one.url("/api/session"), `{"inputs":{"a":1}}`),
			who.ask(http.MethodPost, one.url("/api/session/touch"), ""),
			service.ask(http.MethodGet, byID, ""),
			service.ask(http.MethodPatch, byID, `{"inputs":{"a":1}}`),
		} {
			assert.Equal(t, http.StatusInternalServerError, got.status, "%q: %s", value, got.body)
			assert.Contains(t, got.body, `"damaged_session"`)
			assert.NotContains(t, got.body, "secret")
		}
		assert.Equal(t, http.StatusServiceUnavailable, who.ask(http.MethodGet, one.url("/api/session/verify"), "").status, value)
	}
}

// A session that a Node service wrote is one for the API.
func TestRedis_sessionsOfOtherPrograms(t *testing.T) {
	server := redistest.Start(t)
	one := start(t, instanceOn(t, server))
	const id = "node-session-000001"
	server.CLI("SET", "session:"+id, `{ "id": "`+id+`", "createdAt": "2026-11-29T00:00:00.000Z", "user": {"id":"ada"}, "inputs": {"step": 1} }`, "EX", "3600")
	service := visitor{t: t}
	url := one.url("/api/sessions/" + id)
	assert.Contains(t, service.ask(http.MethodGet, url, "").body, `"inputs":{"step":1}`)
	got := service.ask(http.MethodPatch, url, `{"inputs":{"step":2}}`)
	require.Equal(t, http.StatusOK, got.status, got.body)
	assert.Contains(t, got.body, `"revision":2`)
	assert.Contains(t, service.ask(http.MethodGet, one.url("/api/sessions?userId=ada"), "").body, id)
	assert.Contains(t, server.CLI("GET", "session:"+id), `"inputs":{"step":2}`)
}

// Rights that are missing end the start, and are named.
func TestRedis_namesMissingRights(t *testing.T) {
	server := redistest.Start(t)
	for rules, says := range map[string]string{"+@all -eval -evalsha": "+eval +evalsha", "+@read +@connection": "+set"} {
		require.Equal(t, "OK", server.CLI(append([]string{"ACL", "SETUSER", "service", "reset", "on", ">secret", "~*"}, strings.Fields(rules)...)...))
		log, errOut := newLogWatch(), &bytes.Buffer{}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		status := run(ctx, nil, servicetest.Environment(t, "LOG_FORMAT", "json", "REDIS_URL", "redis://service:secret@"+server.Addr(),
			"REDIS_DIAL_TIMEOUT_MS", "15000", "REDIS_TIMEOUT_MS", "15000"), log, errOut)
		cancel()
		require.Equal(t, 1, status, log)
		assert.Contains(t, errOut.String(), says)
		assert.Contains(t, log.String(), says)
	}
}

// Those that are missing at a Redis that comes later are named by readiness.
func TestRedis_readinessNamesMissingRights(t *testing.T) {
	server := redistest.Start(t, redistest.Set("user", "service", "on", ">secret", "~*", "+@all", "-evalsha"))
	server.Stop()
	one := start(t, servicetest.Environment(t, "REDIS_URL", "redis://service:secret@"+server.Addr()))
	server.Restart()
	one.log.wait(t, "redis cannot be used")
	got := do(t, http.MethodGet, one.url("/readyz"), nil, "")
	assert.Equal(t, http.StatusServiceUnavailable, got.status)
	assert.Contains(t, got.body, "+evalsha")
	assert.NotContains(t, got.body, server.Addr())
	require.Equal(t, "OK", server.CLI("ACL", "SETUSER", "service", "+evalsha"))
	one.log.wait(t, "redis is available")
	assert.Equal(t, http.StatusOK, status(t, one.url("/readyz")))
}

// Two deployments whose keys are each other's: the second does not start.
func TestRedis_overlappingDeployments(t *testing.T) {
	server := redistest.Start(t)
	one := start(t, instanceOn(t, server))
	require.Equal(t, http.StatusCreated, visitor{t: t}.ask(http.MethodPost, one.url("/api/sessions?namespace=shop"), `{}`).status)
	log, errOut := newLogWatch(), &bytes.Buffer{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.Equal(t, 1, run(ctx, nil, instanceOn(t, server, "LOG_FORMAT", "json", "REDIS_PREFIX", "session:shop:"), log, errOut), log)
	assert.Contains(t, errOut.String(), "REDIS_PREFIX")
	start(t, instanceOn(t, server)) // another instance of the first

	other := redistest.Start(t)
	start(t, instanceOn(t, other, "REDIS_PREFIX", "session:shop:"))
	two := start(t, instanceOn(t, other))
	refused := visitor{t: t}.ask(http.MethodPost, two.url("/api/sessions?namespace=shop"), `{}`)
	assert.Equal(t, http.StatusServiceUnavailable, refused.status)
	assert.Contains(t, refused.body, "another deployment")
	assert.Equal(t, http.StatusCreated, visitor{t: t}.ask(http.MethodPost, two.url("/api/sessions?namespace=club"), `{}`).status)
}
