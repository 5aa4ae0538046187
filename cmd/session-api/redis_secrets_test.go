package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
	"session-api/internal/store/redis/redistest"
)

// A server that asks for certificates is shown one. What is wrong with a handshake
// is said, with the variable that it is about.
func TestRedis_clientCertificates(t *testing.T) {
	server := redistest.Start(t, redistest.TLS(), redistest.Set("tls-auth-clients", "yes"))
	cert, key := server.ClientCertificate()
	plain, other := redistest.Start(t), redistest.Start(t, redistest.TLS())
	otherCert, otherKey := other.ClientCertificate()
	_, port, _ := strings.Cut(other.Addr(), ":")

	one := start(t, servicetest.Environment(t, "REDIS_URL", server.URL(), "REDIS_TLS_CA_FILE", server.CAFile(),
		"REDIS_TLS_CERT_FILE", cert, "REDIS_TLS_KEY_FILE", key))
	visit(t, one.url(""), "").read(one.url(""))

	// The name in the certificate is localhost, and 127.0.0.1.
	named := start(t, servicetest.Environment(t, "REDIS_URL", other.URL(), "REDIS_TLS_CA_FILE", other.CAFile(), "REDIS_TLS_SERVER_NAME", "localhost"))
	visit(t, named.url(""), "").read(named.url(""))

	for name, tc := range map[string]struct {
		environ []string
		says    string
	}{
		"no certificate":       {[]string{"REDIS_URL", server.URL(), "REDIS_TLS_CA_FILE", server.CAFile()}, "REDIS_TLS_CERT_FILE"},
		"another's":            {[]string{"REDIS_URL", server.URL(), "REDIS_TLS_CA_FILE", server.CAFile(), "REDIS_TLS_CERT_FILE", otherCert, "REDIS_TLS_KEY_FILE", otherKey}, "REDIS_TLS_CERT_FILE"},
		"another name":         {[]string{"REDIS_URL", other.URL(), "REDIS_TLS_CA_FILE", other.CAFile(), "REDIS_TLS_SERVER_NAME", "redis.example"}, "REDIS_TLS_SERVER_NAME"},
		"another authority":    {[]string{"REDIS_URL", other.URL(), "REDIS_TLS_CA_FILE", server.CAFile()}, "REDIS_TLS_CA_FILE"},
		"a server with TLS":    {[]string{"REDIS_HOST", "127.0.0.1", "REDIS_PORT", port}, "REDIS_TLS=true"},
		"a server without TLS": {[]string{"REDIS_URL", "rediss://" + plain.Addr()}, "REDIS_TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			// A server that takes long to refuse a handshake, as on a busy machine, is
			// one that is not there yet.
			for tries := 5; ; tries-- {
				log, errOut := newLogWatch(), &bytes.Buffer{}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				status := run(ctx, nil, servicetest.Environment(t, append(tc.environ, "LOG_FORMAT", "json")...), log, errOut)
				cancel()
				if status == 1 && strings.Contains(errOut.String(), tc.says) {
					return
				}
				require.Greater(t, tries, 1, "status %d: %s%s", status, log, errOut)
			}
		})
	}
}

// A certificate that is renewed is taken for the next connection.
func TestRedis_certificatesAreReadAgain(t *testing.T) {
	server, stranger := redistest.Start(t, redistest.TLS(), redistest.Set("tls-auth-clients", "yes")), redistest.Start(t, redistest.TLS())
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	install := func(s *redistest.Server) {
		for i, from := range firstTwo(s.ClientCertificate()) {
			content, err := os.ReadFile(from)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile([]string{cert, key}[i], content, 0o600))
		}
	}
	install(server)
	proxy := redistest.StartProxy(t, server.Addr())
	one := start(t, servicetest.Environment(t, "REDIS_URL", "rediss://"+proxy.Addr(), "REDIS_TLS_CA_FILE", server.CAFile(),
		"REDIS_TLS_CERT_FILE", cert, "REDIS_TLS_KEY_FILE", key))
	v := visit(t, one.url(""), "")
	install(stranger)
	proxy.Cut()
	require.Eventually(t, func() bool { return status(t, one.url("/readyz")) == http.StatusServiceUnavailable }, patience, 10*time.Millisecond)
	install(server)
	t.Logf("served again %v after it was back", awaitReady(t, v, one))
}

func firstTwo(a, b string) []string { return []string{a, b} }

// A password that Redis changes is read from its file for the next connection:
// nobody has to restart anything.
func TestRedis_passwordsAreReadAgain(t *testing.T) {
	server := redistest.Start(t)
	setPassword := func(password string) {
		require.Equal(t, "OK", server.CLI("ACL", "SETUSER", "service", "on", "resetpass", ">"+password, "~*", "+@all"))
	}
	setPassword("first")
	file := servicetest.SecretFile(t, "first\n")
	proxy := redistest.StartProxy(t, server.Addr())
	host, port, err := net.SplitHostPort(proxy.Addr())
	require.NoError(t, err)
	one := start(t, servicetest.Environment(t, "REDIS_HOST", host, "REDIS_PORT", port, "REDIS_USERNAME", "service", "REDIS_PASSWORD_FILE", file))
	v := visit(t, one.url(""), "")

	for range 64 { // of a few connections for reads, each takes one at random
		v.read(one.url(""))
	}
	setPassword("second")
	v.read(one.url("")) // connections that are open stay
	proxy.Cut()
	require.Eventually(t, func() bool { return status(t, one.url("/readyz")) == http.StatusServiceUnavailable }, patience, 10*time.Millisecond)
	assert.Contains(t, do(t, http.MethodGet, one.url("/readyz"), nil, "").body, "another password")
	require.NoError(t, os.WriteFile(file, []byte("second\n"), 0o600))
	t.Logf("served again %v after the file was changed", awaitReady(t, v, one))

	// A file that is away for a moment is one that is being replaced.
	require.NoError(t, os.Remove(file))
	proxy.Cut()
	awaitReady(t, v, one)
	assert.NotContains(t, one.log.String(), "second")
}

func TestRedis_sentinelRefusalsNameTheirVariable(t *testing.T) {
	group := redistest.StartSentinel(t, redistest.Password("service", "secret"), redistest.SentinelPassword("watcher", "another"))
	environ := []string{"REDIS_SENTINELS", strings.Join(group.Addrs(), ","), "REDIS_SENTINEL_MASTER", group.MasterName(), "REDIS_USERNAME", "service"}
	for name, tc := range map[string]struct {
		environ []string
		says    string
		not     string
	}{
		"no password of the Sentinels":    {[]string{"REDIS_PASSWORD", "secret"}, "REDIS_SENTINEL_PASSWORD", "(REDIS_URL"},
		"a wrong one of the Sentinels":    {[]string{"REDIS_PASSWORD", "secret", "REDIS_SENTINEL_USERNAME", "watcher", "REDIS_SENTINEL_PASSWORD", "hunter2"}, "REDIS_SENTINEL_PASSWORD", "(REDIS_URL"},
		"a wrong one of what they watch":  {[]string{"REDIS_PASSWORD", "hunter2", "REDIS_SENTINEL_USERNAME", "watcher", "REDIS_SENTINEL_PASSWORD", "another"}, "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD"},
		"the Sentinels', where that goes": {[]string{"REDIS_PASSWORD", "another", "REDIS_SENTINEL_USERNAME", "watcher", "REDIS_SENTINEL_PASSWORD", "another"}, "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD"},
	} {
		t.Run(name, func(t *testing.T) {
			log, errOut := newLogWatch(), &bytes.Buffer{}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			all := append(append([]string{"LOG_FORMAT", "json", "REDIS_DIAL_TIMEOUT_MS", "15000", "REDIS_TIMEOUT_MS", "15000"}, environ...), tc.environ...)
			require.Equal(t, 1, run(ctx, nil, servicetest.Environment(t, all...), log, errOut), log)
			assert.Contains(t, errOut.String(), tc.says)
			assert.NotContains(t, errOut.String(), tc.not)
			assert.NotContains(t, errOut.String()+log.String(), "hunter2")
		})
	}
}

// The Sentinels' password is read from its file as Redis's is.
func TestRedis_sentinelPasswordsFromFiles(t *testing.T) {
	group := redistest.StartSentinel(t, redistest.Password("service", "secret"), redistest.SentinelPassword("watcher", "another"))
	one := start(t, servicetest.Environment(t, "REDIS_SENTINELS", strings.Join(group.Addrs(), ","), "REDIS_SENTINEL_MASTER", group.MasterName(),
		"REDIS_USERNAME", "service", "REDIS_PASSWORD_FILE", servicetest.SecretFile(t, "secret"),
		"REDIS_SENTINEL_USERNAME", "watcher", "REDIS_SENTINEL_PASSWORD_FILE", servicetest.SecretFile(t, "another")))
	visit(t, one.url(""), "").read(one.url(""))
}
