package redis_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/redis"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
)

func TestOptionsAreChecked(t *testing.T) {
	good := redis.Options{Server: conn.Server{Addresses: []string{"localhost:6379"}}}
	require.NoError(t, good.Validate())
	for want, change := range map[string]func(*redis.Options){
		"an address is needed":           func(o *redis.Options) { o.Addresses = nil },
		`"localhost" is not host:port`:   func(o *redis.Options) { o.Addresses = []string{"localhost"} },
		"say which":                      func(o *redis.Options) { o.Addresses = []string{"a:1", "b:2"} },
		"not watched by Sentinels":       func(o *redis.Options) { o.Cluster, o.Primary = true, "p" },
		"only database 0":                func(o *redis.Options) { o.Cluster, o.DB = true, 1 },
		"of replicas is not negative":    func(o *redis.Options) { o.WaitReplicas = -1 },
		"longer than the timeout":        func(o *redis.Options) { o.WaitReplicas, o.WaitTimeout = 1, 3*time.Second },
		"number is not negative":         func(o *redis.Options) { o.DB = -1 },
		"a user needs a password":        func(o *redis.Options) { o.Username = "ada" },
		"a prefix is 1 to 64 characters": func(o *redis.Options) { o.Prefix = "{a}" },
		"timeouts are not negative":      func(o *redis.Options) { o.Timeout = -1 },
		"sizes and timeouts":             func(o *redis.Options) { o.Tombstone = -1 },
		"sizes":                          func(o *redis.Options) { o.Events = -1 },
		"a timeout is at most 30s":       func(o *redis.Options) { o.Timeout = time.Minute },
	} {
		opts := good
		change(&opts)
		assert.ErrorContains(t, opts.Validate(), want)
		_, err := redis.Open(t.Context(), opts)
		assert.ErrorContains(t, err, want)
	}
	both := redis.Options{Server: conn.Server{DB: -1}, Prefix: "{"}
	assert.ErrorContains(t, both.Validate(), "prefix")
	assert.ErrorContains(t, both.Validate(), "address", "all at once")
}

// A server that can never be used is found out at once.
func TestOpenFailsForGood(t *testing.T) {
	withPassword := redistest.Start(t, redistest.Password("default", "secret"))
	for name, change := range map[string]func(*redis.Options){
		"no password":    func(*redis.Options) {},
		"wrong password": func(o *redis.Options) { o.Password = "wrong-secret" },
		"unknown user":   func(o *redis.Options) { o.Username, o.Password = "eve", "wrong-secret" },
	} {
		_, err := redis.Open(t.Context(), optionsAt(withPassword.Addr(), change))
		require.Error(t, err, name)
		assert.NotContains(t, err.Error(), "secret")
	}
	open(t, withPassword, func(o *redis.Options) { o.Password = "secret" })

	encrypted := redistest.Start(t, redistest.TLS())
	_, err := redis.Open(t.Context(), optionsAt(encrypted.Addr(), func(o *redis.Options) { o.TLS = &tls.Config{MinVersion: tls.VersionTLS12} }))
	require.ErrorContains(t, err, "certificate")

	node := redistest.Start(t, redistest.Set("cluster-enabled", "yes"))
	_, err = redis.Open(t.Context(), optionsAt(node.Addr(), func(*redis.Options) {}))
	require.ErrorContains(t, err, "cluster")
}

func TestTLSAndUser(t *testing.T) {
	server := redistest.Start(t, redistest.TLS(), redistest.Password("sessions", "secret"))
	for _, cached := range []bool{false, true} {
		exercise(t, open(t, server, func(o *redis.Options) {
			o.TLS, o.Username, o.Password, o.ClientCache = server.TLS(), "sessions", "secret", cached
		}))
	}
	opts, err := redis.ParseURL(server.URL())
	require.NoError(t, err)
	opts.TLS = server.TLS()
	s, err := redis.Open(t.Context(), opts)
	require.NoError(t, err)
	require.NoError(t, s.Ping(t.Context()))
	require.NoError(t, s.Close())
}

func TestDatabasesShareNothing(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server), open(t, server, func(o *redis.Options) { o.DB = 3 })
	now := time.Now()
	create(t, one, now, spec{user: "ada"})
	assert.Empty(t, list(t, other, now, "ada"))
	assert.Equal(t, "5", server.CLI("DBSIZE"), "and that there is a deployment")
}
