package api_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/memory"
)

func autoCreating(set *settings) {
	set.AutoCreate = true
	set.life.Unwritten = 5 * time.Minute
	set.AllowedOrigins = []string{"https://app.example.org"}
}

func TestAutoCreateIsNotForEverybody(t *testing.T) {
	s := start(t, autoCreating)
	for name, c := range map[string]struct {
		creates bool
		headers []string
	}{
		"no browser":               {true, nil},
		"a page of its own":        {true, []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}},
		"a sibling's page":         {true, []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}},
		"its user's navigation":    {true, []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}},
		"a listed origin":          {true, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Origin", "https://app.example.org"}},
		"an img of its own":        {false, []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}},
		"an img of another site":   {false, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}},
		"a script of another site": {false, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script"}},
		"another site's fetch":     {false, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Origin", "https://evil.example"}},
		"a frame on another site":  {false, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}},
		"a listed origin's img":    {false, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Origin", "https://app.example.org"}},
		"an old browser's page":    {true, []string{"Origin", s.url}},
		"its listed origin":        {true, []string{"Origin", "https://app.example.org"}},
		"its other site":           {false, []string{"Origin", "https://evil.example"}},
		"its sandboxed page":       {false, []string{"Origin", "null"}},
		"a prefetch":               {false, []string{"Sec-Purpose", "prefetch"}},
		"a prerender":              {false, []string{"Sec-Purpose", "prefetch;prerender"}},
		"a prefetch, privately":    {false, []string{"Sec-Purpose", "prefetch;anonymous-client-ip"}},
		"a prefetch of old":        {false, []string{"Purpose", "prefetch"}},
		"a prefetch of Firefox":    {false, []string{"X-Moz", "prefetch"}},
		"another purpose":          {true, []string{"Sec-Purpose", "prefetches"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.client().do("GET", "/api/session", "", c.headers...)
			if !c.creates {
				a.problem(401, "no_credential")
				assert.Empty(t, a.Header["Set-Cookie"])
				return
			}
			a.expect(200)
			assert.Len(t, a.Header["Set-Cookie"], 1)
		})
	}
}

func TestAPrefetchIsNoUse(t *testing.T) {
	s := start(t)
	c := s.client()
	d := c.create("")
	s.clock.advance(time.Hour)
	for _, purpose := range []string{"Sec-Purpose", "Purpose"} {
		for _, path := range []string{"/api/session", "/api/session?touch=true", verify} {
			c.do("GET", path, "", purpose, "prefetch").expect(200)
			assert.Equal(t, d.ExpiresAt, c.do("GET", "/api/session?touch=false", "").expect(200).document().ExpiresAt, path)
		}
	}
	c.do("POST", "/api/session", "", "If-None-Match", "*", "Sec-Purpose", "prefetch").expect(200)
	assert.Equal(t, d.ExpiresAt, c.do("GET", "/api/session?touch=false", "").expect(200).document().ExpiresAt)
	assert.NotEqual(t, d.ExpiresAt, c.do("GET", "/api/session", "").expect(200).document().ExpiresAt)
}

// What the first visit of a page leaves behind is gone soon, and takes no room
// that others need.
func TestParallelFirstVisits(t *testing.T) {
	s := start(t, autoCreating, func(set *settings) {
		set.store = memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 20})
	})
	others := make([]*client, 15)
	for i := range others {
		others[i] = s.client()
		others[i].create("")
	}
	for range 10 { // visitors
		b := s.client()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { b.do("GET", "/api/session", "").expect(200) })
		}
		all.Wait()
	}
	for _, c := range others {
		c.do("HEAD", "/api/session", "").expect(200)
	}
	s.clock.advance(5 * time.Minute)
	_, err := s.store.Sweep(t.Context(), s.clock.Now())
	require.NoError(t, err)
	st, err := s.store.Stats(t.Context(), s.clock.Now())
	require.NoError(t, err)
	assert.EqualValues(t, len(others), st.Entries)
}

func TestAnUnaskedSessionLivesOnceItIsWrittenTo(t *testing.T) {
	s := start(t, autoCreating)
	for _, write := range [][3]string{
		{"PUT", "/api/session", `{"meta":{"a":1}}`},
		{"PATCH", "/api/session", `{"meta":{"a":1}}`},
		{"POST", "/api/session/operations", `[{"op":"add","path":"/meta/a","value":1}]`},
	} {
		c := s.client()
		made := c.do("GET", "/api/session", "").expect(200)
		assert.Contains(t, made.Header.Get("Set-Cookie"), "Max-Age=300;")
		assert.Equal(t, s.clock.Now().Add(5*time.Minute), made.document().ExpiresAt)
		s.clock.advance(4 * time.Minute)
		written := c.do(write[0], write[1], write[2]).expect(200)
		assert.Equal(t, made.document().ID, written.document().ID)
		assert.Equal(t, s.clock.Now().Add(24*time.Hour), written.document().ExpiresAt)
		assert.Contains(t, written.Header.Get("Set-Cookie"), "Max-Age=86400;")
		s.clock.advance(23 * time.Hour)
		c.do("HEAD", "/api/session", "").expect(200)
	}
	made := s.client().do("PUT", "/api/session", `{"meta":{"a":1}}`).expect(201)
	assert.Equal(t, s.clock.Now().Add(24*time.Hour), made.document().ExpiresAt, "that is a write")
}

func TestMissingCredentials(t *testing.T) {
	s := start(t, withServiceTokens)
	c := s.client()
	c.create("")
	ended := c.token()
	c.do("DELETE", "/api/session", "").expect(204)
	for name, u := range map[string]struct {
		code    string
		headers []string
	}{
		"nothing":            {"no_credential", nil},
		"other cookies":      {"no_credential", []string{"Cookie", "a=b; other_" + cookieName + "=" + ended}},
		"a service token":    {"no_credential", []string{"Authorization", "Bearer " + serviceToken}},
		"an ended session":   {"unauthorized", []string{"Cookie", cookieName + "=" + ended}},
		"a forged one":       {"unauthorized", []string{"Cookie", cookieName + "=" + ended + "x"}},
		"an empty cookie":    {"unauthorized", []string{"Cookie", cookieName + "="}},
		"an unreadable one":  {"unauthorized", []string{"Cookie", cookieName + "=\"a b\\\""}},
		"an ended bearer":    {"unauthorized", []string{"Authorization", "Bearer " + ended}},
		"a forged bearer":    {"unauthorized", []string{"Authorization", "Bearer s:a.b"}},
		"a wrong service":    {"unauthorized", []string{"Authorization", "Bearer wrong"}},
		"ended, and service": {"unauthorized", []string{"Cookie", cookieName + "=" + ended, "Authorization", "Bearer " + serviceToken}},
	} {
		var body string
		for _, use := range everyUse {
			a := s.client().do(use.method, use.path, use.body, append(u.headers, "X-Request-Id", "r")...)
			require.Equal(t, 401, a.StatusCode, "%s: %s %s", name, use.method, use.path)
			if use.method == "HEAD" {
				continue
			}
			a.problem(401, u.code)
			if body == "" {
				body = string(a.body)
			}
			assert.Equal(t, body, string(a.body), name)
		}
	}
}

func TestCookiesOfAnotherService(t *testing.T) {
	theirs := cookieName + "=" + sign(strings.Repeat("0123456789abcdef", 4), "the-secret-of-another-local-service")
	for development, lines := range map[bool]int{true: 2, false: 0} {
		s := start(t, func(set *settings) { set.Development = development })
		for range 20 {
			s.as("GET", "/api/session", "", theirs).problem(401, "unauthorized")
			s.as("GET", verify, "", theirs).problem(401, "unauthorized")
			s.as("GET", "/api/session", "", cookieName+"=nonsense").problem(401, "unauthorized")
		}
		s.clock.advance(time.Hour)
		s.as("GET", "/api/session", "", theirs).problem(401, "unauthorized")
		assert.Equal(t, lines, strings.Count(s.log.String(), "COOKIE_NAME"))
		assert.NotContains(t, s.log.String(), "0123456789abcdef")
	}
}

func TestPagesMayReadTheirHeaders(t *testing.T) {
	s := start(t, autoCreating, func(set *settings) { set.CreatePerMinute = 10 })
	a := s.client().do("POST", "/api/session", "", "Origin", "https://app.example.org").expect(201)
	exposed := a.Header.Get("Access-Control-Expose-Headers")
	for _, name := range []string{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Session-Token", "Etag"} {
		assert.Contains(t, strings.ToLower(exposed), strings.ToLower(name))
	}
}
