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

// What no waiting mends ends the start, and says which setting it is.
func TestRedis_refusesTheSettings(t *testing.T) {
	open, guarded := redistest.Start(t), redistest.Start(t, redistest.Password("service", "right"))
	encrypted, sentinel := redistest.Start(t, redistest.TLS()), redistest.StartSentinel(t)
	for name, tc := range map[string]struct {
		environ []string
		says    string
	}{
		"no password":      {[]string{"REDIS_URL", "redis://" + guarded.Addr()}, "REDIS_PASSWORD"},
		"a wrong password": {[]string{"REDIS_URL", "redis://service:hunter2@" + guarded.Addr()}, "REDIS_PASSWORD"},
		"a wrong user":     {[]string{"REDIS_URL", "redis://somebody:right@" + guarded.Addr()}, "REDIS_USERNAME"},
		"no such database": {[]string{"REDIS_URL", open.URL() + "/99"}, "REDIS_DB"},
		"an unknown name":  {[]string{"REDIS_SENTINELS", sentinel.Addrs()[0], "REDIS_SENTINEL_MASTER", "nobody"}, "REDIS_SENTINEL_MASTER"},
		"not trusted":      {[]string{"REDIS_URL", encrypted.URL()}, "REDIS_TLS_CA_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			log, errOut := newLogWatch(), &bytes.Buffer{}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			require.Equal(t, 1, run(ctx, nil, servicetest.Environment(t, append(tc.environ, "LOG_FORMAT", "json",
				"REDIS_DIAL_TIMEOUT_MS", "15000", "REDIS_TIMEOUT_MS", "15000")...), log, errOut), log)
			assert.Contains(t, errOut.String(), tc.says)
			assert.NotContains(t, errOut.String()+log.String(), "hunter2")
			lines := log.all("redis cannot be used with these settings")
			require.Len(t, lines, 1)
			assert.Contains(t, lines[0]["error"], tc.says)
			assert.Empty(t, log.all("listening"))
		})
	}
}

func TestRedis_withUserAndTLS(t *testing.T) {
	server := redistest.Start(t, redistest.TLS(), redistest.Password("service", "pass,word"))
	host, port, _ := strings.Cut(server.Addr(), ":")
	for name, pairs := range map[string][]string{
		"as one address": {"REDIS_URL", server.URL()},
		"one by one": {
			"REDIS_HOST", host, "REDIS_PORT", port, "REDIS_USERNAME", "service",
			"REDIS_PASSWORD_FILE", servicetest.SecretFile(t, "pass,word\n"), "REDIS_TLS", "true",
		},
	} {
		t.Run(name, func(t *testing.T) {
			one := start(t, servicetest.Environment(t, append(pairs, "REDIS_TLS_CA_FILE", server.CAFile())...))
			visit(t, one.url(""), "").read(one.url(""))
			require.Zero(t, one.end(t), one.errOut)
			assert.NotContains(t, one.log.String()+one.errOut.String(), "pass,word")
		})
	}
}

func TestRedis_warnsOfEviction(t *testing.T) {
	server := redistest.Start(t, redistest.MaxMemory("50mb", "volatile-lru"))
	one := start(t, instanceOn(t, server))
	assert.Equal(t, http.StatusOK, status(t, one.url("/readyz")))
	assert.Contains(t, one.log.String(), "volatile-lru")
	assert.Contains(t, one.log.String(), "noeviction")
}

func TestRedis_settingsReachTheStore(t *testing.T) {
	server := redistest.Start(t)
	one := start(t, servicetest.Environment(t, "REDIS_URL", server.URL(), "REDIS_DB", "2", "REDIS_PREFIX", "app:", "SESSION_COMPRESS_OVER_BYTES", "100"))
	v := visit(t, one.url(""), `{"inputs":{"text":"`+strings.Repeat("x", 1000)+`"}}`)
	id, _, _ := strings.Cut(strings.TrimPrefix(v.token, "s:"), ".")
	assert.Empty(t, server.CLI("GET", "app:"+id), "it is in another database")
	stored := server.CLI("EVAL", "redis.call('SELECT', 2) return redis.call('STRLEN', KEYS[1])", "1", "app:"+id)
	assert.NotEqual(t, "0", stored)
	assert.Less(t, len(stored), 4, "%s bytes: it is compressed", stored)

	warning := one.log.wait(t, "for development only")
	assert.Contains(t, warning["SESSION_SECRET"], "no other instance")
}

func TestRedis_behindSentinels(t *testing.T) {
	sentinel := redistest.StartSentinel(t, redistest.Password("service", "secret"), redistest.SentinelPassword("watcher", "another"))
	one := start(t, servicetest.Environment(t, "REDIS_SENTINELS", strings.Join(sentinel.Addrs(), ","), "REDIS_SENTINEL_MASTER", sentinel.MasterName(),
		"REDIS_USERNAME", "service", "REDIS_PASSWORD", "secret", "REDIS_SENTINEL_USERNAME", "watcher", "REDIS_SENTINEL_PASSWORD", "another"))
	v := visit(t, one.url(""), "")
	v.read(one.url(""))
	require.Equal(t, "2", sentinel.Primary().CLI("WAIT", "2", "5000"), "the replicas have it")
	sentinel.Failover()
	t.Logf("served again %v after the failover", awaitReady(t, v, one))
}

func TestRedis_onACluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	one := start(t, servicetest.Environment(t, "REDIS_CLUSTER", strings.Join(cluster.Addrs()[:2], ",")))
	for range 20 {
		visit(t, one.url(""), `{"inputs":{"step":1}}`).read(one.url(""))
	}
	assert.Contains(t, do(t, http.MethodGet, one.url("/stats"), nil, "").body, `"entryCount":20`)
}
