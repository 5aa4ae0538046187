package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/config"
	"session-api/internal/store/memory"
)

// FuzzConfig reads environments of any content: lines of the form KEY=value.
// None makes it panic, none makes it show a secret. A valid one is one that the
// service can be made of, and what it prints says the same when it is read
// again.
func FuzzConfig(f *testing.F) {
	f.Setenv("TMPDIR", f.TempDir())
	f.Add("PORT=0\nAPP_ENV=production\nSESSION_SECRET=x\nSERVICE_TOKENS=y")
	f.Add("COOKIE_NAME=__Host-a\nCOOKIE_DOMAIN=.\nCOOKIE_SAMESITE=none")
	f.Add("SESSION_ROLE_TTL_MS=a:1,b:2\nTRUSTED_PROXIES=::1,10.0.0.0/8\nALLOWED_ORIGINS=https://a.example")
	f.Add("ALLOWED_ORIGINS=http://[::1]:3000,https://b.example:8443,http://localhost\nCREATE_RATE_PER_MINUTE=1\nAPP_ENV=PRODUCTION\nSESSION_SECRET=x\nSERVICE_TOKENS=y,z")
	f.Add("COOKIE_DOMAIN=a.example\nCOOKIE_SECURE=true\nCOOKIE_SAMESITE=None\nCOOKIE_PARTITIONED=1\nSHUTDOWN_TIMEOUT_MS=1")
	f.Add("SESSION_TTL=1\nSESSION_TTL_MS=99999999999999999999\nACCESS_LOG=sample:3")
	f.Add("REDIS_URL=rediss://host:1/2\nREDIS_PREFIX=a:\nREDIS_CLIENT_CACHE=1")
	f.Add("REDIS_HOST=[::1]\nREDIS_PORT=tcp://10.0.0.1:6379\nREDIS_USERNAME=u\nREDIS_PASSWORD=p,q\nREDIS_DB=3\nREDIS_TLS=1")
	f.Add("REDIS_SENTINELS=a:1,b:2\nREDIS_SENTINEL_MASTER=m\nREDIS_SENTINEL_USERNAME=u\nREDIS_SENTINEL_PASSWORD_FILE=/dev/null")
	f.Add("REDIS_CLUSTER=a:1,u:p@b:2\nSESSION_STORE=redis\nREDIS_URL=redis://u:p?x#y@h\nREDIS_TLS_CA_FILE=/dev/null")
	f.Add("ANALYSIS_TMP_DIR=/\nHOST=::%eth0\nSESSION_SECRET_FILE=/dev/zero")
	const canary, fileCanary = "canary-that-no-other-variable-holds", "canary-that-no-other-path-holds"
	f.Fuzz(func(t *testing.T, lines string) {
		environ := make(map[string]string)
		for line := range strings.Lines(lines) {
			if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
				environ[key] = value
			}
		}
		for _, name := range []string{"SESSION_SECRET", "SERVICE_TOKENS", "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD"} {
			if environ[name] != "" {
				environ[name] = canary + environ[name] + canary
			}
			if environ[name+"_FILE"] != "" { // perhaps the secret, put in the wrong place
				environ[name+"_FILE"] = fileCanary + environ[name+"_FILE"]
			}
		}
		if scheme, rest, ok := strings.Cut(environ["REDIS_URL"], "//"); ok {
			environ["REDIS_URL"] = scheme + "//" + canary + ":" + canary + "@" + rest
		}
		var out, errOut bytes.Buffer
		status := run(t.Context(), []string{"config"}, environ, &out, &errOut)
		shown := out.String() + errOut.String()
		assert.NotContains(t, shown, canary)
		assert.NotContains(t, shown, fileCanary)

		c, err := config.Load(environ)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v %v", c, c, c, err), canary)
		if status != 0 {
			require.Error(t, err)
			assert.Empty(t, out.String())
			return
		}
		require.NoError(t, err)
		_, err = newService(c, memory.New(memory.Options{Policy: memory.LRU}), slog.New(slog.DiscardHandler), nil)
		require.NoError(t, err)
		if c.OnRedis() {
			options, err := c.RedisOptions()
			require.NoError(t, err)
			require.NoError(t, options.Validate())
		}
		if strings.Contains(shown, `"`) {
			return // quoted for the eye
		}
		again := make(map[string]string)
		for line := range strings.Lines(out.String()) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			again[key] = value
		}
		for _, name := range []string{"SESSION_SECRET", "SERVICE_TOKENS", "REDIS_URL", "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD"} {
			again[name] = environ[name]
		}
		second, err := config.Load(again)
		require.NoError(t, err)
		assert.Equal(t, c, second)
	})
}
