package api_test

import (
	"context"
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

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// serviceCaller is a caller with a service token.
type serviceCaller struct{ *client }

func (s *service) backend() *serviceCaller {
	s.t.Helper()
	return &serviceCaller{s.client()}
}

func (b *serviceCaller) do(method, path, body string, headers ...string) *answer {
	b.s.t.Helper()
	return b.client.do(method, path, body, append([]string{"Authorization", "Bearer " + serviceToken}, headers...)...)
}

// create makes a session and returns what the backend is told of it.
func (b *serviceCaller) create(query, body string) handedOver {
	b.s.t.Helper()
	return b.do("POST", "/api/sessions"+query, body).expect(201).handedOver()
}

// handedOver is a session and what opens it.
type handedOver struct {
	Session          document
	Token, SetCookie string
}

func (a *answer) handedOver() (out handedOver) {
	a.t.Helper()
	require.NoError(a.t, json.Unmarshal(a.body, &out), "%s", a.body)
	return out
}

// listed is a page of a list.
type listed struct {
	Sessions   []document
	NextCursor string
}

func (b *serviceCaller) list(query url.Values) (page listed) {
	b.s.t.Helper()
	a := b.do("GET", "/api/sessions?"+query.Encode(), "").expect(200)
	require.NoError(b.s.t, json.Unmarshal(a.body, &page), "%s", a.body)
	return page
}

// ids lists everything that the query selects, page by page.
func (b *serviceCaller) ids(query string) []string {
	b.s.t.Helper()
	q, err := url.ParseQuery(query)
	require.NoError(b.s.t, err)
	ids := []string{}
	for {
		page := b.list(q)
		for _, d := range page.Sessions {
			ids = append(ids, d.ID)
		}
		if page.NextCursor == "" {
			return ids
		}
		q.Set("cursor", page.NextCursor)
	}
}

func (b *serviceCaller) count(query string) int {
	b.s.t.Helper()
	return int(b.do("GET", "/api/sessions/count"+query, "").expect(200).json()["count"].(float64))
}

func (b *serviceCaller) deleted(query string) int {
	b.s.t.Helper()
	return int(b.do("DELETE", "/api/sessions"+query, "").expect(200).json()["deleted"].(float64))
}

// reads reports whether the token or cookie opens a session on the public routes.
func (s *service) reads(headers ...string) bool {
	s.t.Helper()
	return s.client().do("GET", "/api/session", "", headers...).StatusCode == http.StatusOK
}

func cookieOf(setCookie string) []string {
	pair, _, _ := strings.Cut(setCookie, ";")
	return []string{"Cookie", pair}
}

func TestCreatingForSomebodyHandsOverWhatOpensTheSession(t *testing.T) {
	for name, cookie := range map[string]api.Cookie{
		"plain":  {Name: cookieName, SameSite: http.SameSiteLaxMode},
		"secure": {Name: "__Secure-sid", Domain: "example.com", Secure: true, SameSite: http.SameSiteNoneMode, Partitioned: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, withServiceTokens, func(s *settings) { s.Cookie = cookie })
			made := s.backend().do("POST", "/api/sessions", `{"user":{"id":"u-1","roles":["editor"]},"inputs":{"n":1.50},"ttlMs":90500}`).expect(201)
			assert.Empty(t, made.Header["Set-Cookie"], "the backend is not the browser")
			out := made.handedOver()
			assert.True(t, schema.ValidID(out.Session.ID))
			assert.Equal(t, "u-1", out.Session.User.ID)
			assert.NotEmpty(t, made.Header.Get("ETag"))
			assert.Equal(t, "/api/sessions/"+out.Session.ID, made.Header.Get("Location"))
			assert.Contains(t, string(made.body), `{"n":1.50}`, "digit for digit")
			read := s.backend().do("GET", made.Header.Get("Location"), "").expect(200)
			assert.Equal(t, made.Header.Get("ETag"), read.Header.Get("ETag"))
			assert.Equal(t, fmt.Sprintf(`{"session":%s,`, read.body), string(made.body[:len(read.body)+len(`{"session":,`)]))

			assert.Equal(t, sign(out.Session.ID, secret), out.Token)
			own := s.client().do("POST", "/api/session", `{"ttlMs":90500}`).expect(201)
			swap := strings.NewReplacer(url.QueryEscape(sign(own.document().ID, secret)), url.QueryEscape(out.Token))
			assert.Equal(t, swap.Replace(own.Header.Get("Set-Cookie")), out.SetCookie, "what the cookie route sends")

			assert.True(t, s.reads(cookieOf(out.SetCookie)...))
			assert.True(t, s.reads("Authorization", "Bearer "+out.Token))
		})
	}
}

func TestCreatingForSomebodyTakesWhatTheOwnRouteTakes(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	for _, body := range []string{"", "{}", `{"user":null}`} {
		assert.Nil(t, b.create("", body).Session.User)
	}
	b.do("POST", "/api/sessions", "", "Content-Type", "").expect(201)
	b.do("POST", "/api/sessions", `{"user":{}}`).problem(422, "validation_failed")
	b.do("POST", "/api/sessions", `{"ttlMs":0}`).problem(422, "validation_failed")
	b.do("POST", "/api/sessions", `[1]`).problem(400, "invalid_json")
	assert.Nil(t, b.create("", "[]").Session.User, "an empty array is what PHP sends for an empty object")
	b.do("POST", "/api/sessions", `{}`, "Content-Type", "text/plain").problem(415, "unsupported_media_type")
	b.do("POST", "/api/sessions", `{"inputs":{"a":"`+strings.Repeat("x", 1<<20)+`"}}`).problem(413, "too_large")
	assert.Equal(t, 5, b.count(""))

	// The cookie that a backend passes along by mistake is not its own.
	out := b.create("", "")
	b.do("POST", "/api/sessions", "", cookieOf(out.SetCookie)...).expect(201)
	assert.True(t, s.reads(cookieOf(out.SetCookie)...))
}

func TestServicesAreNotRateLimited(t *testing.T) {
	for name, change := range map[string]func(*settings){"with a token": withServiceTokens, "open": func(*settings) {}} {
		s := start(t, change, func(s *settings) { s.CreatePerMinute = 1 })
		for range 3 {
			s.backend().do("POST", "/api/sessions", "").expect(201)
		}
		assert.Equal(t, 3, s.backend().count(""), name)
	}
}

func TestNamespacesKeepApart(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	const id = "an-id-of-two-sessions"
	made := b.do("POST", "/api/sessions?namespace=app-2", `{"user":{"id":"u"}}`).expect(201)
	out := made.handedOver()
	assert.Empty(t, out.Token)
	assert.Empty(t, out.SetCookie)
	assert.NotContains(t, made.json(), "token")
	assert.NotContains(t, made.json(), "setCookie")
	assert.Equal(t, "/api/sessions/"+out.Session.ID+"?namespace=app-2", made.Header.Get("Location"))
	b.do("GET", made.Header.Get("Location"), "").expect(200)
	b.do("GET", "/api/sessions/"+out.Session.ID, "").problem(404, "session_not_found")
	assert.False(t, s.reads("Authorization", "Bearer "+sign(out.Session.ID, secret)), "its id opens nothing on the public routes")
	again := b.do("POST", "/api/sessions/"+out.Session.ID+"/regenerate?namespace=app-2", "").expect(200)
	assert.NotContains(t, again.json(), "token")
	assert.NotContains(t, again.json(), "setCookie")

	b.do("PUT", "/api/sessions/"+id, `{"user":{"id":"u"},"meta":{"in":"default"}}`).expect(201)
	b.do("PUT", "/api/sessions/"+id+"?namespace=app-2", `{"user":{"id":"u"},"meta":{"in":"app-2"}}`).expect(201)
	assert.JSONEq(t, `{"in":"default"}`, string(b.do("GET", "/api/sessions/"+id+"?namespace=default", "").expect(200).document().Meta))
	assert.JSONEq(t, `{"in":"app-2"}`, string(b.do("GET", "/api/sessions/"+id+"?namespace=app-2", "").expect(200).document().Meta))
	b.do("GET", "/api/sessions/"+id+"?namespace=app-3", "").problem(404, "session_not_found")
	for _, query := range []string{"", "userId=u"} {
		assert.Equal(t, []string{id}, b.ids(query))
		assert.Len(t, b.ids("namespace=app-2&"+query), 2)
		assert.Empty(t, b.ids("namespace=app-3&"+query))
		assert.Equal(t, 1, b.count("?"+query))
		assert.Equal(t, 2, b.count("?namespace=app-2&"+query))
		assert.Equal(t, 0, b.count("?namespace=app-3&"+query))
	}
	assert.Equal(t, 1, b.deleted("?userId=u"))
	assert.Equal(t, 0, b.deleted("?namespace=app-3&all=true"))
	assert.Equal(t, 2, b.count("?namespace=app-2"))
	assert.Equal(t, 2, b.deleted("?namespace=app-2&all=true"))
	b.do("PUT", "/api/sessions/"+id+"?namespace=app-3", `{}`).expect(201) // ended elsewhere, not here
}

func TestBadNamespaces(t *testing.T) {
	b := start(t, withServiceTokens).backend()
	const one = "/api/sessions/an-id-of-a-session"
	for _, r := range []struct{ method, path, body string }{
		{"POST", "/api/sessions", `{}`},
		{"GET", "/api/sessions", ""},
		{"DELETE", "/api/sessions?all=true", ""},
		{"GET", "/api/sessions/count", ""},
		{"POST", "/api/sessions/get", `{"ids":["an-id-of-a-session"]}`},
		{"POST", "/api/sessions/end", `{"all":true}`},
		{"GET", one, ""},
		{"PUT", one, `{}`},
		{"PATCH", one, `{}`},
		{"DELETE", one, ""},
		{"POST", one + "/touch", ""},
		{"POST", one + "/regenerate", ""},
	} {
		for _, bad := range []string{"", "Default", "a_b", "%00", "a%2fb", "%C3%A9", strings.Repeat("a", 33), "a&namespace=a", "a&namespace=b"} {
			join := "?"
			if strings.Contains(r.path, "?") {
				join = "&"
			}
			b.do(r.method, r.path+join+"namespace="+bad, r.body).problem(400, "invalid_query")
		}
	}
	b.do("HEAD", one+"?namespace=A", "").expect(400)
	assert.Zero(t, b.count(""))
	b.create("?namespace="+strings.Repeat("z", 32), "")
}

// fill makes sessions of a user, oldest first, several of them in the same
// millisecond.
func fill(b *serviceCaller, n int, user string) (ids []string) {
	for i := range n {
		if i%3 == 0 {
			b.s.clock.advance(time.Millisecond)
		}
		ids = append(ids, b.create("", fmt.Sprintf(`{"user":{"id":%q},"meta":{"n":%d}}`, user, i)).Session.ID)
	}
	return ids
}

func TestListIsNewestFirst(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	assert.JSONEq(t, `{"sessions":[]}`, string(b.do("GET", "/api/sessions", "").expect(200).body))
	ada, bob := fill(b, 7, "ada"), fill(b, 46, "bob smith/ö")
	all := b.list(url.Values{})
	assert.Len(t, all.Sessions, 50, "the default")
	for i := 1; i < len(all.Sessions); i++ {
		newer, older := all.Sessions[i-1], all.Sessions[i]
		assert.False(t, newer.CreatedAt.Before(older.CreatedAt))
		if newer.CreatedAt.Equal(older.CreatedAt) {
			assert.Less(t, newer.ID, older.ID)
		}
	}
	assert.ElementsMatch(t, slices.Concat(ada, bob), b.ids(""))
	assert.ElementsMatch(t, ada, b.ids("userId=ada"))
	assert.ElementsMatch(t, ada, b.ids("userId=ada&limit=2"))
	assert.ElementsMatch(t, bob, b.ids("userId="+url.QueryEscape("bob smith/ö")+"&limit=1000"))
	assert.Empty(t, b.ids("userId=nobody"))
	assert.Equal(t, 53, b.count(""))
	assert.Equal(t, 7, b.count("?userId=ada"))

	exact := b.list(url.Values{"userId": {"ada"}, "limit": {"7"}})
	assert.Len(t, exact.Sessions, 7)
	assert.Empty(t, exact.NextCursor, "nothing comes after it")

	// Documents come as a read of each has them, and no use of it.
	d := all.Sessions[0]
	s.clock.advance(time.Hour)
	after := b.list(url.Values{"limit": {"1"}}).Sessions[0]
	assert.Equal(t, d, after)
	assert.Contains(t, string(b.do("GET", "/api/sessions?limit=1", "").body), string(b.do("GET", "/api/sessions/"+d.ID, "").body))
	s.clock.advance(24 * time.Hour)
	assert.Empty(t, b.ids(""), "expired")
	assert.Zero(t, b.count(""))
}

func TestListPagesAreStable(t *testing.T) {
	b := start(t, withServiceTokens).backend()
	for _, user := range []string{"", "ada"} {
		ids := fill(b, 30, "ada")
		var seen []string
		q := url.Values{"limit": {"4"}}
		if user != "" {
			q.Set("userId", user)
		}
		ended := map[string]bool{}
		for page := 0; ; page++ {
			got := b.list(q)
			for _, d := range got.Sessions {
				seen = append(seen, d.ID)
			}
			if got.NextCursor == "" {
				break
			}
			q.Set("cursor", got.NextCursor)
			q.Set("limit", []string{"1", "3", "5"}[page%3]) // the limit may change
			last := got.Sessions[len(got.Sessions)-1].ID
			for _, id := range []string{last, ids[page]} { // the one that the cursor stands on, and one to come
				ended[id] = true
				b.do("DELETE", "/api/sessions/"+id, "").expect(204)
			}
			fill(b, 2, "ada")
		}
		assert.Len(t, slices.Compact(slices.Sorted(slices.Values(seen))), len(seen), "none twice")
		for _, id := range ids {
			if !ended[id] {
				assert.Contains(t, seen, id, "none hidden")
			}
		}
		for _, id := range seen {
			assert.Contains(t, ids, id, "what came after the first page is not on a later one")
		}
		b.deleted("?all=true")
	}
}

func TestListRefusesWhatItCannotRead(t *testing.T) {
	b := start(t, withServiceTokens).backend()
	fill(b, 3, "ada")
	for _, limit := range []string{"", "0", "1001", "-1", "%2B5", "5.5", "0x5", "1e4", "1e-1", "1e400", "-0", "ten", "99999999999999999999", "1&limit=1", "1&limit=2"} {
		b.do("GET", "/api/sessions?limit="+limit, "").problem(400, "invalid_query")
	}
	next := b.list(url.Values{"limit": {"1"}}).NextCursor
	require.NotEmpty(t, next)
	for _, cursor := range []string{"", "x", next[1:], next + "A", next + "%0A", next + "=", strings.ToLower(next), strings.Repeat("A", 8000), "%00", next + "&cursor=" + next} {
		b.do("GET", "/api/sessions?cursor="+cursor, "").problem(400, "invalid_query")
	}
	for _, other := range []string{"userId=ada", "namespace=other"} {
		b.do("GET", "/api/sessions?"+other+"&cursor="+next, "").problem(400, "invalid_query")
	}
	for _, path := range []string{"/api/sessions?", "/api/sessions/count?"} {
		for _, user := range []string{"", strings.Repeat("u", 257), "%ff", "a&userId=a", "a&userId=b"} {
			b.do("GET", path+"userId="+user, "").problem(400, "invalid_query")
		}
		for _, query := range []string{"%zz", "a;b", "userId=a;b"} {
			b.do("GET", path+query, "").problem(400, "invalid_query")
		}
		b.do("GET", path+"userId="+strings.Repeat("u", 256), "").expect(200)
	}
}

// listingStore notes how much it is asked for at once.
type listingStore struct {
	*memory.Store
	mu    sync.Mutex
	asked []int
}

func (l *listingStore) List(ctx context.Context, now time.Time, q backend.Query) (backend.Page, error) {
	l.mu.Lock()
	l.asked = append(l.asked, q.Limit)
	l.mu.Unlock()
	return l.Store.List(ctx, now, q)
}

func TestAPageIsBoundedInBytes(t *testing.T) {
	for name, c := range map[string]struct{ maxBytes, each, sessions, pages int }{
		"small documents":                {1 << 20, 100, 100, 1},
		"the largest documents":          {1 << 20, 1<<20 - 1000, 10, 3},
		"one is more than a page":        {6 << 20, 5 << 20, 2, 2},
		"a store that keeps little each": {64 << 10, 60 << 10, 70, 2},
	} {
		t.Run(name, func(t *testing.T) {
			kept := &listingStore{Store: memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 1000})}
			rules := &schema.Rules{MaxBytes: c.maxBytes}
			s := start(t, withServiceTokens, func(s *settings) { s.rules, s.store = rules, kept })
			b := s.backend()
			b.http.Transport = http.DefaultTransport // the contract's check is slow on megabytes
			made := []string{}
			for i := range c.sessions { // straight into the store: what is measured is how they come out
				at := s.clock.Now().Add(time.Duration(i) * time.Millisecond)
				sections := schema.EmptySections()
				sections.Inputs = []byte(`{"a":"` + strings.Repeat("x", c.each) + `"}`)
				sess, err := rules.Build(schema.Session{
					Namespace: schema.DefaultNamespace, ID: schema.NewID(), CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(time.Hour), Revision: 1, TTL: time.Hour,
				}, sections)
				require.NoError(t, err)
				require.NoError(t, kept.Create(t.Context(), at, sess))
				made = append(made, sess.ID)
			}
			slices.Reverse(made)
			var got []string
			q := url.Values{"limit": {"1000"}}
			pages := 0
			for {
				pages++
				body := string(b.do("GET", "/api/sessions?"+q.Encode(), "").expect(200).body)
				docs := strings.Split(body, `{"id":"`)[1:] // decoding megabytes takes its time
				assert.True(t, len(body) < 4<<20+1000 || len(docs) == 1, "%d bytes, %d sessions", len(body), len(docs))
				for _, d := range docs {
					got = append(got, d[:64])
				}
				_, next, more := strings.Cut(body[strings.LastIndexByte(body, ']'):], `"nextCursor":"`)
				if !more {
					break
				}
				q.Set("cursor", strings.TrimSuffix(next, `"}`))
			}
			assert.Equal(t, made, got)
			assert.Equal(t, c.pages, pages)
			assert.LessOrEqual(t, slices.Max(kept.asked)*c.maxBytes, 32<<20, "what is fetched at once")
		})
	}
}

func TestSigningOutEverywhere(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	ada := []handedOver{b.create("", `{"user":{"id":"ada"}}`), b.create("", `{"user":{"id":"ada"}}`), b.create("", `{"user":{"id":"ada"}}`)}
	bob := b.create("", `{"user":{"id":"bob"}}`)
	nobody := b.create("", "")

	assert.Equal(t, 2, b.deleted("?userId=ada&except="+ada[1].Session.ID))
	assert.False(t, s.reads(cookieOf(ada[0].SetCookie)...))
	assert.True(t, s.reads(cookieOf(ada[1].SetCookie)...), "everywhere else")
	assert.Equal(t, 0, b.deleted("?userId=ada&except="+ada[1].Session.ID))
	assert.Equal(t, 1, b.deleted("?userId=ada&except="+bob.Session.ID), "another user's session spares nothing")
	assert.Equal(t, 0, b.deleted("?userId=ada"))
	assert.True(t, s.reads(cookieOf(bob.SetCookie)...))
	assert.Equal(t, 2, b.deleted("?all=true"))
	assert.False(t, s.reads(cookieOf(nobody.SetCookie)...))
	b.do("PUT", "/api/sessions/"+bob.Session.ID, `{}`).problem(410, "session_ended")
}

func TestSigningOutElsewhereSparesTheSuccessor(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	old := b.create("", `{"user":{"id":"ada"}}`)
	b.create("", `{"user":{"id":"ada"}}`)
	next := b.do("POST", "/api/sessions/"+old.Session.ID+"/regenerate", `{"graceMs":5000}`).expect(200).handedOver()
	assert.Equal(t, 1, b.deleted("?userId=ada&except="+old.Session.ID), "a request in flight knows the old id")
	assert.True(t, s.reads(cookieOf(next.SetCookie)...))
}

func TestEndingManyAsksForOneMeaning(t *testing.T) {
	b := start(t, withServiceTokens).backend()
	out := b.create("", `{"user":{"id":"ada"}}`)
	id := out.Session.ID
	for _, query := range []string{
		"", "?", "?all=false", "?all=", "?all=1", "?all=true&all=true", "?userId=", "?userId=&all=true", "?userId=ada&all=true",
		"?userId=a&userId=b", "?except=" + id, "?all=true&except=" + id, "?all=true&except=", "?userId=ada&except=", "?userId=ada&except=short",
		"?userId=ada&except=" + id + "&except=" + id, "?userId=ada&except=%00", "?userId=%ff", "?userID=ada", "?all=true;",
	} {
		b.do("DELETE", "/api/sessions"+query, "").problem(400, "invalid_query")
	}
	assert.Equal(t, 1, b.count(""))
	assert.Equal(t, 1, b.deleted("?userId=ada&all=false"))
}

// hangingUp ends the request's context in the middle of a Clear.
type hangingUp struct {
	*memory.Store
	leave context.CancelFunc
}

func (h *hangingUp) Clear(ctx context.Context, now time.Time, f backend.Filter) (int, error) {
	h.leave()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return h.Store.Clear(ctx, now, f)
}

func TestSigningOutGoesOnWithoutItsCaller(t *testing.T) {
	kept := &hangingUp{Store: memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 10})}
	s := start(t, func(s *settings) { s.store = kept })
	s.backend().create("", `{"user":{"id":"ada"}}`)
	ctx, leave := context.WithCancel(t.Context())
	kept.leave = leave
	r := httptest.NewRequestWithContext(ctx, http.MethodDelete, "http://localhost/api/sessions?userId=ada", http.NoBody)
	s.api.ServeHTTP(httptest.NewRecorder(), r)
	assert.Zero(t, s.backend().count(""))
}

func TestUsersAreLimited(t *testing.T) {
	three := func(evict bool) func(*settings) {
		return func(s *settings) { withServiceTokens(s); s.limit = store.UserLimit{Max: 3, Evict: evict} }
	}
	t.Run("the oldest gives way", func(t *testing.T) {
		s := start(t, three(true))
		b := s.backend()
		var ids []string
		for range 5 {
			s.clock.advance(time.Millisecond)
			ids = append(ids, b.create("", `{"user":{"id":"ada"}}`).Session.ID)
		}
		assert.ElementsMatch(t, ids[2:], b.ids("userId=ada"))
		fill(b, 2, "bob")
		b.do("PUT", "/api/sessions/brought-by-the-caller", `{"user":{"id":"ada"}}`).expect(201)
		assert.Equal(t, 3, b.count("?userId=ada"))
		assert.Equal(t, 2, b.count("?userId=bob"))
	})
	t.Run("one more is refused", func(t *testing.T) {
		s := start(t, three(false))
		b := s.backend()
		const ada = `{"user":{"id":"ada"}}`
		ids := fill(b, 3, "ada")
		b.do("POST", "/api/sessions", ada).problem(409, "user_limit")
		b.do("PUT", "/api/sessions/brought-by-the-caller", ada).problem(409, "user_limit")
		nobody := b.create("", "")
		at := "/api/sessions/" + nobody.Session.ID
		b.do("PUT", at, ada).problem(409, "user_limit")
		b.do("PATCH", at, ada).problem(409, "user_limit")
		// Signing in over the public routes, as a login service does it.
		cookie := cookieOf(nobody.SetCookie)
		b.do("PATCH", "/api/session", ada, cookie...).problem(409, "user_limit")
		b.do("PUT", "/api/session", ada, cookie...).problem(409, "user_limit")
		b.do("POST", "/api/session/operations", `[{"op":"add","path":"/user","value":{"id":"ada"}}]`, cookie...).problem(409, "user_limit")
		b.do("POST", "/api/session", ada).problem(409, "user_limit")
		assert.Nil(t, b.do("GET", at, "").expect(200).document().User)

		b.do("PATCH", "/api/sessions/"+ids[0], `{"user":{"roles":["admin"]}}`).expect(200) // is one already
		b.do("POST", "/api/sessions/"+ids[0]+"/regenerate", "").expect(200)
		b.do("POST", "/api/sessions?namespace=other", ada).expect(201)
		b.do("DELETE", "/api/sessions/"+ids[1], "").expect(204)
		b.do("PATCH", "/api/session", ada, cookie...).expect(200)
		assert.Equal(t, 3, b.count("?userId=ada"))
	})
	t.Run("in a crowd", func(t *testing.T) {
		s := start(t, three(false))
		statuses := make([]int, 12)
		var wg sync.WaitGroup
		for i := range statuses {
			wg.Go(func() { statuses[i] = s.backend().do("POST", "/api/sessions", `{"user":{"id":"ada"}}`).StatusCode })
		}
		wg.Wait()
		slices.Sort(statuses)
		assert.Equal(t, slices.Concat(slices.Repeat([]int{201}, 3), slices.Repeat([]int{409}, 9)), statuses)
	})
}

// serviceOperations calls f with each operation that takes a service token and
// no session.
func serviceOperations(t *testing.T, f func(method, path string)) {
	t.Helper()
	doc, err := loadContract()
	require.NoError(t, err)
	n := 0
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if isServiceOperation(op) {
				n++
				f(method, strings.NewReplacer("{id}", "an-id-of-a-session").Replace(path))
			}
		}
	}
	require.Greater(t, n, 12)
}

func isServiceOperation(op *openapi3.Operation) bool {
	service := false
	if op.Security == nil {
		return false
	}
	for _, alternative := range *op.Security {
		for scheme := range alternative {
			if scheme != "serviceToken" {
				return false
			}
			service = true
		}
	}
	return service
}

func TestServiceRoutesTakeAServiceToken(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	out := b.create("", "")
	before := b.ids("")
	serviceOperations(t, func(method, path string) {
		for _, headers := range [][]string{
			nil,
			cookieOf(out.SetCookie),
			{"Authorization", "Bearer " + out.Token},
			{"Authorization", "Bearer " + serviceToken[1:]},
			{"Authorization", "Bearer " + serviceToken + "x"},
			{"Authorization", "Bearer"},
			{"Authorization", "Basic " + serviceToken},
			{"Authorization", serviceToken},
			{"Cookie", "service=" + serviceToken},
			{"X-Service-Token", serviceToken},
		} {
			a := s.client().do(method, path+"?all=true", "", headers...).expect(401)
			assert.NotEmpty(t, a.Header.Get("WWW-Authenticate"))
			if method != http.MethodHead {
				assert.Equal(t, "Send a service token as the bearer token.", a.problem(401, "unauthorized").Detail)
			}
		}
		token := "Bearer " + serviceToken
		s.client().do(method, path, "", "Authorization", token, "Authorization", token).expect(400)
	})
	assert.Equal(t, before, b.ids(""))
}

func TestServiceRoutesAreOpenInDevelopment(t *testing.T) {
	s := start(t)
	c := s.client()
	out := c.do("POST", "/api/sessions", `{"user":{"id":"u"}}`).expect(201).handedOver()
	at := "/api/sessions/" + out.Session.ID
	c.do("GET", "/api/sessions", "").expect(200)
	c.do("GET", "/api/sessions/count", "").expect(200)
	c.do("GET", at, "", "Authorization", "Bearer anything").expect(200)
	c.do("GET", at, "", "Authorization", "Bearer "+out.Token).expect(200)
	c.do("HEAD", at, "").expect(200)
	c.do("PUT", at, `{"user":null}`).expect(200)
	c.do("PATCH", at, `{"user":{"id":"v"}}`).expect(200)
	c.do("POST", at+"/touch", "").expect(200)
	c.do("POST", at+"/regenerate", `{"graceMs":1000}`).expect(200)
	c.do("DELETE", at, "").expect(204)
	c.do("DELETE", "/api/sessions?all=true", "").expect(200)

	// A page of another site, in the developer's browser.
	for _, r := range []struct{ method, path, body string }{
		{"POST", "/api/sessions", ""},
		{"DELETE", "/api/sessions?all=true", ""},
		{"PUT", at, `{}`},
		{"PATCH", at, `{}`},
		{"DELETE", at, ""},
		{"POST", at + "/touch", ""},
		{"POST", at + "/regenerate", ""},
	} {
		c.do(r.method, r.path, r.body, "Origin", "https://evil.example").problem(403, "forbidden_origin")
	}
}

func (f *faultyStore) List(ctx context.Context, now time.Time, q backend.Query) (backend.Page, error) {
	if err := f.failure(); err != nil {
		return backend.Page{}, err
	}
	return f.Store.List(ctx, now, q)
}

func (f *faultyStore) Count(ctx context.Context, now time.Time, filter backend.Filter) (int, error) {
	if err := f.failure(); err != nil {
		return 0, err
	}
	return f.Store.Count(ctx, now, filter)
}

func (f *faultyStore) Clear(ctx context.Context, now time.Time, filter backend.Filter) (int, error) {
	if err := f.failure(); err != nil {
		return 0, err
	}
	return f.Store.Clear(ctx, now, filter)
}

func TestServiceRoutesOnAStoreThatIsDown(t *testing.T) {
	faulty := newFaulty()
	s := start(t, func(s *settings) { withServiceTokens(s); s.store = faulty })
	b := s.backend()
	at := "/api/sessions/" + b.create("", "").Session.ID
	faulty.fail(fmt.Errorf("%w: dialling 10.1.2.3:6379", backend.ErrUnavailable))
	for _, r := range []struct{ method, path, body string }{
		{"POST", "/api/sessions", ""},
		{"GET", "/api/sessions", ""},
		{"GET", "/api/sessions/count", ""},
		{"DELETE", "/api/sessions?all=true", ""},
		{"DELETE", "/api/sessions?userId=ada&except=an-id-of-a-session", ""},
		{"GET", "/api/sessions?view=summary", ""},
		{"GET", "/api/sessions?userId=ada&sort=expiresAt", ""},
		{"POST", "/api/sessions/get", `{"ids":["an-id-of-a-session"]}`},
		{"POST", "/api/sessions/get", `{"ids":["an-id-of-a-session"],"view":"summary"}`},
		{"POST", "/api/sessions/end", `{"ids":["an-id-of-a-session"]}`},
		{"POST", "/api/sessions/end?dryRun=true", `{"ids":["an-id-of-a-session"]}`},
		{"POST", "/api/sessions/end?dryRun=true", `{"filter":{"userId":"ada"}}`},
		{"POST", "/api/sessions/end", `{"filter":{"userId":"ada"},"expect":0}`},
		{"POST", "/api/sessions/end", `{"all":true}`},
		{"GET", at, ""},
		{"PUT", at, `{}`},
		{"PATCH", at, `{}`},
		{"DELETE", at, ""},
		{"POST", at + "/touch", ""},
		{"POST", at + "/regenerate", ""},
	} {
		a := b.do(r.method, r.path, r.body)
		a.problem(503, "store_unavailable")
		assert.Equal(t, "1", a.Header.Get("Retry-After"))
		assert.NotContains(t, string(a.body), "10.1.2.3")
	}
	b.do("HEAD", at, "").expect(503)
	faulty.fail(nil)
	b.do("GET", at, "").expect(200)
}

func TestAFullStoreRefusesWhatServicesCreate(t *testing.T) {
	s := start(t, withServiceTokens, func(s *settings) { s.store = memory.New(memory.Options{Policy: memory.None, MaxEntries: 1}) })
	b := s.backend()
	b.create("", "")
	b.do("POST", "/api/sessions", "").problem(503, "store_full")
	b.do("PUT", "/api/sessions/brought-by-the-caller", `{}`).problem(503, "store_full")
}
