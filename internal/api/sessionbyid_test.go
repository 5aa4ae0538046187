package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

const (
	foreign = "/api/sessions/brought-by-the-caller"
	expires = 24 * time.Hour
)

func TestWholeLifeOfASessionByID(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	out := b.create("", `{"user":{"id":"u-1"},"inputs":{"step":1}}`)
	at := "/api/sessions/" + out.Session.ID

	read := b.do("GET", at, "").expect(200)
	tag := read.Header.Get("ETag")
	assert.Equal(t, out.Session, read.document())
	head := b.do("HEAD", at, "").expect(200)
	assert.Equal(t, tag, head.Header.Get("ETag"))
	assert.EqualValues(t, len(read.body), head.ContentLength)
	b.do("GET", at, "", "If-None-Match", `W/`+tag).expect(304)
	b.do("GET", at, "", "If-None-Match", `"1"`).expect(200)
	b.do("GET", at, "", "If-None-Match", `2`).problem(400, "invalid_header")

	d := b.do("PUT", at, `{"results":{"score":1.50},"user":{"id":"u-2","email":"b@example.com"}}`).expect(200).document()
	assert.Equal(t, 2, d.Revision)
	assert.JSONEq(t, `{"step":1}`, string(d.Inputs), "what PUT does not name stays")
	assert.Equal(t, "u-2", d.User.ID)
	d = b.do("PATCH", at, `{"inputs":{"name":"Ada","step":null}}`).expect(200).document()
	assert.JSONEq(t, `{"name":"Ada"}`, string(d.Inputs))
	b.do("PATCH", at, `{"meta":{"a":1}}`, "Content-Type", "application/json").expect(200)
	b.do("PATCH", at, `{"user":null}`).expect(200)
	assert.Nil(t, s.client().do("GET", "/api/session", "", cookieOf(out.SetCookie)...).expect(200).document().User)

	next := b.do("POST", at+"/regenerate", "").expect(200)
	assert.Empty(t, next.Header["Set-Cookie"])
	renewed := next.handedOver()
	assert.Equal(t, sign(renewed.Session.ID, secret), renewed.Token)
	assert.True(t, s.reads(cookieOf(renewed.SetCookie)...))
	assert.False(t, s.reads(cookieOf(out.SetCookie)...))
	b.do("GET", at, "").problem(404, "session_not_found")

	at = "/api/sessions/" + renewed.Session.ID
	b.do("DELETE", at, "").expect(204)
	b.do("DELETE", at, "").expect(204)
	assert.False(t, s.reads(cookieOf(renewed.SetCookie)...))
	b.do("GET", at, "").problem(404, "session_not_found")
	b.do("HEAD", at, "").expect(404)
	b.do("PATCH", at, `{}`).problem(404, "session_not_found")
	b.do("POST", at+"/touch", "").problem(404, "session_not_found")
	b.do("POST", at+"/touch", `{"ttlMs":1000}`).problem(404, "session_not_found")
	b.do("POST", at+"/regenerate", "").problem(404, "session_not_found")
	b.do("PUT", at, `{}`).problem(410, "session_ended")
}

// unaskedStore fails whatever it is asked.
type unaskedStore struct{ backend.Store }

func (unaskedStore) Close() error { return nil }

func TestIDsThatNoSessionCanHave(t *testing.T) {
	s := start(t, withServiceTokens, func(s *settings) { s.store = unaskedStore{} })
	b := s.backend()
	for _, id := range []string{
		"%00", "a%2fb", "..%2f..", "%c0%ae", "%2e%2e%2f%2e%2e%2f%2e%2e%2f", "..", "short", strings.Repeat("a", 15), strings.Repeat("a", 129),
		strings.Repeat("a", 20) + ".", strings.Repeat("a", 20) + "%20", strings.Repeat("a", 20) + "%0a", strings.Repeat("%C3%A9", 20), "%F0%9F%8D%AA%F0%9F%8D%AA%F0%9F%8D%AA",
		"s:" + strings.Repeat("a", 64), "s%3A" + strings.Repeat("a", 64) + ".x", "*", "%2561aaaaaaaaaaaaaaaaaaaa", "count%00", "aaaaaaaaaaaaaaaaaaaa;x", strings.Repeat("a", 9000),
	} {
		for _, r := range []struct{ method, suffix, body string }{
			{"GET", "", ""}, {"PUT", "", `{}`}, {"PATCH", "", `{}`}, {"DELETE", "", ""}, {"POST", "/touch", ""}, {"POST", "/regenerate", ""},
		} {
			p := b.do(r.method, "/api/sessions/"+id+r.suffix, r.body).problem(400, "invalid_id")
			assert.Contains(t, p.Detail, "16 to 128 characters of A-Z, a-z, 0-9, - and _")
		}
		b.do("HEAD", "/api/sessions/"+id, "").expect(400)
	}
	b.do("POST", "/api/sessions//touch", "").problem(404, "not_found")
	s.client().do("PUT", "/api/sessions/short", `{}`).problem(401, "unauthorized")
	for _, path := range []string{"/api/sessions/", "/api/sessions/a/b", "/api/sessions//", "/api/sessions//touch", "//api/sessions", "/api/sessions/" + schema.NewID() + "/", "/api/sessions/" + schema.NewID() + "/touch/x"} {
		a := b.do("GET", path, "").expect(404)
		assert.Empty(t, a.Header.Get("Location"))
	}
}

func TestIDsThatCallersBring(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	for _, id := range []string{
		"3q2-7wEjRWeJq83vASNFZ4mrze8BI0Vn", "0b7e6c2d-8a51-4c5e-9d43-5a3f1a2b4c6d", strings.Repeat("a", 16), strings.Repeat("-", 128), strings.Repeat("_", 20), strings.Repeat("AB", 32),
	} {
		made := b.do("PUT", "/api/sessions/"+id, `{"user":{"id":"u"}}`).expect(201)
		assert.Equal(t, "/api/sessions/"+id, made.Header.Get("Location"))
		assert.Equal(t, id, made.document().ID)
		assert.Equal(t, string(made.body), string(b.do("GET", made.Header.Get("Location"), "").expect(200).body))
		encoded := fmt.Sprintf("%%%02x%s", id[0], id[1:]) // another spelling of the same path (RFC 3986 section 6.2.2.2)
		assert.Equal(t, id, b.do("GET", "/api/sessions/"+encoded, "").expect(200).document().ID)
		b.do("POST", "/api/sessions/"+encoded+"/touch", "").expect(200)
		assert.True(t, s.reads("Authorization", "Bearer "+sign(id, secret)))
		next := b.do("POST", "/api/sessions/"+id+"/regenerate", "").expect(200).handedOver()
		assert.True(t, schema.ValidID(next.Session.ID))
	}
	id := schema.NewID()
	b.do("PUT", "/api/sessions/"+id, `{}`).expect(201)
	b.do("GET", "/api/sessions/"+strings.ToUpper(id), "").problem(404, "session_not_found")
	assert.NotContains(t, s.log.String(), "0b7e6c2d-8a51", "an id is logged as a short hash")
	assert.NotContains(t, s.log.String(), "3q2-7wEjRWe")
}

func TestPutCreates(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	d := b.do("PUT", foreign, `{"inputs":{"n":1e300},"ttlMs":60000,"id":"ignored","revision":7}`).expect(201).document()
	assert.Equal(t, 1, d.Revision)
	assert.Equal(t, s.clock.Now().Add(time.Minute), d.ExpiresAt)
	assert.Equal(t, "brought-by-the-caller", d.ID)
	again := b.do("PUT", foreign, `{"meta":{"a":1}}`).expect(200)
	assert.Empty(t, again.Header.Get("Location"))
	assert.Equal(t, 2, again.document().Revision)
	same := b.do("PUT", foreign, string(again.body)).expect(200)
	assert.Equal(t, again.body, same.body, "the whole document can be sent back")

	s.clock.advance(time.Minute)
	b.do("PUT", foreign, `{}`).problem(410, "session_ended")
	b.do("GET", foreign, "").problem(404, "session_not_found")
	b.do("PATCH", foreign, `{}`).problem(404, "session_not_found")
	s.clock.advance(5*time.Minute - time.Millisecond)
	b.do("PUT", foreign, `{}`).problem(410, "session_ended")
	s.clock.advance(time.Millisecond)
	d = b.do("PUT", foreign, `{}`).expect(201).document()
	assert.JSONEq(t, `{}`, string(d.Inputs))
}

func TestPutPreconditions(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	b.do("PUT", foreign, `{}`, "If-Match", `*`).problem(404, "session_not_found")
	b.do("PUT", foreign, `{}`, "If-Match", `"1"`).problem(404, "session_not_found")
	b.do("PUT", foreign, `{}`, "If-Match", `*`, "If-None-Match", `*`).problem(404, "session_not_found")
	first := b.do("PUT", foreign, `{}`, "If-None-Match", `"1"`).expect(201).Header.Get("ETag") // what is not there has no ETag
	p := b.do("PUT", foreign, `{"meta":{"a":1}}`, "If-None-Match", `*`).problem(412, "precondition_failed")
	assert.Contains(t, p.Detail, "If-None-Match")
	b.do("PUT", foreign, `{"meta":{"a":1}}`, "If-None-Match", `W/`+first).problem(412, "precondition_failed")
	b.do("PUT", foreign, `{"meta":{"a":1}}`, "If-Match", first, "If-None-Match", `*`).problem(412, "precondition_failed")
	b.do("PUT", foreign, `{}`, "If-None-Match", `*, "1"`).problem(400, "invalid_header")
	b.do("PUT", foreign, `{}`, "If-None-Match", `yes`).problem(400, "invalid_header")
	assert.Equal(t, 1, b.do("GET", foreign, "").expect(200).document().Revision)
	second := b.do("PUT", foreign, `{"meta":{"a":1}}`, "If-None-Match", `"7"`).expect(200).Header.Get("ETag")
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		b.do(method, foreign, `{"meta":{"b":1}}`, "If-Match", `2`).problem(400, "invalid_header")
		b.do(method, foreign, `{"meta":{"b":1}}`, "If-Match", `W/`+second).problem(412, "precondition_failed")
		b.do(method, foreign, `{"meta":{"b":1}}`, "If-Match", first).problem(412, "precondition_failed")
		b.do(method, foreign, `{"meta":{"b":1}}`, "If-Match", `"2"`).problem(412, "precondition_failed")
	}
	third := b.do("PUT", foreign, `{"meta":{"a":2}}`, "If-Match", second).expect(200).Header.Get("ETag")
	fourth := b.do("PATCH", foreign, `{"meta":{"a":3}}`, "If-Match", `"1", `+third).expect(200).Header.Get("ETag")
	b.do("DELETE", foreign, "", "If-Match", fourth).expect(204)
	b.do("DELETE", foreign, "", "If-Match", fourth).expect(204)
	b.do("PUT", foreign, `{}`, "If-Match", `*`).problem(404, "session_not_found")
	b.do("PATCH", foreign, `{}`, "If-Match", `*`).problem(404, "session_not_found")
	b.do("PUT", foreign, `{}`, "If-None-Match", `*`).problem(410, "session_ended")
	b.do("PUT", foreign+"?revive=true", `{}`, "If-None-Match", `*`).expect(201)
}

func TestRequireIfMatchByID(t *testing.T) {
	b := start(t, withServiceTokens, func(s *settings) { s.RequireIfMatch = true }).backend()
	b.do("PUT", foreign, `{}`).problem(428, "precondition_required")
	b.do("PUT", foreign, `{}`, "If-None-Match", `"1"`).problem(428, "precondition_required")
	tag := b.do("PUT", foreign, `{}`, "If-None-Match", `*`).expect(201).Header.Get("ETag")
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		b.do(method, foreign, `{}`).problem(428, "precondition_required")
	}
	tag = b.do("PUT", foreign, `{"meta":{"a":1}}`, "If-Match", tag).expect(200).Header.Get("ETag")
	tag = b.do("PATCH", foreign, `{"meta":{"a":2}}`, "If-Match", tag).expect(200).Header.Get("ETag")
	b.do("POST", foreign+"/touch", "").expect(200)
	b.do("DELETE", foreign, "", "If-Match", tag).expect(204)
}

func TestWhatWasEndedStaysEnded(t *testing.T) {
	end := map[string]func(s *service, b *serviceCaller, out handedOver){
		"by id": func(_ *service, b *serviceCaller, out handedOver) {
			b.do("DELETE", "/api/sessions/"+out.Session.ID, "").expect(204)
		},
		"with its user's": func(_ *service, b *serviceCaller, _ handedOver) { assert.Equal(t, 1, b.deleted("?userId=u")) },
		"with all":        func(_ *service, b *serviceCaller, _ handedOver) { assert.Equal(t, 1, b.deleted("?all=true")) },
		"by its owner": func(s *service, _ *serviceCaller, out handedOver) {
			s.client().do("DELETE", "/api/session", "", cookieOf(out.SetCookie)...).expect(204)
		},
		"for a new one": func(s *service, _ *serviceCaller, out handedOver) {
			s.client().do("POST", "/api/session", "", cookieOf(out.SetCookie)...).expect(201)
		},
		"regenerated": func(_ *service, b *serviceCaller, out handedOver) {
			b.do("POST", "/api/sessions/"+out.Session.ID+"/regenerate", "").expect(200)
		},
	}
	for name, end := range end {
		t.Run(name, func(t *testing.T) {
			s := start(t, withServiceTokens)
			b := s.backend()
			out := b.create("", `{"user":{"id":"u"}}`)
			at := "/api/sessions/" + out.Session.ID
			end(s, b, out)
			b.do("PUT", at, `{"meta":{"late":true}}`).problem(410, "session_ended")
			b.do("GET", at, "").problem(404, "session_not_found")
			s.clock.advance(5*time.Minute - time.Millisecond)
			b.do("PUT", at, `{}`).problem(410, "session_ended")
			b.do("PUT", at+"?namespace=other", `{}`).expect(201) // another session, which nobody ended
			s.clock.advance(time.Millisecond)
			b.do("PUT", at, `{"user":{"id":"u"}}`).expect(201)
			s.clock.advance(time.Minute)
			end(s, b, out)
			b.do("PUT", at, `{}`).problem(410, "session_ended")
		})
	}
	b := start(t, withServiceTokens).backend()
	for range 3 {
		b.do("PUT", foreign+"?revive=true", `{"meta":{"a":1}}`).expect(201)
		b.do("PUT", foreign+"?revive=true", `{}`).expect(200)
		b.do("DELETE", foreign, "").expect(204)
	}
	b.do("PUT", foreign+"?revive=false", `{}`).problem(410, "session_ended")
	b.do("PUT", foreign+"?revive=maybe", `{}`).problem(400, "invalid_query")
}

func TestOfConcurrentCreationsOneSucceeds(t *testing.T) {
	s := start(t, withServiceTokens)
	for round := range 5 {
		statuses := make([]int, 12)
		var wg sync.WaitGroup
		for i := range statuses {
			wg.Go(func() {
				statuses[i] = s.backend().do("PUT", fmt.Sprintf("%s-%d", foreign, round), fmt.Sprintf(`{"meta":{"writer":%d}}`, i), "If-None-Match", "*").StatusCode
			})
		}
		wg.Wait()
		slices.Sort(statuses)
		assert.Equal(t, append([]int{201}, slices.Repeat([]int{412}, 11)...), statuses)
	}
}

func TestLateWritesResurrectNothing(t *testing.T) {
	s := start(t, withServiceTokens)
	for round := range 10 {
		at := fmt.Sprintf("%s-%d", foreign, round)
		s.backend().do("PUT", at, `{}`).expect(201)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				a := s.backend().do("PUT", at, fmt.Sprintf(`{"meta":{"writer":%d}}`, i))
				assert.Contains(t, []int{200, 410}, a.StatusCode)
			})
			if i == 4 {
				wg.Go(func() { s.backend().do("DELETE", at, "").expect(204) })
			}
		}
		wg.Wait()
		s.backend().do("GET", at, "").problem(404, "session_not_found")
	}
	assert.Zero(t, s.backend().count(""))
}

func TestServicesMoveTheDeadlineOnlyWhenTheySaySo(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	d := b.do("PUT", foreign, `{}`).expect(201).document()
	s.clock.advance(time.Hour)
	for _, r := range []struct{ method, path, body string }{
		{"GET", foreign, ""},
		{"HEAD", foreign, ""},
		{"GET", foreign + "?touch=false", ""},
		{"PUT", foreign, `{"meta":{"a":1}}`},
		{"PATCH", foreign, `{"meta":{"a":2}}`},
		{"PUT", foreign + "?touch=false", `{}`},
		{"GET", "/api/sessions", ""},
		{"GET", "/api/sessions/count", ""},
	} {
		b.do(r.method, r.path, r.body).expect(200)
		assert.Equal(t, d.ExpiresAt, b.do("GET", foreign, "").expect(200).document().ExpiresAt, "%s %s", r.method, r.path)
	}
	for _, r := range []struct{ method, path, body string }{
		{"GET", foreign + "?touch=true", ""},
		{"PUT", foreign + "?touch=true", `{"meta":{"a":3}}`},
		{"PATCH", foreign + "?touch=true", `{"meta":{"a":4}}`},
		{"PATCH", foreign + "?touch=true", `{}`},
		{"POST", foreign + "/touch", ""},
		{"POST", foreign + "/touch", `{}`},
	} {
		s.clock.advance(time.Hour)
		a := b.do(r.method, r.path, r.body).expect(200)
		assert.Empty(t, a.Header["Set-Cookie"])
		assert.Equal(t, s.clock.Now().Add(expires), a.document().ExpiresAt, "%s %s", r.method, r.path)
		assert.Equal(t, a.document(), b.do("GET", foreign, "").expect(200).document())
	}
	for _, r := range []struct{ method, path, body string }{
		{"PUT", foreign, `{"ttlMs":%d}`}, {"PATCH", foreign, `{"ttlMs":%d}`}, {"POST", foreign + "/touch", `{"ttlMs":%d}`},
	} {
		s.clock.advance(time.Second)
		got := b.do(r.method, r.path, fmt.Sprintf(r.body, 60000)).expect(200).document()
		assert.Equal(t, s.clock.Now().Add(time.Minute), got.ExpiresAt)
		b.do(r.method, r.path, fmt.Sprintf(r.body, 0)).problem(422, "validation_failed")
	}
	for _, query := range []string{"touch=maybe", "touch=", "touch=true&touch=true", "%zz", "a;b"} {
		b.do("GET", foreign+"?"+query, "").problem(400, "invalid_query")
		b.do("PUT", foreign+"?"+query, `{}`).problem(400, "invalid_query")
		b.do("PATCH", foreign+"?"+query, `{}`).problem(400, "invalid_query")
	}
}

func TestARefreshOfAStoreThatKeepsCookiesIsOnePatch(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	b.do("PUT", foreign, `{"inputs":{"cart":[1]},"meta":{"cookie":{"path":"/","expires":"old"}}}`).expect(201)
	s.clock.advance(time.Hour)
	d := b.do("PATCH", foreign, `{"meta":{"cookie":{"expires":"new"}},"ttlMs":1800000}`).expect(200).document()
	assert.JSONEq(t, `{"cookie":{"path":"/","expires":"new"}}`, string(d.Meta))
	assert.JSONEq(t, `{"cart":[1]}`, string(d.Inputs))
	assert.Equal(t, s.clock.Now().Add(30*time.Minute), d.ExpiresAt)
}

func TestConcurrentPatchesByIDLoseNothing(t *testing.T) {
	s := start(t, withServiceTokens)
	out := s.backend().create("", "")
	const writers = 32
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			s.backend().do("PATCH", "/api/sessions/"+out.Session.ID, fmt.Sprintf(`{"inputs":{"k%d":%d}}`, i, i)).expect(200)
		})
		wg.Go(func() {
			s.client().do("PATCH", "/api/session", fmt.Sprintf(`{"results":{"k%d":%d}}`, i, i), cookieOf(out.SetCookie)...).expect(200)
		})
	}
	wg.Wait()
	d := s.backend().do("GET", "/api/sessions/"+out.Session.ID, "").expect(200).document()
	for _, section := range []json.RawMessage{d.Inputs, d.Results} {
		var members map[string]int
		require.NoError(t, json.Unmarshal(section, &members))
		assert.Len(t, members, writers)
	}
	assert.Equal(t, 2*writers+1, d.Revision)
}

func TestConcurrentRegeneratesByIDHandOverOneToken(t *testing.T) {
	for grace, rest := range map[string]int{"": 404, `{"graceMs":5000}`: 409} {
		s := start(t, withServiceTokens)
		out := s.backend().create("", `{"user":{"id":"u"}}`)
		answers := make([]*answer, 12)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				answers[i] = s.backend().do("POST", "/api/sessions/"+out.Session.ID+"/regenerate", grace)
			})
		}
		wg.Wait()
		var issued []handedOver
		for _, a := range answers {
			if a.StatusCode == http.StatusOK {
				issued = append(issued, a.handedOver())
				continue
			}
			assert.Equal(t, rest, a.StatusCode)
		}
		require.Len(t, issued, 1)
		assert.True(t, s.reads(cookieOf(issued[0].SetCookie)...))
		assert.Equal(t, 1, s.backend().count("?userId=u"))
	}
}

func TestTheOldIDInItsGrace(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	out := b.create("", `{"user":{"id":"u"}}`)
	at := "/api/sessions/" + out.Session.ID
	next := b.do("POST", at+"/regenerate", `{"graceMs":5000}`).expect(200).handedOver()
	assert.NotEqual(t, out.Session.ID, next.Session.ID)

	s.clock.advance(4 * time.Second)
	assert.Equal(t, next.Session, b.do("GET", at, "").expect(200).document())
	assert.Equal(t, next.Session, b.do("GET", at+"?touch=true", "").expect(200).document(), "moves nothing")
	b.do("HEAD", at, "").expect(200)
	for what, a := range map[string]*answer{
		"PUT":           b.do("PUT", at, `{"meta":{"put":1}}`),
		"PUT, If-Match": b.do("PUT", at, `{}`, "If-Match", "*"),
		"PATCH":         b.do("PATCH", at, `{"meta":{"patch":1}}`),
		"touch":         b.do("POST", at+"/touch", ""),
		"touch, ttlMs":  b.do("POST", at+"/touch", `{"ttlMs":1000000}`),
	} {
		assert.Equal(t, next.Session.ID, a.expect(200).document().ID, what)
	}
	got := b.do("GET", "/api/sessions/"+next.Session.ID, "").expect(200).document()
	assert.JSONEq(t, `{"put":1,"patch":1}`, string(got.Meta))
	assert.Equal(t, s.clock.Now().Add(1000*time.Second), got.ExpiresAt)
	b.do("POST", at+"/regenerate", `{"graceMs":5000}`).problem(409, "not_current")

	s.clock.advance(time.Second)
	b.do("GET", at, "").problem(404, "session_not_found")
	b.do("PUT", at, `{}`).problem(410, "session_ended")
	b.do("PATCH", at, `{}`).problem(404, "session_not_found")
	b.do("POST", at+"/touch", "").problem(404, "session_not_found")
	b.do("POST", at+"/regenerate", `{"graceMs":5000}`).problem(404, "session_not_found")

	at = "/api/sessions/" + next.Session.ID
	last := b.do("POST", at+"/regenerate", `{"graceMs":3600000}`).expect(200).handedOver()
	b.do("DELETE", at, "").expect(204)
	b.do("GET", "/api/sessions/"+last.Session.ID, "").problem(404, "session_not_found")
	assert.False(t, s.reads(cookieOf(last.SetCookie)...), "ending it by its old id ends it")
	b.do("GET", at, "").problem(404, "session_not_found")
	for _, grace := range []string{"-1", "1.5", `"1"`, "null"} {
		b.do("POST", at+"/regenerate", `{"graceMs":`+grace+`}`).problem(422, "validation_failed")
	}
}

func TestTheGraceIsCapped(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	at := "/api/sessions/" + b.create("", "").Session.ID
	b.do("POST", at+"/regenerate", `{"graceMs":3600000}`).expect(200)
	s.clock.advance(time.Minute)
	b.do("GET", at, "").problem(404, "session_not_found")
}

func TestBodiesByID(t *testing.T) {
	b := start(t, withServiceTokens).backend()
	b.do("PUT", foreign, `{"meta":{"kept":true}}`).expect(201)
	tooLarge := `{"inputs":{"a":"` + strings.Repeat("x", 1<<20) + `"}}`
	for _, r := range []struct{ method, path string }{{"PUT", foreign}, {"PATCH", foreign}, {"PUT", foreign + "-2"}} {
		b.do(r.method, r.path, "").problem(400, "bad_request")
		b.do(r.method, r.path, `null`).problem(400, "invalid_json")
		b.do(r.method, r.path, `{"meta":{"a":1,"a":2}}`).problem(400, "invalid_json")
		b.do(r.method, r.path, `{"USER":null}`).problem(422, "validation_failed")
		b.do(r.method, r.path, `{"meta":{"__proto__":1}}`).problem(422, "validation_failed")
		b.do(r.method, r.path, tooLarge).problem(413, "too_large")
		b.do(r.method, r.path, strings.Repeat(" ", 2<<20)).problem(413, "too_large")
		b.do(r.method, r.path, `{}`, "Content-Type", "text/plain").problem(415, "unsupported_media_type")
		b.do(r.method, r.path, `{}`, "Content-Encoding", "gzip").problem(415, "unsupported_media_type")
	}
	b.do("PUT", foreign, `{}`, "Content-Type", "application/merge-patch+json").problem(415, "unsupported_media_type")
	b.do("PATCH", foreign, `[]`, "Content-Type", "application/json-patch+json").problem(415, "unsupported_media_type")
	for _, action := range []string{"/touch", "/regenerate"} {
		b.do("POST", foreign+action, `[1]`).problem(400, "invalid_json")
		b.do("POST", foreign+action, `{"other":1}`).problem(422, "validation_failed")
		b.do("POST", foreign+action, `{}`, "Content-Type", "text/plain").problem(415, "unsupported_media_type")
		b.do("POST", foreign+action, strings.Repeat(" ", 2<<20)).problem(413, "too_large")
	}
	d := b.do("GET", foreign, "").expect(200).document()
	assert.Equal(t, 1, d.Revision)
	assert.JSONEq(t, `{"kept":true}`, string(d.Meta))
	assert.Equal(t, 1, b.count(""))
}

func TestMethodsOfServicePaths(t *testing.T) {
	b := start(t, withServiceTokens).backend()
	for path, allowed := range map[string][]string{
		"/api/sessions":         {"GET", "HEAD", "POST", "DELETE"},
		foreign:                 {"GET", "HEAD", "PUT", "PATCH", "DELETE"},
		foreign + "/touch":      {"POST"},
		foreign + "/regenerate": {"POST"},
	} {
		for _, method := range []string{"TRACE", "BREW", "OPTIONS"} {
			a := b.do(method, path, "")
			a.problem(405, "method_not_allowed")
			assert.Equal(t, allowed, a.Header.Values("Allow"), "%s %s", method, path)
		}
	}
	b.do("PUT", "/api/sessions", `{}`).problem(405, "method_not_allowed")
	b.do("GET", foreign+"/touch", "").problem(405, "method_not_allowed")
}

// FuzzServiceRoutes sends what a path and a query can hold. Nothing may fail
// inside the service, and no id may be read as another one's.
func FuzzServiceRoutes(f *testing.F) {
	rules := &schema.Rules{MaxBytes: 1 << 20, MaxTTL: time.Hour}
	kept := memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 10, Tombstone: time.Minute})
	opts := options(store.NewSessions(kept, rules, store.Lifetimes{TTL: time.Hour}, store.UserLimit{Max: 2}), rules)
	srv, err := api.New(opts)
	if err != nil {
		f.Fatal(err)
	}
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodPost}
	const id = "an-id-of-a-session"
	for i, path := range []string{"/" + id, "", "/count", "/" + id + "/touch", "/" + id + "/regenerate", "/%00", "/a%2fb", "/..%2f..", "/%c0%ae"} {
		for m := range methods {
			f.Add(byte(m), path, []string{"", "touch=true&namespace=a", "userId=u&except=" + id, "limit=1&cursor=AQ", "revive=true", "all=true"}[(i+m)%6])
		}
	}
	f.Add(byte(0), "", "limit=1&cursor="+backend.EncodeCursor(backend.Query{Namespace: "default"}, 1, id))
	f.Fuzz(func(t *testing.T, method byte, path, query string) {
		u, err := url.ParseRequestURI("/api/sessions" + path)
		if err != nil {
			return
		}
		u.RawQuery = query
		r := httptest.NewRequestWithContext(t.Context(), methods[int(method)%len(methods)], "http://localhost/", strings.NewReader(`{}`))
		r.URL = u
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError || w.Code == http.StatusUnauthorized {
			t.Fatalf("%s %q %q: status %d: %s", r.Method, path, query, w.Code, w.Body)
		}
		if w.Code == http.StatusOK && strings.Count(u.Path, "/") == 3 && !strings.HasSuffix(u.Path, "/count") && r.Method != http.MethodHead {
			var d document
			if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || "/api/sessions/"+d.ID != u.Path {
				t.Fatalf("%s %q answers %s", r.Method, path, w.Body)
			}
		}
	})
}
