package api_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

const (
	firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
	chrome  = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
)

// recording makes the service store of clients what the record says.
func recording(record api.ClientRecord) func(*settings) {
	return func(set *settings) {
		set.Client = record
		set.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
}

// factsOf returns what the store has of a session beside its document.
func (s *service) factsOf(id string) schema.Facts {
	s.t.Helper()
	sess, err := s.store.Peek(s.t.Context(), s.clock.Now(), backend.Key{Namespace: schema.DefaultNamespace, ID: id})
	require.NoError(s.t, err)
	return sess.Facts
}

func TestClientIsRecorded(t *testing.T) {
	for name, tc := range map[string]struct {
		record api.ClientRecord
		want   string
	}{
		"off":             {api.ClientRecord{}, `null`},
		"agent":           {api.ClientRecord{Agent: true}, `{"label":"Firefox on Windows","userAgent":"` + firefox + `"}`},
		"full":            {api.ClientRecord{Agent: true, IP: true}, `{"label":"Firefox on Windows","userAgent":"` + firefox + `","ip":"203.0.113.0/24"}`},
		"whole addresses": {api.ClientRecord{Agent: true, IP: true, WholeIP: true}, `{"label":"Firefox on Windows","userAgent":"` + firefox + `","ip":"203.0.113.77"}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, recording(tc.record))
			c := s.client()
			headers := []string{"User-Agent", firefox, "X-Forwarded-For", "203.0.113.77"}
			made := c.do("POST", "/api/session", `{"inputs":{"a":1}}`, headers...).expect(201)
			id := made.document().ID
			assert.JSONEq(t, tc.want, string(s.factsOf(id).AppendClient(nil)))

			// The document has nothing of it, and nothing is written for it.
			got := c.do("GET", "/api/session", "", "User-Agent", "curl/8.11.1").expect(200)
			assert.Equal(t, string(made.body), string(got.body))
			assert.JSONEq(t, tc.want, string(s.factsOf(id).AppendClient(nil)))
		})
	}
}

func TestClientOfAnAutoCreatedSession(t *testing.T) {
	s := start(t, recording(api.ClientRecord{Agent: true}), func(set *settings) { set.AutoCreate = true })
	read := s.client().do("GET", "/api/session", "", "User-Agent", firefox).expect(200).document()
	assert.Equal(t, "Firefox on Windows", s.factsOf(read.ID).Label())
	written := s.client().do("PATCH", "/api/session", `{"inputs":{"a":1}}`, "User-Agent", chrome).expect(201).document()
	assert.Equal(t, "Chrome on Android", s.factsOf(written.ID).Label())
}

// What a client says of itself is stored only once it is clean, and no more of it than
// allowed.
func TestClientThatSaysMuch(t *testing.T) {
	s := start(t, recording(api.ClientRecord{Agent: true}))
	for name, tc := range map[string]struct{ sent, agent, label string }{
		"long":    {firefox + strings.Repeat(" x", 1000), (firefox + strings.Repeat(" x", 1000))[:schema.MaxUserAgent], "Firefox on Windows"},
		"a tab":   {"curl/8\t(x)", "curl/8(x)", "curl"},
		"bytes":   {"curl/8 \xff\xfe", "curl/8", "curl"},
		"markup":  {`<b onclick="x">/1`, `<b onclick="x">/1`, "b onclickx"},
		"unknown": {"\u65e5\u672c", "\u65e5\u672c", "Unknown client"},
	} {
		made := s.client().do("POST", "/api/session", "", "User-Agent", tc.sent).expect(201).document()
		got := s.factsOf(made.ID).Client()
		assert.Equal(t, strings.TrimSpace(tc.agent), got.UserAgent, name)
		assert.Equal(t, tc.label, got.Label, name)
	}
	none := s.client().do("POST", "/api/session", "", "User-Agent", "").expect(201).document()
	assert.Empty(t, s.factsOf(none.ID).String())
}

func TestClientChanges(t *testing.T) {
	uses := map[string]func(c *client, headers ...string) *answer{
		"a read that moves the deadline": func(c *client, headers ...string) *answer { return c.do("GET", "/api/session", "", headers...) },
		"a touch":                        func(c *client, headers ...string) *answer { return c.do("POST", "/api/session/touch", "", headers...) },
		"a change": func(c *client, headers ...string) *answer {
			return c.do("PATCH", "/api/session", `{"inputs":{"b":2}}`, headers...)
		},
		"operations": func(c *client, headers ...string) *answer {
			return c.do("POST", "/api/session/operations", `[{"op":"add","path":"/meta/a","value":1}]`, headers...)
		},
		"a new id": func(c *client, headers ...string) *answer {
			return c.do("POST", "/api/session/regenerate", "", headers...)
		},
		"authorization": func(c *client, headers ...string) *answer { return c.do("GET", verify, "", headers...) },
		"create or load": func(c *client, headers ...string) *answer {
			return c.do("POST", "/api/session", "", append(headers, "If-None-Match", "*")...)
		},
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			s := start(t, recording(api.ClientRecord{Agent: true}))
			st := s.events("?type=client_changed")
			c := s.client()
			c.do("POST", "/api/session", "", "User-Agent", firefox).expect(201)
			s.clock.advance(2 * time.Minute)
			use(c, "User-Agent", strings.Replace(firefox, "145.0", "146.0", 2)).expect(200)
			id := c.do("GET", "/api/session?touch=false", "").expect(200).document().ID
			assert.Contains(t, s.factsOf(id).Client().UserAgent, "Firefox/146.0")
			assert.Equal(t, "session_api_client_changes_total 0\n", s.metric("session_api_client_changes_total"), "another version is the same family")

			s.clock.advance(2 * time.Minute)
			use(c, "User-Agent", chrome).expect(200)
			// Which ends nothing.
			id = c.do("GET", "/api/session?touch=false", "").expect(200).document().ID
			assert.Equal(t, schema.Client{Label: "Chrome on Android", UserAgent: chrome}, s.factsOf(id).Client())
			assert.Equal(t, "session_api_client_changes_total 1\n", s.metric("session_api_client_changes_total"))
			ev := st.of("client_changed")
			assert.Contains(t, ev.data, `"client":"Chrome on Android","previousClient":"Firefox on Windows"`)

			s.clock.advance(2 * time.Minute)
			use(c, "User-Agent", "").expect(200)
			id = c.do("GET", "/api/session?touch=false", "").expect(200).document().ID
			assert.Equal(t, "Chrome on Android", s.factsOf(id).Label(), "who says nothing changes nothing")
		})
	}
}

// A backend that acts for its visitor is not the visitor's client.
func TestClientIsNotTheService(t *testing.T) {
	s := start(t, recording(api.ClientRecord{Agent: true, IP: true}), withServiceTokens)
	c := s.client()
	id := c.do("POST", "/api/session", "", "User-Agent", firefox, "X-Forwarded-For", "2001:db8:1:2::3").expect(201).document().ID
	want := s.factsOf(id)
	assert.Equal(t, "2001:db8:1::/48", want.Client().IP)
	s.clock.advance(time.Hour)
	auth := []string{"User-Agent", "Go-http-client/1.1", "Authorization", "Bearer " + serviceToken}
	c.do("PATCH", "/api/session", `{"meta":{"a":1}}`, auth...).expect(200)
	c.do("GET", "/api/session", "", auth...).expect(200)
	assert.Equal(t, want, s.factsOf(id))
	s.client().do("PATCH", "/api/sessions/"+id, `{"meta":{"b":1}}`, auth...).expect(200)
	s.client().do("GET", "/api/sessions/"+id+"?touch=true", "", auth...).expect(200)
	assert.Equal(t, want, s.factsOf(id))
	made := s.client().do("POST", "/api/sessions", `{"user":{"id":"ada"}}`, auth...).expect(201).handedOver()
	assert.Empty(t, s.factsOf(made.Session.ID).String())
	s.client().do("PUT", "/api/sessions/session-of-a-service", `{}`, auth...).expect(201)
	assert.Empty(t, s.factsOf("session-of-a-service").String())
}

func TestClientThatAServiceNames(t *testing.T) {
	for name, tc := range map[string]struct {
		record     api.ClientRecord
		sent, want string
	}{
		"all of it":       {api.ClientRecord{Agent: true, IP: true}, `{"label":"Ada's phone","userAgent":"` + chrome + `","ip":"192.0.2.77"}`, `{"label":"Ada's phone","userAgent":"` + chrome + `","ip":"192.0.2.0/24"}`},
		"whole addresses": {api.ClientRecord{Agent: true, IP: true, WholeIP: true}, `{"ip":"::ffff:192.0.2.77"}`, `{"ip":"192.0.2.77"}`},
		"without address": {api.ClientRecord{Agent: true}, `{"userAgent":"` + chrome + `","ip":"192.0.2.77"}`, `{"label":"Chrome on Android","userAgent":"` + chrome + `"}`},
		"off":             {api.ClientRecord{}, `{"label":"Ada's phone","ip":"192.0.2.77"}`, `null`},
		"null":            {api.ClientRecord{Agent: true}, `{"label":null,"userAgent":null,"ip":null}`, `null`},
		"nothing":         {api.ClientRecord{Agent: true}, `{}`, `null`},
		"a long header":   {api.ClientRecord{Agent: true}, `{"label":"a","userAgent":"` + strings.Repeat("a", 600) + `"}`, `{"label":"a","userAgent":"` + strings.Repeat("a", 512) + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, recording(tc.record))
			made := s.client().do("POST", "/api/sessions", `{"user":{"id":"ada"},"client":`+tc.sent+`}`).expect(201).handedOver()
			assert.JSONEq(t, tc.want, string(s.factsOf(made.Session.ID).AppendClient(nil)))
		})
	}

	t.Run("a label stays with its family", func(t *testing.T) {
		s := start(t, recording(api.ClientRecord{Agent: true}))
		made := s.client().do("POST", "/api/sessions", `{"client":{"label":"Ada's phone","userAgent":"`+chrome+`"}}`).expect(201).handedOver()
		visit := func(agent string) schema.Client {
			s.clock.advance(time.Hour)
			s.client().do("GET", "/api/session", "", "Authorization", "Bearer "+made.Token, "User-Agent", agent).expect(200)
			return s.factsOf(made.Session.ID).Client()
		}
		later := strings.Replace(chrome, "142", "143", 1)
		assert.Equal(t, schema.Client{Label: "Ada's phone", UserAgent: later}, visit(later))
		assert.Equal(t, schema.Client{Label: "Firefox on Windows", UserAgent: firefox}, visit(firefox))
	})

	for name, sent := range map[string]struct{ body, pointer string }{
		"no object":       {`{"client":"curl"}`, "/client"},
		"null":            {`{"client":null}`, "/client"},
		"unknown field":   {`{"client":{"name":"curl"}}`, "/client/name"},
		"no text":         {`{"client":{"label":1}}`, "/client/label"},
		"controls":        {`{"client":{"userAgent":"a\u0000b"}}`, "/client/userAgent"},
		"direction marks": {`{"client":{"label":"a\u202eb"}}`, "/client/label"},
		"no address":      {`{"client":{"ip":"example.org"}}`, "/client/ip"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, recording(api.ClientRecord{Agent: true, IP: true}))
			p := s.client().do("POST", "/api/sessions", sent.body).problem(422, "validation_failed")
			require.Len(t, p.Errors, 1)
			assert.Equal(t, sent.pointer, p.Errors[0].Pointer)
		})
	}

	t.Run("a visitor cannot", func(t *testing.T) {
		s := start(t, recording(api.ClientRecord{Agent: true}), withServiceTokens)
		const body = `{"client":{"label":"Ada's phone"}}`
		for _, auth := range [][]string{nil, {"Authorization", "Bearer " + serviceToken}} {
			p := s.client().do("POST", "/api/session", body, auth...).problem(422, "validation_failed")
			assert.Equal(t, "/client", p.Errors[0].Pointer)
		}
		c := s.client()
		c.create(`{}`)
		for _, to := range []struct{ method, path string }{{"PUT", "/api/session"}, {"PATCH", "/api/session"}, {"POST", "/api/session/regenerate"}, {"POST", "/api/session/touch"}} {
			c.do(to.method, to.path, body).problem(422, "validation_failed")
		}
		s.backend().do("PUT", "/api/sessions/session-of-a-service", body).problem(422, "validation_failed")
	})
}

// A setting that became stricter takes what it no longer allows away with the next
// write.
func TestClientRecordThatChanges(t *testing.T) {
	s := start(t, recording(api.ClientRecord{Agent: true, IP: true, WholeIP: true}))
	c := s.client()
	headers := []string{"User-Agent", firefox, "X-Forwarded-For", "203.0.113.77"}
	id := c.do("POST", "/api/session", `{"remember":true}`, headers...).expect(201).document().ID
	for n, tc := range []struct {
		record api.ClientRecord
		want   string
	}{
		{api.ClientRecord{Agent: true, IP: true}, `{"label":"Firefox on Windows","userAgent":"` + firefox + `","ip":"203.0.113.0/24","remember":true}`},
		{api.ClientRecord{Agent: true}, `{"label":"Firefox on Windows","userAgent":"` + firefox + `","remember":true}`},
		{api.ClientRecord{}, `{"remember":true}`},
	} {
		after := s.restarted(t, recording(tc.record))
		after.visitor("PATCH", "/api/session", fmt.Sprintf(`{"meta":{"n":%d}}`, n), c.token(), headers...).expect(200)
		assert.Equal(t, tc.want, after.factsOf(id).String())
	}
}

func TestRemember(t *testing.T) {
	const day = 24 * time.Hour
	remembering := func(transient bool) func(*settings) {
		return func(set *settings) {
			set.life.Remember = 20 * day
			set.Cookie.Transient = transient
		}
	}
	// kind checks the cookie that an answer sets.
	kind := func(t *testing.T, a *answer, transient bool, life time.Duration) {
		t.Helper()
		cookies := a.Cookies()
		require.NotEmpty(t, cookies)
		last := cookies[len(cookies)-1]
		if transient {
			assert.Zero(t, last.MaxAge)
			assert.True(t, last.Expires.IsZero())
			assert.NotContains(t, a.Header.Get("Set-Cookie"), "=;", "what looks like an empty attribute")
		} else {
			assert.Equal(t, int(life.Seconds()), last.MaxAge)
			assert.False(t, last.Expires.IsZero())
		}
		assert.True(t, last.HttpOnly)
		assert.Equal(t, "/", last.Path)
		assert.Equal(t, http.SameSiteLaxMode, last.SameSite)
	}
	for name, tc := range map[string]struct {
		transient bool // by the setting
		body      string
		want      bool // transient
		life      time.Duration
	}{
		"persistent by default":   {false, `{}`, false, day},
		"remembered":              {false, `{"remember":true}`, false, 20 * day},
		"not remembered":          {false, `{"remember":false}`, true, day},
		"transient by setting":    {true, `{}`, true, day},
		"remembered all the same": {true, `{"remember":true}`, false, 20 * day},
		"with a ttlMs":            {true, `{"remember":true,"ttlMs":3600000}`, false, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, remembering(tc.transient))
			c := s.client()
			a := c.do("POST", "/api/session", tc.body).expect(201)
			kind(t, a, tc.want, tc.life)
			d := a.document()
			assert.Equal(t, tc.life, d.ExpiresAt.Sub(d.CreatedAt))
			// Every later cookie of the session is of its kind.
			for _, use := range []struct{ method, path, body string }{
				{"GET", "/api/session", ""},
				{"PATCH", "/api/session", `{"inputs":{"a":1}}`},
				{"POST", "/api/session/touch", ""},
				{"GET", verify, ""},
				{"POST", "/api/session/regenerate", ""},
				{"POST", "/api/session/regenerate", `{"graceMs":1000}`},
				{"GET", "/api/session", ""},
			} {
				s.clock.advance(tc.life / 2)
				kind(t, c.do(use.method, use.path, use.body).expect(200), tc.want, tc.life)
			}
		})
	}

	t.Run("a new id changes it", func(t *testing.T) {
		s := start(t, remembering(true))
		c := s.client()
		kind(t, c.do("POST", "/api/session", "").expect(201), true, day)
		kind(t, c.do("POST", "/api/session/regenerate", `{"remember":true}`).expect(200), false, 20*day)
		kind(t, c.do("POST", "/api/session/regenerate", "").expect(200), false, 20*day)
		kind(t, c.do("POST", "/api/session/regenerate", `{"remember":false}`).expect(200), true, day)
	})

	t.Run("for a service", func(t *testing.T) {
		s := start(t, remembering(false), withServiceTokens)
		b := s.backend()
		made := b.do("POST", "/api/sessions", `{"remember":false}`).expect(201).handedOver()
		assert.NotContains(t, made.SetCookie, "Max-Age")
		assert.Contains(t, made.SetCookie, "; Path=/; HttpOnly; SameSite=Lax")
		signedIn := b.do("POST", "/api/sessions/"+made.Session.ID+"/regenerate", `{"user":{"id":"ada"},"remember":true}`).expect(200).handedOver()
		assert.Contains(t, signedIn.SetCookie, "; Max-Age=1728000; ")
		remember, said := s.factsOf(signedIn.Session.ID).Remember()
		assert.True(t, remember && said)
	})

	t.Run("by a bearer too", func(t *testing.T) {
		s := start(t, remembering(false))
		d := s.client().do("POST", "/api/session?transport=bearer", `{"remember":true}`).expect(201).document()
		assert.Equal(t, 20*day, d.ExpiresAt.Sub(d.CreatedAt))
	})

	t.Run("of a role with an idle timeout", func(t *testing.T) {
		s := start(t, remembering(false), withServiceTokens, func(set *settings) {
			set.life.Roles = map[string]time.Duration{"admin": time.Hour}
		})
		made := s.backend().do("POST", "/api/sessions", `{"remember":true,"user":{"id":"ada","roles":["admin"]}}`).expect(201).handedOver()
		assert.Contains(t, made.SetCookie, "; Max-Age=3600; ")
	})

	for name, tc := range map[string]struct{ method, path, body string }{
		"a text":          {"POST", "/api/session", `{"remember":"yes"}`},
		"null":            {"POST", "/api/session", `{"remember":null}`},
		"a number":        {"POST", "/api/sessions", `{"remember":1}`},
		"at a new id":     {"POST", "/api/session/regenerate", `{"remember":"yes"}`},
		"at a change":     {"PATCH", "/api/session", `{"remember":true}`},
		"at a put":        {"PUT", "/api/session", `{"remember":true}`},
		"at a touch":      {"POST", "/api/session/touch", `{"remember":true}`},
		"at a put by id":  {"PUT", "/api/sessions/session-of-a-service", `{"remember":true}`},
		"at an operation": {"POST", "/api/session/operations", `[{"op":"add","path":"/remember","value":true}]`},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			c := s.client()
			c.create(`{}`)
			code := "validation_failed"
			if tc.path == "/api/session/operations" {
				code = "patch_failed"
			}
			c.do(tc.method, tc.path, tc.body).problem(422, code)
		})
	}
}

func TestClearSiteData(t *testing.T) {
	s := start(t, func(set *settings) { set.ClearSiteData = `"cache", "storage"` })
	c := s.client()
	c.create(`{}`)
	assert.Empty(t, c.do("GET", "/api/session", "").expect(200).Header["Clear-Site-Data"])
	c.do("DELETE", "/api/session", "", "If-Match", `"other"`).problem(412, "precondition_failed")
	assert.Equal(t, []string{`"cache", "storage"`}, c.do("DELETE", "/api/session", "").expect(204).Header["Clear-Site-Data"])
	assert.Equal(t, []string{`"cache", "storage"`}, c.do("DELETE", "/api/session", "").expect(204).Header["Clear-Site-Data"])
	s = start(t)
	assert.Empty(t, s.client().do("DELETE", "/api/session", "").expect(204).Header["Clear-Site-Data"])
}

// What is exported is imported.
func TestFactsMoveWithTheirSessions(t *testing.T) {
	s := start(t, recording(api.ClientRecord{Agent: true, IP: true}))
	made := s.client().do("POST", "/api/session", `{"remember":true}`, "User-Agent", firefox).expect(201).document()
	plain := s.client().do("POST", "/api/session", `{}`, "User-Agent", "").expect(201).document()
	lines := s.export("")
	assert.Equal(t, 1, strings.Count(lines, `"label":"Firefox on Windows"`), lines)
	to := start(t)
	to.importing(lines).expect(200)
	assert.Equal(t, s.factsOf(made.ID), to.factsOf(made.ID))
	assert.Equal(t, s.factsOf(plain.ID), to.factsOf(plain.ID))
}
