package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const (
	friend   = "https://app.example.com"
	stranger = "https://stranger.example"
)

func withFriend(s *settings) { s.AllowedOrigins = []string{friend} }

// preflight asks whether a page of the origin may send the headers.
func (c *client) preflight(origin, method string, headers ...string) *answer {
	c.s.t.Helper()
	ask := []string{"Origin", origin, "Access-Control-Request-Method", method}
	for _, list := range headers {
		ask = append(ask, "Access-Control-Request-Headers", list)
	}
	return c.do("OPTIONS", "/api/session", "", ask...)
}

func TestPreflightAllowsWhatFrontendsSend(t *testing.T) {
	c := start(t, withFriend, func(s *settings) { s.AllowedHeaders = []string{"X-Tenant"} }).client()
	for _, name := range []string{
		"traceparent", "tracestate", "baggage", "sentry-trace", "x-requested-with", "cache-control", "pragma", "x-request-id",
		"if-match", "if-none-match", "if-modified-since", "idempotency-key", "last-event-id", "authorization", "content-type", "accept",
		"x-b3-traceid", "x-datadog-trace-id", "x-csrf-token", "x-tenant", "X-Tenant", "Traceparent",
	} {
		a := c.preflight(friend, "PATCH", name).expect(204)
		assert.Equal(t, friend, a.Header.Get("Access-Control-Allow-Origin"))
		assert.Equal(t, "true", a.Header.Get("Access-Control-Allow-Credentials"))
		assert.Equal(t, "PATCH", a.Header.Get("Access-Control-Allow-Methods"))
		assert.Equal(t, name, a.Header.Get("Access-Control-Allow-Headers"))
		assert.Contains(t, a.Header.Get("Vary"), "Origin")
	}
	a := c.preflight(friend, "PUT", "traceparent,content-type, If-Match", "baggage,").expect(204) // unsorted, in lines: a gateway's doing
	assert.Equal(t, "traceparent,content-type, If-Match,baggage,", a.Header.Get("Access-Control-Allow-Headers"))
	a = c.preflight(friend, "GET").expect(204)
	assert.Empty(t, a.Header.Values("Access-Control-Allow-Headers"))
	assert.Equal(t, "600", a.Header.Get("Access-Control-Max-Age"))
}

func TestPreflightSaysWhyItRefuses(t *testing.T) {
	s := start(t, withFriend)
	c := s.client()
	a := c.preflight(friend, "PATCH", "content-type,x-tenant,x-other")
	p := a.problem(403, "preflight_refused")
	assert.Contains(t, p.Detail, `"x-tenant" and "x-other"`)
	assert.Contains(t, p.Detail, "CORS_ALLOWED_HEADERS")
	assert.NotContains(t, p.Detail, "content-type")
	assert.Empty(t, a.Header.Values("Access-Control-Allow-Headers"))

	p = c.preflight(friend, "BREW").problem(403, "preflight_refused")
	assert.Contains(t, p.Detail, `"BREW"`)
	p = c.preflight(friend, "patch").problem(403, "preflight_refused")
	assert.Contains(t, p.Detail, "upper case")

	a = c.preflight(stranger, "PATCH", "content-type")
	p = a.problem(403, "forbidden_origin")
	assert.Contains(t, p.Detail, "ALLOWED_ORIGINS")
	assert.Empty(t, a.Header.Get("Access-Control-Allow-Origin"))
	c.preflight("null", "PATCH").problem(403, "forbidden_origin")

	p = c.preflight(friend, "PUT", strings.Repeat("x-very-long-name-of-a-header,", 100)).problem(403, "preflight_refused")
	assert.Less(t, len(p.Detail), 400)

	var lines []map[string]any
	for _, line := range logLines(t, s) {
		if line["level"] == "WARN" && line["reason"] != nil {
			lines = append(lines, line)
		}
	}
	if assert.Len(t, lines, 4) {
		assert.Equal(t, friend, lines[0]["origin"])
		assert.Contains(t, lines[0]["reason"], "x-tenant")
		assert.Contains(t, lines[0]["reason"], "CORS_ALLOWED_HEADERS")
	}
}

func TestPreflightWithoutOriginsConfigured(t *testing.T) {
	s := start(t)
	c := s.client()
	p := c.preflight(friend, "GET", "content-type").problem(403, "forbidden_origin")
	assert.Contains(t, p.Detail, "ALLOWED_ORIGINS")
	assert.Len(t, strangerLines(t, s), 1)
	c.do("OPTIONS", "/nowhere", "", "Origin", friend, "Access-Control-Request-Method", "GET").problem(404, "not_found")
	c.do("OPTIONS", "/api/session", "", "Origin", friend).problem(405, "method_not_allowed")
	assert.Empty(t, c.do("GET", "/healthz", "").expect(200).Header.Values("Vary"))
}

func TestPagesMayReadWhatTheyNeed(t *testing.T) {
	c := start(t, withFriend, func(s *settings) { s.CreatePerMinute = 1 }).client()
	created := c.do("POST", "/api/session", "", "Origin", friend).expect(201)
	limited := c.do("POST", "/api/session", "", "Origin", friend)
	limited.problem(429, "rate_limited")
	for _, a := range []*answer{created, limited, c.do("GET", "/api/session", "", "Origin", friend).expect(200)} {
		assert.Equal(t, friend, a.Header.Get("Access-Control-Allow-Origin"))
		exposed := strings.Split(strings.ToLower(a.Header.Get("Access-Control-Expose-Headers")), ", ")
		for _, name := range []string{
			"etag", "location", "retry-after", "x-request-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "deprecation",
		} {
			assert.Contains(t, exposed, name)
		}
	}
	assert.NotEmpty(t, limited.Header.Get("X-RateLimit-Limit"))
}

func TestOriginsOfAnyScheme(t *testing.T) {
	origins := []string{
		"capacitor://localhost", "tauri://localhost", "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb", "moz-extension://9f6f3f7a-0b1e-4a55-8a3c-3a8d8f5a9b1c",
		"http://[::1]:3000",
	}
	s := start(t, func(set *settings) { set.AllowedOrigins = origins })
	for _, origin := range origins {
		c := s.client()
		c.do("POST", "/api/session", "", "Origin", origin, "Sec-Fetch-Site", "cross-site").expect(201)
		a := c.do("PUT", "/api/session", `{}`, "Origin", origin).expect(200)
		assert.Equal(t, origin, a.Header.Get("Access-Control-Allow-Origin"))
		c.preflight(origin, "PUT", "content-type").expect(204)
		c.do("PUT", "/api/session", `{}`, "Origin", origin+"x").problem(403, "forbidden_origin")
	}
}

// Browsers add the credentials of Basic and Negotiate by themselves: they do
// not show that a page was allowed to send the request.
func TestOnlyBearerTokensPassTheCheckOfOrigins(t *testing.T) {
	c := start(t, withFriend).client()
	d := c.create("")
	for _, authorization := range []string{"Basic YTpi", "Negotiate abc", "Bearer", "Digest x", "bearer"} {
		c.do("DELETE", "/api/session", "", "Origin", stranger, "Sec-Fetch-Site", "cross-site", "Authorization", authorization).problem(403, "forbidden_origin")
	}
	assert.Equal(t, d.ID, c.do("GET", "/api/session", "").expect(200).document().ID)
	c.s.client().do("DELETE", "/api/session", "", "Origin", stranger, "Authorization", "bearer "+sign(d.ID, secret)).expect(204)
}

// strangerLines are the lines that name ALLOWED_ORIGINS.
func strangerLines(t *testing.T, s *service) []map[string]any {
	t.Helper()
	var found []map[string]any
	for _, line := range logLines(t, s) {
		if strings.Contains(line["msg"].(string), "ALLOWED_ORIGINS") {
			found = append(found, line)
		}
	}
	return found
}

func TestStrangersAreLoggedOnceAMinute(t *testing.T) {
	s := start(t, withFriend)
	c := s.client()
	c.create("")
	for range 3 {
		c.do("GET", "/api/session", "", "Origin", stranger, "Sec-Fetch-Site", "cross-site").expect(200)
		c.do("PUT", "/api/session", `{}`, "Origin", stranger).expect(403)
		c.preflight(stranger, "PUT").expect(403)
	}
	lines := strangerLines(t, s)
	if assert.Len(t, lines, 1) {
		assert.Equal(t, stranger, lines[0]["origin"])
		assert.Equal(t, "WARN", lines[0]["level"])
		assert.NotEmpty(t, lines[0]["requestId"])
	}
	s.clock.advance(59 * time.Second)
	c.do("GET", "/api/session", "", "Origin", stranger).expect(200)
	assert.Len(t, strangerLines(t, s), 1)
	s.clock.advance(time.Second)
	c.do("GET", "/api/session", "", "Origin", stranger).expect(200)
	assert.Len(t, strangerLines(t, s), 2)

	for _, own := range [][]string{
		{"Origin", friend}, {"Origin", s.url}, {"Origin", "https://proxied.example", "Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "cross-site"},
	} {
		c.do("GET", "/api/session", "", own...).expect(200)
	}
	assert.Len(t, strangerLines(t, s), 2)
	c.do("GET", "/healthz", "", "Origin", "https://x.example/"+c.token()).expect(200)
	c.do("GET", "/healthz", "", "Origin", strings.Repeat("x", 5000)).expect(200)
	assert.NotContains(t, s.log.String(), c.token())
	assert.NotContains(t, s.log.String(), strings.Repeat("x", 300))
}

func TestStrangersDoNotFillTheLog(t *testing.T) {
	s := start(t, withFriend)
	c := s.client()
	for i := range 300 {
		c.do("GET", "/healthz", "", "Origin", fmt.Sprintf("https://%d.example", i)).expect(http.StatusOK)
	}
	assert.Len(t, strangerLines(t, s), 100)
	s.clock.advance(time.Minute)
	c.do("GET", "/healthz", "", "Origin", "https://another.example").expect(http.StatusOK)
	assert.Len(t, strangerLines(t, s), 101)
}
