package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// batchItems is the answer to a request for several sessions.
type batchItems struct {
	Items []struct {
		ID      string
		Session *document
		Summary *summary
		Problem *problem
	}
}

func (b *serviceCaller) getAll(query, body string) (out batchItems) {
	b.s.t.Helper()
	a := b.do("POST", "/api/sessions/get"+query, body).expect(200)
	require.NoError(b.s.t, json.Unmarshal(a.body, &out), "%s", a.body)
	return out
}

// batchEnded is the answer to a request that ends several sessions.
type batchEnded struct {
	DryRun   bool
	Count    int
	Missing  []string
	Sessions []summary
}

func (b *serviceCaller) end(query, body string) (out batchEnded) {
	b.s.t.Helper()
	a := b.do("POST", "/api/sessions/end"+query, body).expect(200)
	require.NoError(b.s.t, json.Unmarshal(a.body, &out), "%s", a.body)
	return out
}

func body(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

func TestManySessionsInTheOrderAsked(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	ids := fill(b, 5, "ada")
	elsewhere := b.create("?namespace=shop", `{"user":{"id":"bob"}}`).Session.ID
	old := b.create("", `{"meta":{"n":"old"}}`).Session.ID
	next := b.do("POST", "/api/sessions/"+old+"/regenerate", `{"graceMs":5000}`).expect(200).handedOver().Session.ID
	asked := []string{ids[3], "unknown-session-0001", ids[0], "bad id", "", elsewhere, old, ids[3]}
	for _, view := range []string{"", "full", "summary"} {
		request := map[string]any{"ids": asked}
		if view != "" {
			request["view"] = view
		}
		s.clock.advance(time.Millisecond)
		got := b.getAll("", body(t, request)).Items
		require.Len(t, got, len(asked))
		for i, one := range got {
			assert.Equal(t, asked[i], one.ID)
			want := asked[i]
			if i == 6 {
				want = next
			}
			switch i {
			case 1, 5:
				require.NotNil(t, one.Problem)
				assert.Equal(t, "session_not_found", one.Problem.Code)
				assert.Equal(t, 404, one.Problem.Status)
			case 3, 4:
				require.NotNil(t, one.Problem)
				assert.Equal(t, "invalid_id", one.Problem.Code)
			default:
				require.Nil(t, one.Problem)
				if view == "summary" {
					require.Nil(t, one.Session)
					assert.Equal(t, want, one.Summary.ID)
					assert.Nil(t, one.Summary.Current)
					continue
				}
				require.Nil(t, one.Summary)
				assert.Equal(t, want, one.Session.ID)
				alone := b.do("GET", "/api/sessions/"+want, "").expect(200)
				assert.Equal(t, *one.Session, alone.document())
			}
		}
	}
	assert.Equal(t, elsewhere, b.getAll("?namespace=shop", body(t, map[string]any{"ids": []string{elsewhere}})).Items[0].Session.ID)
	before := b.getAll("", body(t, map[string]any{"ids": ids[:1]})).Items[0].Session.ExpiresAt
	s.clock.advance(time.Hour)
	assert.Equal(t, before, b.getAll("", body(t, map[string]any{"ids": ids[:1]})).Items[0].Session.ExpiresAt, "reading does not touch")
}

func TestBatchBodiesThatAreRefused(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	ids := fill(b, 3, "ada")
	tooMany := make([]string, 1001)
	for i := range tooMany {
		tooMany[i] = fmt.Sprintf("a-session-of-many-%04d", i)
	}
	const get, end = "/api/sessions/get", "/api/sessions/end"
	for _, c := range []struct {
		path, body string
		status     int
		code       string
		pointer    string
	}{
		{get, "", 400, "bad_request", ""},
		{get, "null", 400, "invalid_json", ""},
		{get, `["x"]`, 400, "invalid_json", ""},
		{get, `{"ids":["a"],"ids":["b"]}`, 400, "invalid_json", ""},
		{get, `{"ids":["a"]} {}`, 400, "invalid_json", ""},
		{get, "{\"ids\":[\"\xff\"]}", 400, "invalid_json", ""},
		{get, `{}`, 422, "validation_failed", "/ids"},
		{get, `{"ids":null}`, 422, "validation_failed", "/ids"},
		{get, `{"ids":"x"}`, 422, "validation_failed", "/ids"},
		{get, `{"ids":[]}`, 422, "validation_failed", "/ids"},
		{get, `{"ids":[1]}`, 422, "validation_failed", "/ids/0"},
		{get, `{"ids":["a-session-of-many",null]}`, 422, "validation_failed", "/ids/1"},
		{get, body(t, map[string]any{"ids": tooMany}), 422, "validation_failed", "/ids/1000"},
		{get, `{"ids":["a"],"view":"short"}`, 422, "validation_failed", "/view"},
		{get, `{"ids":["a"],"view":1}`, 422, "validation_failed", "/view"},
		{get, `{"ids":["a"],"IDS":["b"]}`, 422, "validation_failed", "/IDS"},
		{get, `{"ids":["a"],"__proto__":1}`, 422, "validation_failed", "/__proto__"},
		{end, "", 400, "bad_request", ""},
		{end, `{"filter":{}}`, 400, "bad_request", ""},
		{end, `{"filter":{},"all":false}`, 400, "bad_request", ""},
		{end, `{"filter":{},"expect":0}`, 400, "bad_request", ""},
		{end, `{}`, 422, "validation_failed", "/ids"},
		{end, `{"all":false}`, 422, "validation_failed", "/ids"},
		{end, `{"expect":1}`, 422, "validation_failed", "/ids"},
		{end, `{"ids":["short"]}`, 422, "validation_failed", "/ids/0"},
		{end, body(t, map[string]any{"ids": append([]string{"bad id"}, ids...)}), 422, "validation_failed", "/ids/0"},
		{end, body(t, map[string]any{"ids": tooMany}), 422, "validation_failed", "/ids/1000"},
		{end, body(t, map[string]any{"ids": ids, "filter": map[string]any{"userId": "ada"}}), 422, "validation_failed", "/filter"},
		{end, body(t, map[string]any{"ids": ids, "expect": 3}), 422, "validation_failed", "/expect"},
		{end, body(t, map[string]any{"ids": ids, "all": true}), 422, "validation_failed", "/all"},
		{end, `{"filter":{"userId":"ada"},"all":true}`, 422, "validation_failed", "/all"},
		{end, `{"filter":{"userId":"ada"},"expect":-1}`, 422, "validation_failed", "/expect"},
		{end, `{"filter":{"userId":"ada"},"expect":100001}`, 422, "validation_failed", "/expect"},
		{end, `{"filter":{"userId":"ada"},"expect":1.5}`, 422, "validation_failed", "/expect"},
		{end, `{"filter":{"userId":"ada"},"all":"true"}`, 422, "validation_failed", "/all"},
		{end, `{"filter":{"userId":"ada"},"dryRun":true}`, 422, "validation_failed", "/dryRun"},
		{end, `{"filter":[]}`, 422, "validation_failed", "/filter"},
		{end, `{"filter":null}`, 422, "validation_failed", "/filter"},
		{end, `{"filter":{"user":"ada"}}`, 422, "validation_failed", "/filter/user"},
		{end, `{"filter":{"userId":""}}`, 422, "validation_failed", "/filter/userId"},
		{end, `{"filter":{"userId":1}}`, 422, "validation_failed", "/filter/userId"},
		{end, `{"filter":{"userId":null}}`, 422, "validation_failed", "/filter/userId"},
		{end, `{"filter":{"userId":"` + strings.Repeat("u", 257) + `"}}`, 422, "validation_failed", "/filter/userId"},
		{end, `{"filter":{"role":""}}`, 422, "validation_failed", "/filter/role"},
		{end, `{"filter":{"createdBefore":"yesterday"}}`, 422, "validation_failed", "/filter/createdBefore"},
		{end, `{"filter":{"createdBefore":0}}`, 422, "validation_failed", "/filter/createdBefore"},
		{end, `{"filter":{"createdBefore":"0001-01-01T00:00:00Z"}}`, 422, "validation_failed", "/filter/createdBefore"},
		{end, `{"filter":{"userId":"ada","idleForMs":"5"}}`, 422, "validation_failed", "/filter/idleForMs"},
		{end, `{"filter":{"userId":"ada","idleForMs":0}}`, 422, "validation_failed", "/filter/idleForMs"},
		{end, `{"filter":{"userId":"ada","idleForMs":1e30}}`, 422, "validation_failed", "/filter/idleForMs"},
		{end, `{"filter":{"userId":"ada","activeWithinMs":5}}`, 422, "validation_failed", "/filter/activeWithinMs"},
		{end, `{"filter":{"userId":"ada","anonymous":"true"}}`, 422, "validation_failed", "/filter/anonymous"},
		{end, `{"filter":{"userId":"ada","anonymous":true}}`, 422, "validation_failed", "/filter"},
		{end, `{"filter":{"createdAfter":"2026-11-21T17:00:00Z","createdBefore":"2026-11-21T17:00:00Z"}}`, 422, "validation_failed", "/filter"},
		{end, `{"filter":{"role":"editor"}}`, 400, "unsupported_filter", ""},
		{end, `{"filter":{"idleForMs":5}}`, 400, "unsupported_filter", ""},
		{end, `{"filter":{"anonymous":true}}`, 400, "unsupported_filter", ""},
		{end, `{"filter":{"anonymous":false},"expect":3}`, 400, "unsupported_filter", ""},
		{end + "?dryRun=true", `{"filter":{"seenBefore":"2026-11-21T17:00:00Z"}}`, 400, "unsupported_filter", ""},
		{end + "?dryRun=true", `{"filter":{}}`, 400, "bad_request", ""},
		{end + "?dryRun=yes", body(t, map[string]any{"ids": ids}), 400, "invalid_query", ""},
		{end + "?dryrun=true", body(t, map[string]any{"ids": ids}), 400, "invalid_query", ""},
		{end + "?namespace=Bad", body(t, map[string]any{"ids": ids}), 400, "invalid_query", ""},
		{get + "?view=summary", body(t, map[string]any{"ids": ids}), 400, "invalid_query", ""},
	} {
		p := b.do("POST", c.path, c.body).problem(c.status, c.code)
		if c.pointer != "" {
			require.NotEmpty(t, p.Errors, c.body)
			assert.Equal(t, c.pointer, p.Errors[0].Pointer, c.body)
		}
	}
	for _, path := range []string{get, end} {
		b.do("POST", path, `{"ids":["a-session-of-many"]}`, "Content-Type", "text/plain").problem(415, "unsupported_media_type")
		s.client().do("POST", path, `{"all":true}`).problem(401, "unauthorized")
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} { // as of an id
			assert.Equal(t, "POST", allowOf(b.do(method, path, "").expect(405)), method)
		}
	}
	open := start(t)
	open.client().do("POST", end, `{"all":true}`, "Origin", "https://evil.example").problem(403, "forbidden_origin")
	assert.Equal(t, 3, b.count(""), "nothing has changed")
}

// A service that takes only small documents still takes as many ids.
func TestBatchBodiesHaveRoomForTheirIDs(t *testing.T) {
	b := start(t, withServiceTokens, func(s *settings) { s.rules.MaxBytes = 1024 }).backend()
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = strings.Repeat("x", 124) + fmt.Sprintf("%04d", i)
	}
	items := b.getAll("", body(t, map[string]any{"ids": ids})).Items
	require.Len(t, items, 1000)
	assert.Equal(t, "session_not_found", items[999].Problem.Code)
	assert.Equal(t, ids, b.end("", body(t, map[string]any{"ids": ids})).Missing)
	b.do("POST", "/api/sessions/get", `{"ids":["`+strings.Repeat("x", 400_000)+`"]}`).problem(413, "too_large")
}

func TestABatchIsBoundedInBytes(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	b.http.Transport = http.DefaultTransport // the contract's check is slow on megabytes
	var ids []string
	for range 20 {
		ids = append(ids, b.create("", `{"meta":{"text":"`+strings.Repeat("x", 1<<20-600)+`"}}`).Session.ID)
	}
	little := b.create("", "").Session.ID
	got := b.getAll("", body(t, map[string]any{"ids": append(ids, little)})).Items
	for i, one := range got {
		if i < 16 || i == 20 {
			assert.NotNil(t, one.Session, i)
		} else {
			require.NotNil(t, one.Problem, i)
			assert.Equal(t, "response_too_large", one.Problem.Code)
			assert.Equal(t, 413, one.Problem.Status)
		}
	}
	for _, one := range b.getAll("", body(t, map[string]any{"ids": ids, "view": "summary"})).Items {
		assert.Greater(t, one.Summary.Bytes, 1<<20-600)
	}
}

func TestEndingManyByTheirIDs(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	ids := fill(b, 6, "ada")
	elsewhere := b.create("?namespace=shop", "").Session.ID
	old := b.create("", "").Session.ID
	next := b.do("POST", "/api/sessions/"+old+"/regenerate", `{"graceMs":5000}`).expect(200).handedOver().Session.ID
	request := body(t, map[string]any{"ids": []string{ids[0], "unknown-session-0001", ids[1], elsewhere, old, next, ids[0]}})

	want := batchEnded{DryRun: true, Count: 3, Missing: []string{"unknown-session-0001", elsewhere, next}}
	dry := b.end("?dryRun=true", request)
	assert.Equal(t, []string{ids[0], ids[1], next}, idsOf(dry.Sessions))
	dry.Sessions = nil
	assert.Equal(t, want, dry)
	assert.Equal(t, 7, b.count(""))

	ended := b.end("", request)
	assert.Equal(t, 3, ended.Count)
	assert.False(t, ended.DryRun)
	assert.ElementsMatch(t, []string{"unknown-session-0001", elsewhere}, ended.Missing[:2])
	assert.Len(t, ended.Missing, 3, "of an old id and its successor one has ended it")
	assert.ElementsMatch(t, ids[2:], b.ids(""))
	b.do("GET", "/api/sessions/"+elsewhere+"?namespace=shop", "").expect(200)
	assert.Equal(t, 1, b.end("?namespace=shop", body(t, map[string]any{"ids": []string{elsewhere}})).Count)
	b.do("PUT", "/api/sessions/"+ids[0], "{}").problem(410, "session_ended")
}

func TestEndingManyByAFilter(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	ada := fill(b, 4, "ada")
	s.clock.advance(time.Minute)
	between := s.clock.Now().Format(time.RFC3339Nano)
	s.clock.advance(time.Minute)
	ada = append(ada, fill(b, 3, "ada")...)
	bob := fill(b, 2, "bob")
	shop := b.create("?namespace=shop", `{"user":{"id":"ada"}}`).Session.ID

	dry := b.end("?dryRun=true", `{"filter":{"userId":"ada"}}`)
	assert.True(t, dry.DryRun)
	assert.Equal(t, 7, dry.Count)
	assert.ElementsMatch(t, ada, idsOf(dry.Sessions))
	assert.Equal(t, 9, b.count(""))

	old := `"filter":{"userId":"ada","createdBefore":"` + between + `"}`
	for _, query := range []string{"", "?dryRun=true"} {
		p := b.do("POST", "/api/sessions/end"+query, `{`+old+`,"expect":5}`).problem(409, "count_changed")
		assert.Contains(t, p.Detail, "4 sessions,")
		p = b.do("POST", "/api/sessions/end"+query, `{`+old+`,"expect":3}`).problem(409, "count_changed")
		assert.Contains(t, p.Detail, "4 sessions")
	}
	assert.Equal(t, 9, b.count(""))
	assert.Equal(t, batchEnded{Count: 4}, b.end("", `{`+old+`,"expect":4}`))
	assert.ElementsMatch(t, slices.Concat(ada[4:], bob), b.ids(""))
	assert.Equal(t, batchEnded{}, b.end("", `{`+old+`}`))
	assert.Equal(t, batchEnded{}, b.end("", `{`+old+`,"expect":0}`))

	// What no index has is looked up among the user's.
	b.do("PATCH", "/api/sessions/"+ada[4], `{"user":{"roles":["editor"]}}`).expect(200)
	assert.Equal(t, 1, b.end("", `{"filter":{"userId":"ada","role":"editor"}}`).Count)
	assert.ElementsMatch(t, slices.Concat(ada[5:], bob), b.ids(""))
	s.clock.advance(time.Hour)
	b.do("POST", "/api/sessions/"+ada[5]+"/touch", "").expect(200)
	assert.Equal(t, 1, b.end("?dryRun=true", `{"filter":{"userId":"ada","idleForMs":3600000}}`).Count)
	assert.Equal(t, 1, b.end("", `{"filter":{"createdAfter":"2026-01-01T00:00:00Z","userId":"ada","idleForMs":3600000},"expect":1}`).Count)
	assert.ElementsMatch(t, append(bob, ada[5]), b.ids(""))

	assert.Equal(t, 3, b.end("", `{"all":true}`).Count)
	assert.Zero(t, b.count(""))
	assert.Equal(t, 1, b.count("?namespace=shop"))
	assert.Equal(t, 1, b.end("?namespace=shop", `{"filter":{},"all":true,"expect":1}`).Count)
	b.do("GET", "/api/sessions/"+shop+"?namespace=shop", "").expect(404)
}

// interleaved lets something happen between two looks at a store.
type interleaved struct {
	*memory.Store
	between func()
}

func (i *interleaved) Summaries(ctx context.Context, now time.Time, q backend.Query) (backend.SummaryPage, error) {
	page, err := i.Store.Summaries(ctx, now, q)
	if do := i.between; do != nil {
		i.between = nil
		do()
	}
	return page, err
}

// What comes after the count is spared, and what is regenerated after it is not.
func TestWhatIsExpectedIsWhatEnds(t *testing.T) {
	st := &interleaved{Store: memory.New(memory.Options{})}
	s := start(t, withServiceTokens, func(s *settings) { s.store = st })
	b := s.backend()
	ids := fill(b, 3, "ada")
	s.clock.advance(time.Second)
	var late, next string
	st.between = func() {
		late = b.create("", `{"user":{"id":"ada"}}`).Session.ID
		next = b.do("POST", "/api/sessions/"+ids[1]+"/regenerate", "").expect(200).handedOver().Session.ID
	}
	assert.Equal(t, 3, b.end("", `{"filter":{"userId":"ada"},"expect":3}`).Count)
	b.do("GET", "/api/sessions/"+next, "").problem(404, "session_not_found")
	b.do("GET", "/api/sessions/"+late, "").expect(200)
}

func TestFiltersAndOrdersOfLists(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	type made struct {
		id      string
		created time.Time
	}
	var all []made
	for i, user := range []string{
		`{"id":"ada","roles":["editor"]}`, `{"id":"ada"}`, `{"id":"bob","roles":["editor"]}`, `null`, `{"id":"ada","roles":["admin","editor"]}`,
	} {
		s.clock.advance(time.Minute)
		ttl := (10 - i) * 3_600_000
		all = append(all, made{b.create("", fmt.Sprintf(`{"user":%s,"ttlMs":%d}`, user, ttl)).Session.ID, s.clock.Now()})
	}
	s.clock.advance(time.Hour)
	b.do("POST", "/api/sessions/"+all[1].id+"/touch", "").expect(200)
	touched := s.clock.Now()
	s.clock.advance(time.Minute)
	ids := func(places ...int) []string {
		out := []string{}
		for _, i := range places {
			out = append(out, all[i].id)
		}
		return out
	}
	at := func(i int) string { return url.QueryEscape(all[i].created.Format(time.RFC3339Nano)) }
	since := "createdAfter=2026-01-01T00:00:00Z&"
	for query, want := range map[string][]string{
		"":                          ids(4, 3, 2, 1, 0),
		"sort=-createdAt":           ids(4, 3, 2, 1, 0),
		"sort=createdAt":            ids(0, 1, 2, 3, 4),
		"sort=createdAt&userId=ada": ids(0, 1, 4),
		"createdAfter=" + at(1):     ids(4, 3, 2),
		"createdBefore=" + at(1):    ids(0),
		"createdAfter=" + at(0) + "&createdBefore=" + at(4):       ids(3, 2, 1),
		"createdBefore=2026-11-21T18%3A06%3A05.1230001%2B01%3A00": ids(1, 0),
		"userId=ada&role=editor":                                  ids(4, 0),
		"userId=ada&role=edit":                                    ids(),
		since + "role=editor":                                     ids(4, 2, 0),
		since + "role=editor&sort=createdAt":                      ids(0, 2, 4),
		since + "anonymous=true":                                  ids(3),
		since + "anonymous=false":                                 ids(4, 2, 1, 0),
		"userId=ada&anonymous=false":                              ids(4, 1, 0),
		"userId=ada&sort=-lastSeenAt":                             ids(1, 4, 0),
		since + "sort=-lastSeenAt":                                ids(1, 4, 3, 2, 0),
		since + "sort=expiresAt":                                  ids(4, 3, 2, 0, 1),
		"userId=ada&sort=expiresAt&role=editor":                   ids(4, 0),
		"userId=ada&seenBefore=" + url.QueryEscape(touched.Format(time.RFC3339Nano)): ids(4, 0),
		"userId=ada&idleForMs=60000": ids(4, 1, 0),
		"userId=ada&idleForMs=60001": ids(4, 0),
	} {
		for _, limit := range []string{"1", "2", "1000"} {
			assert.Equal(t, want, b.ids(query+"&limit="+limit), "%s, %s a page", query, limit)
			var got []string
			q, err := url.ParseQuery(query + "&view=summary&limit=" + limit)
			require.NoError(t, err)
			for {
				var page struct {
					Sessions   []document
					Summaries  []summary
					NextCursor string
				}
				a := b.do("GET", "/api/sessions?"+q.Encode(), "").expect(200)
				require.NoError(t, json.Unmarshal(a.body, &page))
				assert.NotNil(t, page.Sessions)
				assert.Empty(t, page.Sessions)
				got = append(got, idsOf(page.Summaries)...)
				if page.NextCursor == "" {
					break
				}
				q.Set("cursor", page.NextCursor)
			}
			assert.ElementsMatch(t, want, got, query)
		}
		if !strings.Contains(query, "sort") {
			assert.Equal(t, len(want), b.count("?"+query), query)
		}
	}
	assert.Equal(t, 1, b.count("?userId=ada&activeWithinMs=60000"))
	assert.Equal(t, 0, b.count("?userId=ada&activeWithinMs=59999"))
	assert.Equal(t, 5, b.count("?createdBefore=2027-01-01T00:00:00Z&activeWithinMs=7200000"))

	for _, query := range []string{
		"role=editor", "anonymous=true", "anonymous=false", "idleForMs=5", "seenBefore=2026-01-01T00:00:00Z",
		"sort=-lastSeenAt", "sort=expiresAt", "sort=expiresAt&view=summary", "role=editor&view=summary",
	} {
		b.do("GET", "/api/sessions?"+query, "").problem(400, "unsupported_filter")
		if !strings.Contains(query, "sort") {
			b.do("GET", "/api/sessions/count?"+strings.TrimSuffix(query, "&view=summary"), "").problem(400, "unsupported_filter")
		}
	}
	b.do("GET", "/api/sessions/count?activeWithinMs=5", "").problem(400, "unsupported_filter")
	for _, query := range []string{
		"sort=", "sort=created", "sort=createdAt&sort=createdAt", "view=", "view=short", "role=", "role=" + strings.Repeat("r", 129),
		"createdAfter=", "createdAfter=2026", "createdAfter=1969-12-31T23:59:59Z", "createdBefore=2026-11-21T17:00:00",
		"idleForMs=0", "idleForMs=-1", "idleForMs=1.5", "idleForMs=3153600000001", "idleForMs=", "anonymous=", "anonymous=1",
		"userId=ada&anonymous=true", since + "role=editor&anonymous=true", "createdAfter=" + at(1) + "&createdBefore=" + at(1),
		"activeWithinMs=5", "clientlabel=x", "createdafter=2026-01-01T00:00:00Z",
	} {
		b.do("GET", "/api/sessions?"+query, "").problem(400, "invalid_query")
	}
	b.do("HEAD", "/api/sessions?view=summary", "").expect(200)

	// Cursors are of one order and one filter.
	cursor := func(query string) string { return b.list(mustQuery(t, query+"&limit=1")).NextCursor }
	for from, to := range map[string]string{
		"userId=ada&sort=-lastSeenAt": "userId=ada&sort=expiresAt",
		"userId=ada&sort=expiresAt":   "userId=ada",
		"userId=ada":                  "userId=ada&sort=createdAt",
		since:                         "",
	} {
		b.do("GET", "/api/sessions?"+to+"&cursor="+cursor(from), "").problem(400, "invalid_query")
	}
}

func mustQuery(t *testing.T, text string) url.Values {
	t.Helper()
	q, err := url.ParseQuery(text)
	require.NoError(t, err)
	return q
}

// A page of documents in an order that no index has is bounded as well.
func TestASortedPageIsBoundedInBytes(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	b.http.Transport = http.DefaultTransport // the contract's check is slow on megabytes
	var want []string
	for range 10 {
		s.clock.advance(time.Minute)
		want = append(want, b.create("", `{"user":{"id":"ada"},"meta":{"text":"`+strings.Repeat("x", 900_000)+`"}}`).Session.ID)
	}
	assert.Equal(t, want, b.ids("userId=ada&sort=expiresAt&limit=1000"))
	a := b.do("GET", "/api/sessions?userId=ada&sort=expiresAt&limit=1000", "").expect(200)
	assert.Less(t, len(a.body), 4<<20+1000)
}

func TestFiltersLookAtSoMany(t *testing.T) {
	st := memory.New(memory.Options{})
	s := start(t, withServiceTokens, func(s *settings) { s.store = st })
	rules := new(schema.Rules)
	now := s.clock.Now()
	for n := range 10_001 {
		sections := schema.EmptySections()
		sections.User = &schema.User{ID: "ada", Roles: []string{}}
		sess, err := rules.Build(schema.Session{
			Namespace: schema.DefaultNamespace, ID: fmt.Sprintf("a-session-of-many-%06d", n), Life: schema.NewLife(),
			CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(time.Hour), TTL: time.Hour, Revision: 1,
		}, sections)
		require.NoError(t, err)
		require.NoError(t, st.Create(t.Context(), now, sess))
	}
	b := s.backend()
	p := b.do("GET", "/api/sessions?userId=ada&role=admin", "").problem(400, "unsupported_filter")
	assert.Contains(t, p.Detail, "10000")
	b.do("GET", "/api/sessions?userId=ada&sort=expiresAt", "").problem(400, "unsupported_filter")
	b.do("GET", "/api/sessions/count?userId=ada&role=admin", "").problem(400, "unsupported_filter")
	b.do("POST", "/api/sessions/end", `{"filter":{"userId":"ada","role":"admin"}}`).problem(400, "unsupported_filter")
	b.do("GET", "/api/sessions?userId=ada&anonymous=false&limit=1", "").expect(200) // every one of them
	b.do("GET", "/api/sessions?userId=ada&sort=createdAt&limit=1", "").expect(200)
	assert.Equal(t, 10_001, b.count("?userId=ada"))
	assert.Equal(t, 1, b.end("", `{"ids":["a-session-of-many-000000"]}`).Count)
	assert.Equal(t, 0, b.count("?userId=ada&role=admin"))
	assert.Equal(t, 10_000, b.end("", `{"filter":{"userId":"ada"},"expect":10000}`).Count)
}

func TestLastSeenUnderAnAbsoluteLifetime(t *testing.T) {
	s := start(t, withServiceTokens, func(s *settings) { s.life.Absolute = 30 * time.Hour })
	c, _ := s.signIn("ada")
	created := s.clock.Now()
	seen := func() time.Time { return c.mySessions("touch=false")[0].LastSeenAt }
	for range 6 { // what the absolute end leaves free moves
		s.clock.advance(time.Hour)
		c.do("GET", "/api/session", "").expect(200)
		assert.Equal(t, s.clock.Now(), seen())
	}
	s.clock.advance(10 * time.Hour)
	c.do("GET", "/api/session", "").expect(200)
	assert.Equal(t, created.Add(6*time.Hour), seen(), "an idle timeout before the absolute end, and never later than the use")
	c.do("PATCH", "/api/session", `{"meta":{"n":1}}`).expect(200)
	assert.Equal(t, s.clock.Now(), seen(), "a change tells in any case")
}

func (f *faultyStore) GetAll(ctx context.Context, now time.Time, b backend.Batch) ([]backend.Found[schema.Session], error) {
	if err := f.failure(); err != nil {
		return nil, err
	}
	return f.Store.GetAll(ctx, now, b)
}

func (f *faultyStore) Summarize(ctx context.Context, now time.Time, namespace string, ids []string) ([]backend.Found[schema.Summary], error) {
	if err := f.failure(); err != nil {
		return nil, err
	}
	return f.Store.Summarize(ctx, now, namespace, ids)
}

func (f *faultyStore) DeleteAll(ctx context.Context, now time.Time, namespace string, ids []string) ([]bool, error) {
	if err := f.failure(); err != nil {
		return make([]bool, len(ids)), err
	}
	return f.Store.DeleteAll(ctx, now, namespace, ids)
}

func (f *faultyStore) Summaries(ctx context.Context, now time.Time, q backend.Query) (backend.SummaryPage, error) {
	if err := f.failure(); err != nil {
		return backend.SummaryPage{}, err
	}
	return f.Store.Summaries(ctx, now, q)
}
