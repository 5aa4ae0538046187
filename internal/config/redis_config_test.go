package config

import (
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/conn"
)

// authorityFile writes a certificate that some authority might have.
func authorityFile(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	return servicetest.SecretFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
}

func TestRedisConfig_whatSelectsIt(t *testing.T) {
	for _, tc := range []struct {
		environ string
		store   string
	}{
		{"", "memory"},
		{"SESSION_STORE=auto", "memory"},
		{"REDIS_PORT=6380", "memory"},
		{"REDIS_URL=redis://a", "redis"},
		{"REDIS_HOST=a", "redis"},
		{"REDIS_SENTINELS=a:1 REDIS_SENTINEL_MASTER=m", "redis"},
		{"REDIS_CLUSTER=a:1", "redis"},
		{"SESSION_STORE=redis REDIS_HOST=a", "redis"},
		{"SESSION_STORE=memory REDIS_URL=redis://a", "memory"},
		{"SESSION_STORE=memory REDIS_URL=http://somebody-elses REDIS_PASSWORD_FILE=/missing", "memory"},
	} {
		t.Run(tc.environ, func(t *testing.T) {
			c, err := Load(servicetest.Environment(t, pairs(tc.environ)...))
			require.NoError(t, err)
			assert.Equal(t, tc.store, c.Store.Kind)
		})
	}
}

// pairs takes "A=1 B=2" apart.
func pairs(text string) []string {
	var list []string
	for one := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(one, "=")
		list = append(list, name, value)
	}
	return list
}

func TestRedisConfig_options(t *testing.T) {
	usual := redis.Options{
		Server:    conn.Server{Addresses: []string{"a:6379"}, DialTimeout: time.Second, Timeout: 2 * time.Second},
		Tombstone: 5 * time.Minute, Events: 10_000,
		Prefix: "session:", TTL: 24 * time.Hour, MaxDocument: 1 << 20,
	}
	with := func(change func(*redis.Options)) redis.Options {
		o := usual
		change(&o)
		return o
	}
	password, sentinels := servicetest.SecretFile(t, "p,a ss\n"), servicetest.SecretFile(t, "other")
	for _, tc := range []struct {
		environ string
		want    redis.Options
	}{
		{"REDIS_URL=redis://a", usual},
		{"REDIS_HOST=a", usual},
		{"REDIS_HOST=[::1] REDIS_PORT=1", with(func(o *redis.Options) { o.Addresses = []string{"[::1]:1"} })},
		// Kubernetes sets this one for a service that is called redis.
		{"REDIS_HOST=a REDIS_PORT=tcp://10.0.0.1:6379", usual},
		{"REDIS_URL=redis://u:p%23%3F@a:1/3", with(func(o *redis.Options) {
			o.Addresses, o.Username, o.Password, o.DB = []string{"a:1"}, "u", "p#?", 3
		})},
		{"REDIS_URL=redis://:p@a", with(func(o *redis.Options) { o.Password = "p" })},
		{"REDIS_URL=redis://u@a REDIS_DB=4 REDIS_PASSWORD_FILE=" + password, with(func(o *redis.Options) {
			o.Username, o.Password, o.DB = "u", "p,a ss", 4
		})},
		{"REDIS_HOST=a REDIS_USERNAME=u REDIS_PASSWORD=p,q", with(func(o *redis.Options) { o.Username, o.Password = "u", "p,q" })},
		{
			"REDIS_SENTINELS=a:1,b:2 REDIS_SENTINEL_MASTER=m REDIS_SENTINEL_USERNAME=s REDIS_SENTINEL_PASSWORD_FILE=" + sentinels,
			with(func(o *redis.Options) {
				o.Addresses, o.Primary = []string{"a:1", "b:2"}, "m"
				o.SentinelUsername, o.SentinelPassword = "s", "other"
			}),
		},
		{"REDIS_CLUSTER=a:1,[::1]:2", with(func(o *redis.Options) { o.Addresses, o.Cluster = []string{"a:1", "[::1]:2"}, true })},
		{
			"REDIS_HOST=a REDIS_PREFIX=app:s: REDIS_CLIENT_CACHE=true REDIS_DIAL_TIMEOUT_MS=1 REDIS_TIMEOUT_MS=2 SESSION_COMPRESS_OVER_BYTES=10240",
			with(func(o *redis.Options) {
				o.Prefix, o.ClientCache, o.DialTimeout, o.Timeout, o.CompressOver = "app:s:", true, time.Millisecond, 2*time.Millisecond, 10240
			}),
		},
		{
			"REDIS_HOST=a REDIS_WAIT_REPLICAS=1",
			with(func(o *redis.Options) { o.WaitReplicas, o.WaitTimeout = 1, time.Second }),
		},
		{
			"REDIS_HOST=a REDIS_WAIT_REPLICAS=2 REDIS_WAIT_FOR=ends REDIS_WAIT_TIMEOUT_MS=2000",
			with(func(o *redis.Options) { o.WaitReplicas, o.WaitEndsOnly, o.WaitTimeout = 2, true, 2*time.Second }),
		},
	} {
		t.Run(tc.environ, func(t *testing.T) {
			c, err := Load(servicetest.Environment(t, pairs(tc.environ)...))
			require.NoError(t, err)
			got, err := c.RedisOptions()
			require.NoError(t, err)
			assert.NoError(t, got.Validate())
			if got.Passwords != nil {
				one, other := got.Passwords()
				assert.Equal(t, []string{got.Password, got.SentinelPassword}, []string{one, other})
				got.Passwords = nil
			}
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestRedisConfig_TLS(t *testing.T) {
	authority := authorityFile(t)
	for _, tc := range []struct {
		environ  string
		own, tls bool
	}{
		{"REDIS_URL=redis://a", false, false},
		{"REDIS_URL=rediss://a", false, true},
		{"REDIS_URL=rediss://a REDIS_TLS=true REDIS_TLS_CA_FILE=" + authority, true, true},
		{"REDIS_HOST=a REDIS_TLS=true", false, true},
		{"REDIS_CLUSTER=a:1 REDIS_TLS=true REDIS_TLS_CA_FILE=" + authority, true, true},
	} {
		t.Run(tc.environ, func(t *testing.T) {
			c, err := Load(servicetest.Environment(t, pairs(tc.environ)...))
			require.NoError(t, err)
			o, err := c.RedisOptions()
			require.NoError(t, err)
			require.Equal(t, tc.tls, o.TLS != nil)
			if tc.tls {
				assert.Equal(t, tc.own, o.TLS.RootCAs != nil)
				assert.False(t, o.TLS.InsecureSkipVerify)
				assert.Empty(t, o.TLS.ServerName, "each server has its own")
			}
		})
	}
}

func TestRedisConfig_refuses(t *testing.T) {
	const pw = "hunter2"
	password, authority := servicetest.SecretFile(t, pw), authorityFile(t)
	for _, tc := range []struct{ environ, blames, says string }{
		{"SESSION_STORE=redis", "SESSION_STORE", "set one of REDIS_URL, REDIS_HOST"},
		{"REDIS_URL=a:6379", "REDIS_URL", "redis://user:password@host:port/database"},
		{"REDIS_URL=http://u:" + pw + "@a", "REDIS_URL", "redis://user:password@host"},
		{"REDIS_URL=redis://u:" + pw + "%@a", "REDIS_URL", "percent-encoded"},
		{"REDIS_URL=redis://u:" + pw + "#@a", "REDIS_URL", "percent-encoded"},
		{"REDIS_URL=redis://u:1?" + pw + "@a", "REDIS_URL", "%3F"},
		{"REDIS_URL=redis://u:1#" + pw + "@a", "REDIS_URL", "%23"},
		{"REDIS_URL=rediss://u:" + pw + "@a?skip_verify=true", "REDIS_URL", "ends with the database"},
		{"REDIS_URL=redis://:" + pw + "@/1", "REDIS_URL", "names no host"},
		{"REDIS_URL=redis://u:" + pw + "@[::g]:6379", "REDIS_URL", "no IPv6 address"},
		{"REDIS_URL=redis://u:" + pw + "@[10.0.0.1]:6379", "REDIS_URL", "brackets"},
		{"REDIS_URL=redis://u:" + pw + "@[::1:6379", "REDIS_URL", "no IPv6 address"},
		{"REDIS_URL=redis://bücher.example", "REDIS_URL", "xn--"},
		{"REDIS_URL=redis://u:" + pw + "@b%C3%BCcher.example", "REDIS_URL", "xn--"},
		{"REDIS_URL=redis://10.0.0.256", "REDIS_URL", "neither a host name nor an IP address"},
		{"REDIS_URL=redis://*", "REDIS_URL", "neither a host name nor an IP address"},
		{"REDIS_HOST=10.0.0.256", "REDIS_HOST", "neither an IP address nor a host name"},
		{"REDIS_HOST=bücher.example", "REDIS_HOST", "neither an IP address nor a host name"},
		{"REDIS_CLUSTER=10.0.0:6379", "REDIS_CLUSTER", "names no host"},
		{"REDIS_URL=redis://a:0", "REDIS_URL", "port is not between 1 and 65535"},
		{"REDIS_URL=redis://a/" + pw, "REDIS_URL", "not the number of a database"},
		{"REDIS_URL=redis://a REDIS_HOST=b", "REDIS_URL", "one of REDIS_URL and REDIS_HOST is enough"},
		{"REDIS_HOST=b REDIS_CLUSTER=a:1", "REDIS_HOST", "one of REDIS_HOST and REDIS_CLUSTER is enough"},
		{"REDIS_SENTINELS=a:1 REDIS_SENTINEL_MASTER=m REDIS_CLUSTER=a:1", "REDIS_SENTINELS", "a Cluster is not watched"},
		{"REDIS_URL=redis://u:p@a REDIS_USERNAME=v", "REDIS_URL", "REDIS_USERNAME: set one"},
		{"REDIS_URL=redis://u:p@a REDIS_PASSWORD=" + pw, "REDIS_URL", "REDIS_PASSWORD: set one"},
		{"REDIS_URL=redis://u@a", "REDIS_URL", "needs a password"},
		{"REDIS_URL=redis://a/1 REDIS_DB=2", "REDIS_URL", "REDIS_DB: set one"},
		{"REDIS_URL=redis://a REDIS_TLS=true", "REDIS_URL", "rediss://"},
		{"REDIS_HOST=a:6379", "REDIS_HOST", "the port goes into REDIS_PORT"},
		{"REDIS_HOST=redis://u:" + pw + "@a", "REDIS_HOST", "user and password go into"},
		{"REDIS_HOST=a REDIS_PORT=x", "REDIS_PORT", "not a whole number"},
		{"REDIS_HOST=a REDIS_PORT=0", "REDIS_PORT", "not between 1 and 65535"},
		{"REDIS_HOST=a REDIS_USERNAME=u", "REDIS_USERNAME", "set REDIS_PASSWORD"},
		{"REDIS_HOST=a REDIS_PASSWORD=p REDIS_PASSWORD_FILE=" + password, "REDIS_PASSWORD_FILE", "not both"},
		{"REDIS_HOST=a REDIS_PASSWORD_FILE=/missing/" + pw, "REDIS_PASSWORD_FILE", "no such file"},
		{"REDIS_HOST=a REDIS_PASSWORD_FILE=" + servicetest.SecretFile(t, "\n"), "REDIS_PASSWORD_FILE", "empty"},
		{"REDIS_HOST=a REDIS_PASSWORD_FILE=" + servicetest.SecretFile(t, pw+"\n"+pw), "REDIS_PASSWORD_FILE", "more than one line"},
		{"REDIS_HOST=a REDIS_DB=-1", "REDIS_DB", "-1 is not between"},
		{"REDIS_HOST=a REDIS_TLS_CA_FILE=" + authority, "REDIS_TLS_CA_FILE", "set REDIS_TLS=true"},
		{"REDIS_HOST=a REDIS_TLS=true REDIS_TLS_CA_FILE=/missing", "REDIS_TLS_CA_FILE", "no such file"},
		{"REDIS_HOST=a REDIS_TLS=true REDIS_TLS_CA_FILE=" + password, "REDIS_TLS_CA_FILE", "no certificate"},
		{"REDIS_HOST=a REDIS_TLS_CERT_FILE=" + authority + " REDIS_TLS_KEY_FILE=" + authority, "REDIS_TLS_CERT_FILE", "set REDIS_TLS=true"},
		{"REDIS_HOST=a REDIS_TLS=true REDIS_TLS_CERT_FILE=" + authority, "REDIS_TLS_CERT_FILE", "set REDIS_TLS_KEY_FILE"},
		{"REDIS_HOST=a REDIS_TLS=true REDIS_TLS_KEY_FILE=" + authority, "REDIS_TLS_CERT_FILE", "belongs to a certificate"},
		{"REDIS_HOST=a REDIS_TLS=true REDIS_TLS_CERT_FILE=" + authority + " REDIS_TLS_KEY_FILE=" + authority, "REDIS_TLS_CERT_FILE", "do not make a pair"},
		{"REDIS_HOST=a REDIS_TLS=true REDIS_TLS_CERT_FILE=/missing REDIS_TLS_KEY_FILE=" + authority, "REDIS_TLS_CERT_FILE", "no such file"},
		{"REDIS_HOST=a REDIS_TLS_SERVER_NAME=a.b", "REDIS_TLS_SERVER_NAME", "set REDIS_TLS=true"},
		{"REDIS_HOST=a REDIS_TLS=true REDIS_TLS_SERVER_NAME=a:1", "REDIS_TLS_SERVER_NAME", "no host name"},
		{"REDIS_SENTINELS=a:1", "REDIS_SENTINEL_MASTER", "required"},
		{"REDIS_HOST=a REDIS_SENTINEL_MASTER=m", "REDIS_SENTINEL_MASTER", "REDIS_SENTINELS has to say"},
		{"REDIS_SENTINELS=a REDIS_SENTINEL_MASTER=m", "REDIS_SENTINELS", `"a" is not host:port`},
		{"REDIS_SENTINELS=a:1,u:" + pw + "@b:2 REDIS_SENTINEL_MASTER=m", "REDIS_SENTINELS", "settings of their own"},
		{"REDIS_SENTINELS=a:1 REDIS_SENTINEL_MASTER=m REDIS_SENTINEL_USERNAME=u", "REDIS_SENTINEL_USERNAME", "set REDIS_SENTINEL_PASSWORD"},
		{"REDIS_CLUSTER=a:1,b:99999", "REDIS_CLUSTER", "its port is not between"},
		{"REDIS_CLUSTER=a:1,:2", "REDIS_CLUSTER", "names no host"},
		{"REDIS_CLUSTER=a:1 REDIS_DB=1", "REDIS_DB", "only database 0"},
		{"REDIS_HOST=a REDIS_PREFIX={x}", "REDIS_PREFIX", "1 to 64 characters"},
		{"REDIS_HOST=a REDIS_TIMEOUT_MS=0", "REDIS_TIMEOUT_MS", "0 is not between 1"},
		{"REDIS_HOST=a REDIS_WAIT_REPLICAS=-1", "REDIS_WAIT_REPLICAS", "-1 is not between 0"},
		{"REDIS_HOST=a REDIS_WAIT_REPLICAS=1 REDIS_WAIT_FOR=reads", "REDIS_WAIT_FOR", "not one of writes, ends"},
		{"REDIS_HOST=a REDIS_WAIT_FOR=ends", "REDIS_WAIT_FOR", "set REDIS_WAIT_REPLICAS"},
		{"REDIS_HOST=a REDIS_WAIT_REPLICAS=1 REDIS_TIMEOUT_MS=500", "REDIS_WAIT_TIMEOUT_MS", "cannot exceed REDIS_TIMEOUT_MS, 500"},
		{"REDIS_HOST=a SESSION_COMPRESS_OVER_BYTES=-1", "SESSION_COMPRESS_OVER_BYTES", "-1 is not between 0"},
	} {
		t.Run(tc.environ, func(t *testing.T) {
			_, err := Load(servicetest.Environment(t, pairs(tc.environ)...))
			var found Problems
			require.ErrorAs(t, err, &found)
			require.Len(t, found, 1, "%v", found)
			assert.Equal(t, tc.blames, found[0].Name)
			assert.Contains(t, found[0].Text, tc.says)
			assert.NotContains(t, err.Error(), pw)
		})
	}
}

func TestRedisConfig_namesEverythingAtOnce(t *testing.T) {
	_, err := Load(servicetest.Environment(t, pairs("REDIS_URL=ftp://a REDIS_TLS_CA_FILE=/missing REDIS_SENTINEL_MASTER=m "+
		"REDIS_PREFIX=* REDIS_TIMEOUT_MS=x LOG_LEVEL=loud REDIS_PASSWORD_FILE=/missing")...))
	var found Problems
	require.ErrorAs(t, err, &found)
	var names []string
	for _, one := range found {
		names = append(names, one.Name)
	}
	assert.Equal(t, []string{
		"REDIS_URL", "REDIS_PASSWORD_FILE", "REDIS_TLS_CA_FILE", "REDIS_SENTINEL_MASTER", "REDIS_PREFIX", "REDIS_TIMEOUT_MS", "LOG_LEVEL",
	}, names)
}

func TestRedisConfig_showsNoPassword(t *testing.T) {
	const pw = "hunter2"
	for _, environ := range []string{
		"REDIS_URL=redis://user:" + pw + "@a/1",
		"REDIS_HOST=a REDIS_PASSWORD=" + pw,
		"REDIS_SENTINELS=a:1 REDIS_SENTINEL_MASTER=m REDIS_SENTINEL_PASSWORD=" + pw + " REDIS_PASSWORD_FILE=" + servicetest.SecretFile(t, pw),
	} {
		c, err := Load(servicetest.Environment(t, pairs(environ)...))
		require.NoError(t, err)
		assert.Contains(t, c.Print(), "=***\n")
		assert.Contains(t, c.Print(), "SESSION_STORE=redis\n")
		assert.NotContains(t, c.Print(), pw)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v %x", c, c, c, c.Redis.Password), pw)
	}
}

// A reload is about Redis's passwords, too, where Redis is used.
func TestRedisConfig_reload(t *testing.T) {
	file, password := servicetest.SecretFile(t, servicetest.SessionSecret), filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(password, []byte("p"), 0o600))
	c, err := Load(servicetest.Environment(t, "SESSION_SECRET_FILE", file, "REDIS_HOST", "a", "REDIS_PASSWORD_FILE", password))
	require.NoError(t, err)
	fresh, read, err := c.RereadSecrets()
	require.NoError(t, err)
	assert.Equal(t, []string{"SESSION_SECRET_FILE", "REDIS_PASSWORD_FILE"}, read)
	assert.Equal(t, c, fresh)

	require.NoError(t, os.WriteFile(password, []byte("q"), 0o600))
	fresh, _, err = c.RereadSecrets()
	require.NoError(t, err)
	assert.Equal(t, secret("q"), fresh.Redis.Password)
	require.NoError(t, os.Remove(password))
	_, _, err = c.RereadSecrets()
	require.ErrorContains(t, err, "REDIS_PASSWORD_FILE")

	c, err = Load(servicetest.Environment(t, "SESSION_SECRET_FILE", file, "REDIS_PASSWORD_FILE", password))
	require.NoError(t, err)
	_, read, err = c.RereadSecrets()
	require.NoError(t, err)
	assert.Equal(t, []string{"SESSION_SECRET_FILE"}, read)
}
