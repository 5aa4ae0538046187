package api_test

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lastLine is the last line of the log.
func lastLine(t *testing.T, s *service) map[string]any {
	t.Helper()
	lines := logLines(t, s)
	require.NotEmpty(t, lines)
	return lines[len(lines)-1]
}

// A configured secret reaches no line, wherever a client has put it and however
// it is spelt.
func TestLogHidesConfiguredSecrets(t *testing.T) {
	const odd = `odd/token+with=signs"and\more~0123456789`
	for name, lines := range map[string]bool{"lean lines": true, "httplog": false} {
		t.Run(name, func(t *testing.T) {
			s := start(t, func(set *settings) {
				set.Secrets.Service = services(serviceToken, odd)
				set.Secrets.ServiceSecrets = [][]byte{[]byte(serviceToken), []byte(odd)}
				if lines {
					set.AccessLog.Lines = set.log
				}
			})
			c := s.client()
			for _, secret := range []string{serviceToken, odd, secret} {
				escaped := url.QueryEscape(secret)
				for _, spelt := range []string{url.PathEscape(secret), escaped, url.QueryEscape(escaped)} {
					c.do("GET", "/healthz/"+spelt, "")
					c.do("GET", "/docs/"+spelt, "")
					c.do("GET", "/healthz", "", "User-Agent", "x "+spelt)
					c.do("GET", "/healthz", "", "Referer", "https://app.example/"+spelt+"/x")
					c.do("GET", "/api/session", "", "User-Agent", spelt)
				}
				c.do("GET", "/healthz", "", "User-Agent", secret, "Referer", secret)
				for _, part := range []string{secret, escaped, url.QueryEscape(escaped), url.PathEscape(secret)} {
					quoted, err := json.Marshal(part)
					require.NoError(t, err)
					assert.NotContains(t, s.log.String(), strings.Trim(string(quoted), `"`))
				}
			}
			assert.Contains(t, s.log.String(), "[redacted]")
		})
	}
}

// A token that was escaped twice is still one.
func TestLogHidesTokensThatAreEscapedTwice(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create(ada)
	token, err := url.QueryUnescape(c.token())
	require.NoError(t, err)
	_, signature, _ := strings.Cut(token, ".")
	twice := url.QueryEscape(url.QueryEscape(token))
	c.do("GET", "/docs/"+twice, "")
	c.do("GET", "/healthz", "", "Referer", "https://app.example/"+twice)
	assert.NotContains(t, s.log.String(), signature[:10])
}

// What a client sends makes a line only so long.
func TestLogCutsOffLongFields(t *testing.T) {
	for name, lines := range map[string]bool{"lean lines": true, "httplog": false} {
		t.Run(name, func(t *testing.T) {
			s := start(t, func(set *settings) {
				if lines {
					set.AccessLog.Lines = set.log
				}
			})
			s.client().do("GET", "/healthz", "", "User-Agent", strings.Repeat("\xff", 12<<10))
			assert.Less(t, len(s.log.String()), 10<<10)
			s.client().do("GET", "/healthz", "", "User-Agent", strings.Repeat("x", 12<<10))
			assert.Less(t, len(s.log.String()), 14<<10)
		})
	}
}

// A line says which service token came, and which problem went back.
func TestLogNamesCallerAndCode(t *testing.T) {
	for name, lines := range map[string]bool{"lean lines": true, "httplog": false} {
		t.Run(name, func(t *testing.T) {
			s := start(t, func(set *settings) {
				set.Secrets.Service = services("another-service-token-of-this-test", serviceToken)
				if lines {
					set.AccessLog.Lines = set.log
				}
			})
			c := s.client()
			c.do("GET", "/api/sessions", "", "Authorization", "Bearer "+serviceToken).expect(200)
			assert.Equal(t, "default-2", lastLine(t, s)["serviceToken"])
			c.do("GET", "/api/sessions/an-id-of-nobodys", "", "Authorization", "Bearer "+serviceToken).expect(404)
			assert.Equal(t, "default-2", lastLine(t, s)["serviceToken"])
			assert.Equal(t, "session_not_found", lastLine(t, s)["code"])
			c.do("GET", "/api/session", "").expect(401)
			assert.Equal(t, "no_credential", lastLine(t, s)["code"])
			assert.NotContains(t, lastLine(t, s), "serviceToken")
			c.do("PUT", "/api/session", `{}`, "Origin", "https://elsewhere.example").expect(403)
			assert.Equal(t, "forbidden_origin", lastLine(t, s)["code"])
			c.do("GET", verify, "", "Cookie", cookieName+"=opens-nothing").expect(401)
			assert.Equal(t, "unauthorized", lastLine(t, s)["code"])
		})
	}
}

// There is one spelling of the client's address: without a port, and as the
// trusted proxies tell it.
func TestLogSpellsTheClientsAddressOneWay(t *testing.T) {
	for name, proxies := range map[string][]netip.Prefix{"peer": nil, "proxy": prefixes("127.0.0.0/8", "::1/128")} {
		for kind, lines := range map[string]bool{"lean lines": true, "httplog": false} {
			t.Run(name+", "+kind, func(t *testing.T) {
				s := start(t, func(set *settings) {
					set.TrustedProxies = proxies
					if lines {
						set.AccessLog.Lines = set.log
					}
				})
				want := "127.0.0.1"
				if proxies != nil {
					want = "203.0.113.7"
				}
				c := s.client()
				c.create(ada)
				for _, path := range []string{"/api/session", "/healthz", "/nowhere", verify} {
					c.do("GET", path, "", "X-Forwarded-For", "203.0.113.7:5555")
					assert.Equal(t, want, lastLine(t, s)["client.ip"], path)
					assert.NotContains(t, lastLine(t, s), "clientIp")
				}
			})
		}
	}
}

// Visitors without any credential are logged by who lets them in; with
// LOG_LEVEL=debug they have a line.
func TestLogOfAnonymousQuestions(t *testing.T) {
	var log logBuffer
	s := start(t, func(set *settings) {
		set.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	s.client().do("GET", verify, "").expect(401)
	assert.Contains(t, log.String(), `"level":"DEBUG"`)
	assert.Contains(t, log.String(), verify)
}
