package config

import (
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"session-api/internal/api"
	"session-api/internal/servicetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfig_nothingSet(t *testing.T) {
	c, err := Load(map[string]string{})
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:8080", c.Address())
	assert.False(t, c.secure())
	assert.Equal(t, "text", c.Log.Format)
	assert.Equal(t, 24*time.Hour, c.Sessions.TTL)
	assert.Equal(t, 30*24*time.Hour, c.Sessions.MaxTTL)
	assert.True(t, c.Sessions.TouchOnAccess)
	assert.Equal(t, 1<<20, c.Documents.MaxBytes)
	assert.Equal(t, filepath.Join(os.TempDir(), "validator-analysis"), c.Files.Dir)
}

func TestConfig_production(t *testing.T) {
	c, err := Load(servicetest.Production(t, "PORT", "80"))
	require.NoError(t, err)
	assert.Equal(t, "0.0.0.0:80", c.Address())
	assert.True(t, c.secure())
	assert.Equal(t, "json", c.Log.Format)
	assert.Equal(t, 30*24*time.Hour, c.Sessions.AbsoluteTTL)
	for value, want := range map[string]time.Duration{"0": 0, "60000": time.Minute, " ": 30 * 24 * time.Hour} {
		c, err = Load(servicetest.Production(t, "SESSION_ABSOLUTE_TTL_MS", value))
		require.NoError(t, err)
		assert.Equal(t, want, c.Sessions.AbsoluteTTL, "%q", value)
	}
	c, err = Load(map[string]string{})
	require.NoError(t, err)
	assert.Zero(t, c.Sessions.AbsoluteTTL, "in development")
}

func TestConfig_cookiePrefix(t *testing.T) {
	for _, tc := range []struct {
		environ []string
		want    string
	}{
		{nil, "__Host-validator_session_id"},
		{[]string{"COOKIE_NAME", "__session"}, "__Host-__session"},
		{[]string{"COOKIE_DOMAIN", "shop.example"}, "__Secure-validator_session_id"},
		{[]string{"COOKIE_NAME", "__Host-sid"}, "__Host-sid"},
		{[]string{"COOKIE_NAME", "__secure-sid"}, "__secure-sid"},
		{[]string{"COOKIE_PREFIX", "none"}, "validator_session_id"},
		{[]string{"COOKIE_PREFIX", "Secure"}, "__Secure-validator_session_id"},
		{[]string{"COOKIE_PREFIX", "host", "COOKIE_SAMESITE", "none", "COOKIE_PARTITIONED", "true"}, "__Host-validator_session_id"},
		{[]string{"APP_ENV", "development"}, "validator_session_id"},
		{[]string{"APP_ENV", "development", "COOKIE_SECURE", "true"}, "validator_session_id"},
		{[]string{"APP_ENV", "development", "COOKIE_SECURE", "true", "COOKIE_PREFIX", "host"}, "__Host-validator_session_id"},
	} {
		c, err := Load(servicetest.Production(t, tc.environ...))
		require.NoError(t, err, tc.environ)
		assert.Equal(t, tc.want, c.BrowserCookieName(), tc.environ)
	}
	for want, environ := range map[string][]string{
		"COOKIE_PREFIX: the prefix __Host- rules out COOKIE_DOMAIN": {"COOKIE_PREFIX", "host", "COOKIE_DOMAIN", "shop.example"},
		"COOKIE_PREFIX: the prefix __Secure- needs a Secure cookie": {"APP_ENV", "development", "COOKIE_PREFIX", "secure"},
		"COOKIE_PREFIX: COOKIE_NAME has a prefix of its own":        {"COOKIE_PREFIX", "host", "COOKIE_NAME", "__Secure-sid"},
		`COOKIE_PREFIX: "lax" is not one of`:                        {"COOKIE_PREFIX", "lax"},
	} {
		_, err := Load(servicetest.Production(t, environ...))
		require.ErrorContains(t, err, want)
	}
}

func TestConfig_allowedHosts(t *testing.T) {
	c, err := Load(servicetest.Production(t, "ALLOWED_HOSTS", "App.Example, *.shop.example,10.0.0.7, [2001:db8::1],2001:db8::2,session-api"))
	require.NoError(t, err)
	assert.Equal(t, []string{"App.Example", "*.shop.example", "10.0.0.7", "2001:db8::1", "2001:db8::2", "session-api"}, c.Clients.hosts())
	for host, want := range map[string]string{
		"*": "DNS rebinding", "https://app.example": "scheme", "app.example/x": "path", "app.example:443": `write "app.example"`,
		"a b": "neither", "*.*.example": "neither", "a.*": "neither", "bücher.example": "neither", "*.": "neither", "300.1.1.1": "neither",
	} {
		_, err := Load(servicetest.Production(t, "ALLOWED_HOSTS", "app.example,"+host))
		require.ErrorContains(t, err, "ALLOWED_HOSTS: ", host)
		require.ErrorContains(t, err, want, host)
	}
}

func TestConfig_emptyCountsAsNotSet(t *testing.T) {
	environ := make(map[string]string)
	for _, s := range settings() {
		environ[s.name] = " "
	}
	given, err := Load(environ)
	require.NoError(t, err)
	want, err := Load(map[string]string{})
	require.NoError(t, err)
	assert.Equal(t, want, given)
}

func TestConfig_values(t *testing.T) {
	c, err := Load(servicetest.Production(t,
		"HOST", "[::1]",
		"ALLOWED_ORIGINS", "https://app.example, http://localhost:4200,",
		"TRUSTED_PROXIES", "10.1.2.3/8, 192.0.2.1,2001:db8::/32,::ffff:192.0.2.2",
		"SESSION_SECRET", servicetest.SessionSecret+" , "+servicetest.OtherSecret,
		"SESSION_ROLE_TTL_MS", "admin:900000, team:a:3600000",
		"SESSION_FORBIDDEN_KEYS", "apiKey,password",
		"LOG_LEVEL", " WARN ",
		"SESSION_AUTO_CREATE", "1",
		"COOKIE_NAME", "__Host-sid",
		"COOKIE_SAMESITE", "None",
		"COOKIE_PERSISTENT", "false",
		"CLEAR_SITE_DATA", "cache, executionContexts,*",
		"SESSION_RECORD_CLIENT", "FULL",
		"SESSION_RECORD_IP", "whole",
		"SESSION_REMEMBER_TTL_MS", "1209600000",
	))
	require.NoError(t, err)
	assert.Equal(t, `"cache", "executionContexts", "*"`, c.API().ClearSiteData)
	assert.Equal(t, api.ClientRecord{Agent: true, IP: true, WholeIP: true}, c.API().Client)
	assert.True(t, c.API().Cookie.Transient)
	assert.Equal(t, 14*24*time.Hour, c.Sessions.Lifetimes().Remember)
	assert.Equal(t, "[::1]:0", c.Address())
	assert.Equal(t, []string{"https://app.example", "http://localhost:4200"}, c.Clients.AllowedOrigins)
	assert.Equal(t, []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"),
		netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("192.0.2.2/32"),
	}, c.Clients.TrustedProxies)
	assert.Equal(t, secrets{servicetest.SessionSecret, servicetest.OtherSecret}, c.Secrets.Session)
	assert.Equal(t, map[string]time.Duration{"admin": 15 * time.Minute, "team:a": time.Hour}, c.Sessions.RoleTTL)
	assert.Equal(t, []string{"apiKey", "password"}, c.Documents.ForbiddenKeys)
	assert.Equal(t, slog.LevelWarn, c.Log.Level)
	assert.True(t, c.Sessions.AutoCreate)
	assert.Equal(t, http.SameSiteNoneMode, c.Cookie.SameSite)
}

func TestConfig_refuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	repository := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(repository, ".git"), 0o700))

	for _, tc := range []struct {
		name    string
		environ []string
		blames  string
		says    string
	}{
		{"unknown environment", []string{"APP_ENV", "prod"}, "APP_ENV", `"prod" is not one of development, production`},
		{"port no number", []string{"PORT", "http"}, "PORT", "not a whole number"},
		{"port with fraction", []string{"PORT", "80.5"}, "PORT", "not a whole number"},
		{"port negative", []string{"PORT", "-1"}, "PORT", "-1 is not between 0 and 65535"},
		{"port too high", []string{"PORT", "65536"}, "PORT", "not between 0 and 65535"},
		{"port far too high", []string{"PORT", strings.Repeat("9", 30)}, "PORT", "too far"},
		{"host with port", []string{"HOST", "localhost:80"}, "HOST", "the port goes into PORT"},
		{"host a URL", []string{"HOST", "http://localhost"}, "HOST", "neither an IP address nor a host name"},

		{"origin wildcard", []string{"ALLOWED_ORIGINS", "*"}, "ALLOWED_ORIGINS", "wildcards are not allowed"},
		{"origin wildcard host", []string{"ALLOWED_ORIGINS", "https://*.example.com"}, "ALLOWED_ORIGINS", "wildcards"},
		{"origin null", []string{"ALLOWED_ORIGINS", "https://a.example,null"}, "ALLOWED_ORIGINS", "null"},
		{"origin with path", []string{"ALLOWED_ORIGINS", "https://a.example/app"}, "ALLOWED_ORIGINS", `browsers send this origin as "https://a.example"`},
		{"origin with slash", []string{"ALLOWED_ORIGINS", "https://a.example/"}, "ALLOWED_ORIGINS", `"https://a.example"`},
		{"origin with query", []string{"ALLOWED_ORIGINS", "https://a.example?x"}, "ALLOWED_ORIGINS", "not an origin"},
		{"origin with user", []string{"ALLOWED_ORIGINS", "https://me@a.example"}, "ALLOWED_ORIGINS", "not an origin"},
		{"origin without scheme", []string{"ALLOWED_ORIGINS", "a.example"}, "ALLOWED_ORIGINS", "not an origin"},
		{"origin of other scheme", []string{"ALLOWED_ORIGINS", "ftp://a.example"}, "ALLOWED_ORIGINS", "http or https"},
		{"origin in capitals", []string{"ALLOWED_ORIGINS", "https://A.example"}, "ALLOWED_ORIGINS", `"https://a.example"`},
		{"origin with default port", []string{"ALLOWED_ORIGINS", "https://a.example:443"}, "ALLOWED_ORIGINS", `"https://a.example"`},

		{"headers wildcard", []string{"CORS_ALLOWED_HEADERS", "*"}, "CORS_ALLOWED_HEADERS", "wildcards are not allowed"},
		{"headers no token", []string{"CORS_ALLOWED_HEADERS", "X-A,X B"}, "CORS_ALLOWED_HEADERS", `"X B" is no name of a header`},
		{"headers of browsers", []string{"CORS_ALLOWED_HEADERS", "X-A,Cookie"}, "CORS_ALLOWED_HEADERS", "pages cannot send it"},
		{"client IP header", []string{"CLIENT_IP_HEADER", "x-real-ip"}, "CLIENT_IP_HEADER", "not one of auto, x-forwarded-for, forwarded"},
		{"proxy no address", []string{"TRUSTED_PROXIES", "gateway"}, "TRUSTED_PROXIES", "neither an IP address nor a network"},
		{"proxy everybody", []string{"TRUSTED_PROXIES", "0.0.0.0/0"}, "TRUSTED_PROXIES", "every client"},
		{"proxy everybody v6", []string{"TRUSTED_PROXIES", "::/0"}, "TRUSTED_PROXIES", "every client"},
		{"rate negative", []string{"CREATE_RATE_PER_MINUTE", "-1"}, "CREATE_RATE_PER_MINUTE", "-1 is not between"},

		{"timeout zero", []string{"READ_HEADER_TIMEOUT_MS", "0"}, "READ_HEADER_TIMEOUT_MS", "0 is not between 1 and"},
		{"timeout with unit", []string{"READ_TIMEOUT_MS", "15s"}, "READ_TIMEOUT_MS", "not a whole number"},
		{"timeout negative", []string{"WRITE_TIMEOUT_MS", "-5"}, "WRITE_TIMEOUT_MS", "-5 is negative"},
		{"shutdown too long", []string{"SHUTDOWN_DELAY_MS", "10000"}, "SHUTDOWN_TIMEOUT_MS", "at most 29000"},

		{"TTL zero", []string{"SESSION_TTL_MS", "0"}, "SESSION_TTL_MS", "0 is not between 1 and"},
		{"TTL over the most", []string{"SESSION_TTL_MS", "2592000001"}, "SESSION_TTL_MS", "more than SESSION_MAX_TTL_MS (2592000000)"},
		{"TTL that overflows", []string{"SESSION_MAX_TTL_MS", "9223372036854775807"}, "SESSION_MAX_TTL_MS", "hundred years"},
		{"role without TTL", []string{"SESSION_ROLE_TTL_MS", "admin"}, "SESSION_ROLE_TTL_MS", "role:milliseconds"},
		{"role without name", []string{"SESSION_ROLE_TTL_MS", ":5"}, "SESSION_ROLE_TTL_MS", "role:milliseconds"},
		{"role twice", []string{"SESSION_ROLE_TTL_MS", "a:5,a:6"}, "SESSION_ROLE_TTL_MS", "named twice"},
		{"role TTL zero", []string{"SESSION_ROLE_TTL_MS", "a:0"}, "SESSION_ROLE_TTL_MS", "at least 1"},
		{"role TTL no number", []string{"SESSION_ROLE_TTL_MS", "a:1h"}, "SESSION_ROLE_TTL_MS", "not a whole number"},
		{"role TTL over the most", []string{"SESSION_ROLE_TTL_MS", "a:2592000001"}, "SESSION_ROLE_TTL_MS", "more than SESSION_MAX_TTL_MS"},
		{"remember TTL over the most", []string{"SESSION_REMEMBER_TTL_MS", "2592000001"}, "SESSION_REMEMBER_TTL_MS", "more than SESSION_MAX_TTL_MS"},
		{"record of clients", []string{"SESSION_RECORD_CLIENT", "all"}, "SESSION_RECORD_CLIENT", "off, agent, full"},
		{"record of addresses", []string{"SESSION_RECORD_IP", "none"}, "SESSION_RECORD_IP", "cut, whole"},
		{"bool", []string{"SESSION_TOUCH_ON_ACCESS", "maybe"}, "SESSION_TOUCH_ON_ACCESS", "neither true nor false"},
		{"size too small", []string{"SESSION_MAX_BYTES", "1023"}, "SESSION_MAX_BYTES", "not between 1024 and 67108864"},
		{"size too large", []string{"SESSION_MAX_BYTES", "67108865"}, "SESSION_MAX_BYTES", "not between 1024 and 67108864"},
		{"sanitising", []string{"SANITIZE_INPUTS", "all"}, "SANITIZE_INPUTS", "controls, html, off"},

		{"store", []string{"SESSION_STORE", "etcd"}, "SESSION_STORE", "memory"},
		{"policy", []string{"SESSION_EVICTION_POLICY", "random"}, "SESSION_EVICTION_POLICY", "lru, ttl, none"},
		{"no entries", []string{"SESSION_MAX_ENTRIES", "0"}, "SESSION_MAX_ENTRIES", "0 is not between 1"},
		{"memory for nothing", []string{"SESSION_MAX_MEMORY_BYTES", "1048576"}, "SESSION_MAX_MEMORY_BYTES", "would not fit"},
		{"sweep never", []string{"SESSION_SWEEP_INTERVAL_MS", "0"}, "SESSION_SWEEP_INTERVAL_MS", "0 is not between 1"},

		{"cookie name", []string{"COOKIE_NAME", "a b"}, "COOKIE_NAME", "no cookie name"},
		{"__Host- without Secure", []string{"COOKIE_NAME", "__Host-a"}, "COOKIE_NAME", "COOKIE_SECURE=true"},
		{"__Secure- without Secure", []string{"COOKIE_NAME", "__secure-a"}, "COOKIE_NAME", "COOKIE_SECURE=true"},
		{"__Host- with a domain", []string{"COOKIE_NAME", "__Host-a", "COOKIE_SECURE", "true", "COOKIE_DOMAIN", "a.example"}, "COOKIE_NAME", "COOKIE_DOMAIN"},
		{"cookie domain", []string{"COOKIE_DOMAIN", "https://a.example"}, "COOKIE_DOMAIN", "no domain name"},
		{"SameSite unknown", []string{"COOKIE_SAMESITE", "medium"}, "COOKIE_SAMESITE", "lax, strict, none"},
		{"SameSite=None without Secure", []string{"COOKIE_SAMESITE", "none"}, "COOKIE_SAMESITE", "COOKIE_SECURE=true"},
		{"Partitioned without Secure", []string{"COOKIE_PARTITIONED", "true"}, "COOKIE_PARTITIONED", "COOKIE_SECURE=true"},
		{"Persistent unknown", []string{"COOKIE_PERSISTENT", "sometimes"}, "COOKIE_PERSISTENT", "neither true nor false"},
		{"site data unknown", []string{"CLEAR_SITE_DATA", "cache,history"}, "CLEAR_SITE_DATA", `"history" is not one of cache, cookies`},
		{"site data in quotes", []string{"CLEAR_SITE_DATA", `"cache"`}, "CLEAR_SITE_DATA", "is written cache"},
		{"site data in lower case", []string{"CLEAR_SITE_DATA", "executioncontexts"}, "CLEAR_SITE_DATA", "is written executionContexts"},
		{"Secure unknown", []string{"COOKIE_SECURE", "perhaps"}, "COOKIE_SECURE", "auto, true, false"},

		{"directory relative", []string{"ANALYSIS_TMP_DIR", "files"}, "ANALYSIS_TMP_DIR", "not an absolute path"},
		{"directory missing", []string{"ANALYSIS_TMP_DIR", filepath.Join(repository, "missing")}, "ANALYSIS_TMP_DIR", "does not exist"},
		{"directory a file", []string{"ANALYSIS_TMP_DIR", file}, "ANALYSIS_TMP_DIR", "not a directory"},
		{"directory the root", []string{"ANALYSIS_TMP_DIR", "/"}, "ANALYSIS_TMP_DIR", "system directory"},
		{"directory a repository", []string{"ANALYSIS_TMP_DIR", repository}, "ANALYSIS_TMP_DIR", ".git"},
		{"files' TTL zero", []string{"FILE_TTL_MS", "0"}, "FILE_TTL_MS", "0 is not between 1"},
		{"files' TTL within the grace", []string{"FILE_TTL_MS", "599999"}, "FILE_TTL_MS", "less than FILE_GRACE_MS"},

		{"access log", []string{"ACCESS_LOG", "none"}, "ACCESS_LOG", "all, errors or sample:N"},
		{"access log sample of nothing", []string{"ACCESS_LOG", "sample:0"}, "ACCESS_LOG", "sample:N"},
		{"log level", []string{"LOG_LEVEL", "loud"}, "LOG_LEVEL", "debug, info, warn, error"},
		{"log format", []string{"LOG_FORMAT", "xml"}, "LOG_FORMAT", "auto, json, text"},

		{"token with a space", []string{"SERVICE_TOKENS", "good,not good"}, "SERVICE_TOKENS", "number 2 of 2"},
		{"token like a session's", []string{"SERVICE_TOKENS", "s:abc"}, "SERVICE_TOKENS", "session token"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load(servicetest.Environment(t, tc.environ...))
			var found Problems
			require.ErrorAs(t, err, &found)
			require.Len(t, found, 1)
			assert.Equal(t, tc.blames, found[0].Name)
			assert.Contains(t, found[0].Text, tc.says)
		})
	}
}

func TestConfig_production_refuses(t *testing.T) {
	for _, tc := range []struct {
		name    string
		environ []string
		blames  string
		says    string
	}{
		{"no session secret", []string{"SESSION_SECRET", ""}, "SESSION_SECRET", "required in production"},
		{"a short session secret", []string{"SESSION_SECRET", servicetest.SessionSecret + ",short"}, "SESSION_SECRET", "number 2 of 2 has 5 bytes"},
		{"no service token", []string{"SERVICE_TOKENS", ","}, "SERVICE_TOKENS", "required in production"},
		{"a short service token", []string{"SERVICE_TOKENS", "short"}, "SERVICE_TOKENS", "number 1 of 1 has 5 bytes"},
		{"a secret in quotes", []string{"SESSION_SECRET", `"` + servicetest.SessionSecret + `"`}, "SESSION_SECRET", "number 1 of 1 is in quotes"},
		{"a token in single quotes", []string{"SERVICE_TOKENS", servicetest.Token + ",'" + servicetest.Token + "'"}, "SERVICE_TOKENS", "number 2 of 2 is in quotes"},
		{"a secret behind a byte order mark", []string{"SESSION_SECRET", "\uFEFF" + servicetest.SessionSecret}, "SESSION_SECRET", "byte order mark"},
		{
			"a file with a byte order mark",
			[]string{"SESSION_SECRET", "", "SESSION_SECRET_FILE", servicetest.SecretFile(t, "\uFEFF"+servicetest.SessionSecret+"\n")},
			"SESSION_SECRET", "byte order mark",
		},
		{"a cookie over plain HTTP", []string{"COOKIE_SECURE", "false"}, "COOKIE_SECURE", "plain HTTP"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load(servicetest.Production(t, tc.environ...))
			var found Problems
			require.ErrorAs(t, err, &found)
			require.Len(t, found, 1)
			assert.Equal(t, tc.blames, found[0].Name)
			assert.Contains(t, found[0].Text, tc.says)
		})
	}
}

func TestConfig_namesEverythingAtOnce(t *testing.T) {
	_, err := Load(map[string]string{
		"APP_ENV": "production", "PORT": "x", "SESSION_SECRET": "hunter2", "SERVICE_TOKEN": "hunter3",
		"SESSION_TTL_MS": "-1", "COOKIE_NAME": "__Host-a", "COOKIE_DOMAIN": "a.example", "LOG_LEVEL": "loud",
	})
	var found Problems
	require.ErrorAs(t, err, &found)
	var names []string
	for _, one := range found {
		names = append(names, one.Name)
	}
	assert.Equal(t, []string{
		"PORT", "SESSION_SECRET", "SERVICE_TOKENS", "SESSION_TTL_MS", "COOKIE_NAME", "LOG_LEVEL", "SERVICE_TOKEN",
	}, names, "in the order of the settings, slips at the end")
	assert.Contains(t, err.Error(), "did you mean SERVICE_TOKENS?")
	assert.NotContains(t, err.Error(), "hunter")
}

// Of a store that there is not, the other settings still say what is meant.
func TestConfig_unknownStoreHidesNothing(t *testing.T) {
	for _, tc := range []struct {
		environ []string
		blames  []string
	}{
		{[]string{"REDIS_URL", "http://a", "REDIS_PREFIX", " * "}, []string{"SESSION_STORE", "REDIS_URL", "REDIS_PREFIX"}},
		{[]string{"SESSION_DATA_DIR", "relative", "PORT", "x"}, []string{"PORT", "SESSION_STORE", "SESSION_DATA_DIR"}},
		{[]string{"SESSION_MAX_ENTRIES", "0"}, []string{"SESSION_STORE", "SESSION_MAX_ENTRIES"}},
	} {
		environ := servicetest.Environment(t, append(tc.environ, "SESSION_STORE", "postgres")...)
		if tc.blames[0] != "PORT" {
			delete(environ, "PORT")
		}
		_, err := Load(environ)
		var found Problems
		require.ErrorAs(t, err, &found)
		var names []string
		for _, one := range found {
			names = append(names, one.Name)
		}
		assert.Equal(t, tc.blames, names)
	}
}

// NODE_ENV counts where APP_ENV says nothing, and the Problems that production
// finds say why it is production.
func TestConfig_nodeEnv(t *testing.T) {
	for _, tc := range []struct {
		appEnv, nodeEnv string
		production      bool
	}{
		{"", "production", true},
		{" ", " Production ", true},
		{"", "test", false},
		{"development", "production", false},
		{"production", "development", true},
	} {
		c, err := Load(servicetest.Production(t, "APP_ENV", tc.appEnv, "NODE_ENV", tc.nodeEnv))
		require.NoError(t, err)
		assert.Equal(t, tc.production, c.Production(), "%+v", tc)
		assert.Equal(t, tc.production, c.secure(), "%+v", tc)
	}

	_, err := Load(servicetest.Environment(t, "NODE_ENV", "production"))
	assert.ErrorContains(t, err, "SESSION_SECRET: required in production")
	assert.ErrorContains(t, err, "NODE_ENV: production counts as APP_ENV=production")
	_, err = Load(servicetest.Environment(t, "APP_ENV", "production", "NODE_ENV", "production"))
	assert.NotContains(t, err.Error(), "NODE_ENV")
}

func TestConfig_typos(t *testing.T) {
	for name, meant := range map[string]string{
		"SESSION_TTL":                       "SESSION_TTL_MS",
		"SESSION_SECRETS":                   "SESSION_SECRET",
		"SESION_SECRET":                     "SESSION_SECRET",
		"SESION_TTL_MS":                     "SESSION_TTL_MS",
		"MAX_ENTRIES":                       "SESSION_MAX_ENTRIES",
		"TTL_MS":                            "SESSION_TTL_MS",
		"TRUSTED_PROXY":                     "TRUSTED_PROXIES",
		"REDISURL":                          "REDIS_URL",
		"redis_url":                         "REDIS_URL",
		"session_ttl_ms":                    "SESSION_TTL_MS",
		"Session_Secret":                    "SESSION_SECRET",
		"COOKIE-NAME":                       "COOKIE_NAME",
		"REDIS_PASS":                        "REDIS_PASSWORD",
		"ALLOW_ORIGINS":                     "ALLOWED_ORIGINS",
		"LOGLEVEL":                          "LOG_LEVEL",
		"APPENV":                            "APP_ENV",
		"FILE_TTL":                          "FILE_TTL_MS",
		"COOKIE_SAME_SITE":                  "COOKIE_SAMESITE",
		"ALLOWED_ORIGIN":                    "ALLOWED_ORIGINS",
		"SESSION_MANAGER":                   "", // X11
		"SESSION_API_PORT":                  "", // Kubernetes
		"SESSION_PORT":                      "",
		"APP_KEY":                           "",
		"LOG_FILE":                          "",
		"PATH":                              "",
		"HOME":                              "",
		"HOSTNAME":                          "",
		"LOGNAME":                           "",
		"USER":                              "",
		"TERM":                              "",
		"TMPDIR":                            "",
		"NODE_ENV":                          "",
		"SESSION_ID":                        "",
		"XDG_SESSION_ID":                    "",
		"REDIS_PORT":                        "",
		"REDIS_PORT_6379_TCP_ADDR":          "",
		"REDIS_SERVICE_HOST":                "",
		"SESSION_API_SERVICE_PORT_HTTP":     "",
		"SESSION_API_PORT_8080_TCP":         "",
		"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "",
		"SESSION_SECRET":                    "",
		"SERVICE_TOKEN_FILE":                "SERVICE_TOKENS_FILE",
	} {
		found := Typos(map[string]string{name: "x"})
		if meant == "" {
			assert.Empty(t, found, name)
		} else {
			assert.Equal(t, []Typo{{name, meant}}, found)
		}
	}
}
