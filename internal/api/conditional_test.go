package api_test

import (
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/memory"
)

// etag reads the ETag of a path.
func (s *service) etag(path string, headers ...string) string {
	s.t.Helper()
	tag := s.client().do("GET", path, "", headers...).expect(http.StatusOK).Header.Get("ETag")
	require.Regexp(s.t, `^"[A-Za-z0-9_-]+"$`, tag)
	return tag
}

// One URL answers for every visitor: an ETag of one session says nothing of
// another, be they as alike as they may. The clock stands still.
func TestETagsOfOneURLTellSessionsApart(t *testing.T) {
	s := start(t)
	const body = `{"inputs":{"same":true}}`
	one, other := s.client(), s.client()
	first := one.do("POST", "/api/session", body).expect(201).Header.Get("ETag")
	second := other.do("POST", "/api/session", body).expect(201).Header.Get("ETag")
	assert.NotEqual(t, first, second)
	other.do("GET", "/api/session", "", "If-None-Match", first).expect(200)
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		other.do(method, "/api/session", `{"meta":{"a":1}}`, "If-Match", first).problem(412, "precondition_failed")
	}
	other.do("POST", "/api/session/operations", `[{"op":"add","path":"/meta/a","value":1}]`, "If-Match", first).problem(412, "precondition_failed")

	// A visitor's own former session is another one, too.
	again := other.do("POST", "/api/session", body).expect(201).Header.Get("ETag")
	assert.NotEqual(t, second, again)
	other.do("GET", "/api/session", "", "If-None-Match", second).expect(200)
	other.do("PUT", "/api/session", `{"meta":{"a":1}}`, "If-Match", second).problem(412, "precondition_failed")
}

// A proxy that joins or edits headers may leave empty elements in a list.
func TestETagListsMayHaveEmptyElements(t *testing.T) {
	c := start(t).client()
	tag := c.do("POST", "/api/session", "").expect(201).Header.Get("ETag")
	for _, list := range []string{", " + tag, tag + ",", `"a,b", ,, ` + tag + " ,\t", ",," + tag} {
		c.do("GET", "/api/session", "", "If-None-Match", list).expect(304)
		c.do("GET", "/api/session", "", "If-None-Match", strings.ReplaceAll(list, tag, `"other"`)).expect(200)
		tag = c.do("PUT", "/api/session", `{}`, "If-Match", list).expect(200).Header.Get("ETag")
	}
	for _, none := range []string{"", ",", " , ", tag + tag, tag + " " + tag, "*, " + tag, tag + ", *"} {
		c.do("GET", "/api/session", "", "If-None-Match", none).problem(400, "invalid_header")
		c.do("PUT", "/api/session", `{}`, "If-Match", none).problem(400, "invalid_header")
	}
}

func TestETagOfASuccessorIsItsOwn(t *testing.T) {
	c := start(t).client()
	tag := c.do("POST", "/api/session", "").expect(201).Header.Get("ETag")
	next := c.do("POST", "/api/session/regenerate", "").expect(200).Header.Get("ETag")
	assert.NotEqual(t, tag, next)
	c.do("GET", "/api/session", "", "If-None-Match", tag).expect(200)
	c.do("GET", "/api/session", "", "If-None-Match", next).expect(304)
	c.do("PUT", "/api/session", `{}`, "If-Match", tag).problem(412, "precondition_failed")
	c.do("PUT", "/api/session", `{}`, "If-Match", next).expect(200)
}

// An id that is made anew is another session, even in the same millisecond and
// with the same content.
func TestETagOfAnIDMadeAnew(t *testing.T) {
	s := start(t)
	b := s.backend()
	seen := map[string]bool{}
	for range 5 {
		tag := b.do("PUT", foreign+"?revive=true", `{"inputs":{"a":1}}`).expect(201).Header.Get("ETag")
		assert.False(t, seen[tag], "seen before")
		for before := range seen {
			b.do("GET", foreign, "", "If-None-Match", before).expect(200)
			b.do("PUT", foreign, `{"meta":{"late":true}}`, "If-Match", before).problem(412, "precondition_failed")
			b.do("DELETE", foreign, "", "If-Match", before).problem(412, "precondition_failed")
		}
		seen[tag] = true
		b.do("DELETE", foreign, "", "If-Match", tag).expect(204)
	}
}

func TestETagTellsNamespacesApart(t *testing.T) {
	b := start(t).backend()
	one := b.do("PUT", foreign, `{}`).expect(201).Header.Get("ETag")
	other := b.do("PUT", foreign+"?namespace=shop", `{}`).expect(201).Header.Get("ETag")
	assert.NotEqual(t, one, other)
	b.do("PUT", foreign+"?namespace=shop", `{"meta":{"a":1}}`, "If-Match", one).problem(412, "precondition_failed")
}

func TestETagIsTheSameOnEveryRoute(t *testing.T) {
	s := start(t)
	c := s.client()
	made := c.do("POST", "/api/session", `{"inputs":{"a":1}}`).expect(201)
	tag, id := made.Header.Get("ETag"), made.document().ID
	at := "/api/sessions/" + id
	assert.Equal(t, tag, s.etag(at))
	assert.Equal(t, tag, s.etag("/api/session", "Authorization", "Bearer "+c.token()))
	s.backend().do("GET", at, "", "If-None-Match", tag).expect(304)
	assert.Equal(t, tag, s.backend().do("HEAD", at, "").expect(200).Header.Get("ETag"))

	// A touch changes nothing, nor do reads that move the deadline.
	s.clock.advance(time.Hour)
	assert.Equal(t, tag, c.do("GET", "/api/session", "").expect(200).Header.Get("ETag"))
	assert.Equal(t, tag, c.do("POST", "/api/session/touch", `{"ttlMs":60000}`).expect(200).Header.Get("ETag"))
	assert.Equal(t, tag, s.backend().do("POST", at+"/touch", "").expect(200).Header.Get("ETag"))
	assert.Equal(t, tag, c.do("PATCH", "/api/session", `{"inputs":{"a":1}}`).expect(200).Header.Get("ETag"), "nothing has changed")

	changed := s.backend().do("PATCH", at, `{"inputs":{"a":2}}`, "If-Match", tag).expect(200).Header.Get("ETag")
	assert.NotEqual(t, tag, changed)
	assert.Equal(t, changed, c.do("GET", "/api/session", "").expect(200).Header.Get("ETag"))
	c.do("PUT", "/api/session", `{"inputs":{"a":3}}`, "If-Match", tag).problem(412, "precondition_failed")
	c.do("PUT", "/api/session", `{"inputs":{"a":3}}`, "If-Match", changed).expect(200)
}

// What a session's ETag is, an export carries; what was exported before there
// was more to it than the document has one that stays the same.
func TestETagsOfRecords(t *testing.T) {
	s := start(t)
	b := s.backend()
	tag := b.do("PUT", foreign, `{"inputs":{"a":1}}`).expect(201).Header.Get("ETag")
	file := s.export("")
	there := start(t)
	assert.Equal(t, moved(1, 0, 0, 0), string(there.importing(file).expect(200).body))
	assert.Equal(t, tag, there.etag(foreign))

	before := `{"namespace":"default","idleMs":86400000,"session":{"id":"brought-by-the-caller","createdAt":"2026-11-21T17:04:05.123Z",` +
		`"updatedAt":"2026-11-21T17:04:05.123Z","expiresAt":"2026-11-22T17:04:05.123Z","version":1,"revision":1,"user":null,` +
		`"inputs":{"a":1},"apiConfig":{},"results":{},"meta":{}}}` + "\n"
	old := start(t)
	old.importing(before).expect(200)
	derived := old.etag(foreign)
	assert.NotEqual(t, tag, derived)
	assert.Equal(t, before, old.export(""), "and it stays as it is")
	oldest := start(t)
	oldest.importing(old.export("")).expect(200)
	assert.Equal(t, derived, oldest.etag(foreign))
}

// A late write does not bring back what is gone by itself: it was somebody's
// session, whose token would open it again.
func TestPutOfWhatExpiredOrGaveWay(t *testing.T) {
	gone := map[string]func(s *service, b *serviceCaller){
		"expired, not noticed": func(s *service, _ *serviceCaller) { s.clock.advance(time.Minute) },
		"expired a moment ago": func(s *service, _ *serviceCaller) { s.clock.advance(time.Minute + time.Millisecond) },
		"expired and swept": func(s *service, _ *serviceCaller) {
			s.clock.advance(time.Minute)
			_, err := s.store.Sweep(s.t.Context(), s.clock.Now())
			require.NoError(s.t, err)
		},
		"expired and read": func(s *service, b *serviceCaller) {
			s.clock.advance(time.Minute)
			b.do("GET", foreign, "").problem(404, "session_not_found")
		},
		"evicted": func(_ *service, b *serviceCaller) { b.create("", "") },
	}
	for name, leave := range gone {
		t.Run(name, func(t *testing.T) {
			s := start(t, withServiceTokens, func(set *settings) {
				set.store = memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 1, Tombstone: 5 * time.Minute})
			})
			b := s.backend()
			b.do("PUT", foreign, `{"ttlMs":60000}`).expect(201)
			leave(s, b)
			late := func() *answer { return b.do("PUT", foreign, `{"meta":{"late":true}}`) }
			p := late().problem(410, "session_ended")
			assert.Contains(t, p.Detail, "revive=true")
			b.do("PUT", foreign, `{}`, "If-None-Match", "*").problem(410, "session_ended")
			for _, method := range []string{"GET", "PATCH"} {
				b.do(method, foreign, `{}`).problem(404, "session_not_found")
			}
			b.do("HEAD", foreign, "").expect(404)
			b.do("POST", foreign+"/touch", "").problem(404, "session_not_found")
			b.do("POST", foreign+"/regenerate", "").problem(404, "session_not_found")
			b.do("PUT", foreign, `{}`, "If-Match", "*").problem(404, "session_not_found")
			b.do("DELETE", foreign, "").expect(204)
			late().problem(410, "session_ended")
			b.do("PUT", foreign+"?reviveExpired=maybe", `{}`).problem(400, "invalid_query")
			revive := "?revive=true"
			if strings.Contains(name, "read") || name == "evicted" {
				revive = "?reviveExpired=true"
			}
			b.do("PUT", foreign+revive, `{"meta":{"again":true}}`).expect(201)
			assert.JSONEq(t, `{"again":true}`, string(b.do("GET", foreign, "").expect(200).document().Meta))
		})
	}
}

func TestReviveExpiredLeavesWhatWasEnded(t *testing.T) {
	b := start(t).backend()
	b.do("PUT", foreign, `{}`).expect(201)
	b.do("DELETE", foreign, "").expect(204)
	b.do("PUT", foreign+"?reviveExpired=true", `{}`).problem(410, "session_ended")
	b.do("PUT", foreign+"?reviveExpired=true&revive=true", `{}`).expect(201)
}

// An import is no late write: what only expired or gave way comes back from a
// record that is still live, what was ended does not.
func TestImportOfWhatExpired(t *testing.T) {
	here, there := start(t), start(t)
	here.backend().do("PUT", foreign, `{"ttlMs":600000}`).expect(201)
	file := here.export("")
	there.backend().do("PUT", foreign, `{"ttlMs":60000}`).expect(201)
	there.clock.advance(time.Minute)
	there.backend().do("PUT", foreign, `{}`).problem(410, "session_ended")
	assert.Equal(t, moved(1, 0, 0, 0), string(there.importing(file).expect(200).body))
	there.backend().do("DELETE", foreign, "").expect(204)
	assert.Equal(t, moved(0, 0, 1, 0), string(there.importing(file).expect(200).body))
}

func TestBodiesOfOtherLanguages(t *testing.T) {
	s := start(t)
	b := s.backend()
	for _, empty := range []string{"[]", " [\n] ", `{"inputs":[],"apiConfig":[],"results":[],"meta":[]}`} {
		s.client().do("POST", "/api/session", empty).expect(201)
		d := b.do("PUT", foreign, empty).document()
		assert.JSONEq(t, `{}`, string(d.Inputs), empty)
		b.do("PATCH", foreign, empty).expect(200)
	}
	b.do("PUT", foreign, `{"inputs":{"a":1,"list":[]},"meta":{"b":2}}`).expect(200)
	d := b.do("PATCH", foreign, `{"inputs":[]}`).expect(200).document()
	assert.JSONEq(t, `{"a":1,"list":[]}`, string(d.Inputs), "it changes nothing, and arrays within stay")
	d = b.do("PUT", foreign, `{"inputs":[]}`).expect(200).document()
	assert.JSONEq(t, `{}`, string(d.Inputs))
	assert.JSONEq(t, `{"b":2}`, string(d.Meta))
	b.do("POST", foreign+"/touch", "[]").expect(200)
	b.do("POST", foreign+"/regenerate", "[]").expect(200)

	// Null is the default.
	for _, user := range []string{`{"id":"u","email":null}`, `{"id":"u","roles":null}`, `{"id":"u","email":null,"roles":null}`} {
		made := b.create("", `{"user":`+user+`}`)
		assert.Equal(t, "u", made.Session.User.ID)
		at := "/api/sessions/" + made.Session.ID
		for _, method := range []string{"PUT", "PATCH"} {
			b.do("PUT", at, `{"user":{"id":"v","email":"e","roles":["r"]}}`).expect(200)
			d := b.do(method, at, `{"user":`+user+`}`).expect(200).document()
			assert.Equal(t, "u", d.User.ID)
			if strings.Contains(user, "email") {
				assert.Empty(t, d.User.Email, method)
			}
			if strings.Contains(user, "roles") {
				assert.Empty(t, d.User.Roles, method)
			}
		}
	}

	fill(b, 3, "ada")
	for _, limit := range []string{"2", "2.0", "2e0", "20E-1", "0.2e1"} {
		seen := &client{s: s, http: &http.Client{Jar: newJar(t)}} // the contract spells whole numbers one way
		a := seen.do("GET", "/api/sessions?userId=ada&limit="+limit, "").expect(200)
		assert.Equal(t, 2, strings.Count(string(a.body), `"createdAt"`), limit)
	}
}

func newJar(t *testing.T) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return jar
}
