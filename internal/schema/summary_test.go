package schema_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

func summarized(t *testing.T, user *schema.User) (schema.Session, schema.Summary) {
	t.Helper()
	sections := schema.EmptySections()
	sections.User = user
	sections.Inputs = []byte(`{"text":"` + strings.Repeat("x", 100) + `"}`)
	sess, err := new(schema.Rules).Build(schema.Session{
		Namespace: "shop", ID: schema.NewID(), CreatedAt: created, UpdatedAt: created.Add(time.Minute),
		ExpiresAt: created.Add(3 * time.Hour), TTL: time.Hour, Revision: 7,
	}, sections)
	require.NoError(t, err)
	sum, err := sess.Summary()
	require.NoError(t, err)
	return sess, sum
}

func TestSummaryAsJSON(t *testing.T) {
	now := created.Add(4 * time.Hour)
	sess, sum := summarized(t, &schema.User{ID: `a"da`, Email: "ada@example.org", Roles: []string{"editor", "<b>"}})
	got := sum.AppendJSON([]byte("before"), now, true)
	want := map[string]any{
		"id": sess.ID, "namespace": "shop", "userId": `a"da`, "email": "ada@example.org", "roles": []any{"editor", "<b>"},
		"createdAt": created.Format(schema.TimeLayout), "updatedAt": created.Add(time.Minute).Format(schema.TimeLayout),
		"lastSeenAt": created.Add(2 * time.Hour).Format(schema.TimeLayout), "expiresAt": created.Add(3 * time.Hour).Format(schema.TimeLayout),
		"revision": 7.0, "bytes": float64(len(sess.Doc)), "client": nil, "current": true,
	}
	var read map[string]any
	require.NoError(t, json.Unmarshal(got[len("before"):], &read))
	assert.Equal(t, want, read)

	sess.Facts = schema.Facts{}.WithClient(schema.Client{Label: "Firefox on Windows", UserAgent: `Mozilla/5.0 "x"`, IP: "192.0.2.0/24"}).WithRemember(true)
	seen, err := sess.Summary()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(seen.AppendJSON(nil, now, false), &read))
	assert.Equal(t, map[string]any{"label": "Firefox on Windows", "userAgent": `Mozilla/5.0 "x"`, "ip": "192.0.2.0/24"}, read["client"])
	assert.True(t, (&schema.Filter{ClientLabel: "Firefox on Windows"}).Matches(now, &seen))
	assert.False(t, (&schema.Filter{ClientLabel: "Firefox"}).Matches(now, &seen))
	assert.False(t, (&schema.Filter{ClientLabel: "Firefox on Windows"}).Matches(now, &sum))

	_, sum = summarized(t, nil)
	require.NoError(t, json.Unmarshal(sum.AppendJSON(nil, now, false), &read))
	delete(want, "current")
	assert.Empty(t, read["userId"])
	assert.Empty(t, read["email"])
	assert.Equal(t, []any{}, read["roles"])
	assert.False(t, sum.HasRole(""))
}

// What a store has of a large document is its beginning.
func TestSummaryOfTheBeginning(t *testing.T) {
	sess, whole := summarized(t, &schema.User{ID: "ada", Email: "]},", Roles: []string{"editor", `}"],`}})
	now := created.Add(time.Hour)
	full := len(sess.Doc)
	user := bytes.Index(sess.Doc, []byte(`,"inputs"`))
	for n := range full {
		part := sess
		part.Doc = sess.Doc[:n:n]
		sum, err := part.SummaryWithin(full)
		if n <= user {
			require.Error(t, err, "%s", part.Doc)
			continue
		}
		require.NoError(t, err, "%s", part.Doc)
		assert.Equal(t, string(whole.AppendJSON(nil, now, false)), string(sum.AppendJSON(nil, now, false)))
	}
}

func TestLastSeenAt(t *testing.T) {
	at := created.Add
	now := at(10 * time.Hour)
	for name, c := range map[string]struct{ updated, expires, want time.Time }{
		"never used again":                 {at(0), at(time.Hour), at(0)},
		"touched":                          {at(0), at(10 * time.Hour), at(9 * time.Hour)},
		"touched now":                      {at(0), at(11 * time.Hour), now},
		"changed without a touch":          {at(9 * time.Hour), at(5 * time.Hour), at(9 * time.Hour)},
		"held by an absolute end":          {at(time.Minute), at(30 * time.Minute), at(time.Minute)},
		"by a clock that is a little fast": {at(0), at(11*time.Hour + 30*time.Second), now},
		"a deadline that no use has set":   {at(time.Minute), at(100 * time.Hour), at(time.Minute)},
		"changed by a clock that is fast":  {now.Add(time.Second), at(11 * time.Hour), now},
	} {
		sess := schema.Session{CreatedAt: created, UpdatedAt: c.updated, ExpiresAt: c.expires, TTL: time.Hour}
		assert.Equal(t, c.want, sess.LastSeenAt(now), name)
	}
}

func TestFilterMatches(t *testing.T) {
	_, sum := summarized(t, &schema.User{ID: "ada", Roles: []string{"editor"}}) // seen two hours after its creation
	_, guest := summarized(t, nil)
	now := created.Add(150 * time.Minute)
	yes, no := true, false
	for name, c := range map[string]struct {
		filter     schema.Filter
		ada, guest bool
	}{
		"empty":                 {schema.Filter{}, true, true},
		"user":                  {schema.Filter{UserID: "ada"}, true, false},
		"another user":          {schema.Filter{UserID: "bob"}, false, false},
		"role":                  {schema.Filter{Role: "editor"}, true, false},
		"another role":          {schema.Filter{Role: "edit"}, false, false},
		"anonymous":             {schema.Filter{Anonymous: &yes}, false, true},
		"not anonymous":         {schema.Filter{Anonymous: &no}, true, false},
		"created after":         {schema.Filter{CreatedAfter: created.Add(-1)}, true, true},
		"created at, not after": {schema.Filter{CreatedAfter: created}, false, false},
		"created before":        {schema.Filter{CreatedBefore: created.Add(1)}, true, true},
		"created at, as before": {schema.Filter{CreatedBefore: created}, false, false},
		"seen before":           {schema.Filter{SeenBefore: created.Add(2*time.Hour + 1)}, true, true},
		"seen at, not before":   {schema.Filter{SeenBefore: created.Add(2 * time.Hour)}, false, false},
		"idle":                  {schema.Filter{IdleFor: 30 * time.Minute}, true, true},
		"not idle":              {schema.Filter{IdleFor: 30*time.Minute + 1}, false, false},
		"active":                {schema.Filter{ActiveWithin: 30 * time.Minute}, true, true},
		"not active":            {schema.Filter{ActiveWithin: 30*time.Minute - 1}, false, false},
		"both":                  {schema.Filter{UserID: "ada", Role: "admin"}, false, false},
	} {
		assert.Equal(t, c.ada, c.filter.Matches(now, &sum), name)
		assert.Equal(t, c.guest, c.filter.Matches(now, &guest), name)
	}
}

func TestFilterTimesAreRounded(t *testing.T) {
	var f schema.Filter
	for _, name := range []string{"createdAfter", "createdBefore", "seenBefore"} {
		problem, known := f.Set(name, "2026-11-21T18:04:05.1239+01:00")
		assert.True(t, known)
		assert.Empty(t, problem)
	}
	at := time.Date(2026, 11, 21, 17, 4, 5, 123e6, time.UTC)
	assert.Equal(t, at, f.CreatedAfter)
	assert.Equal(t, at.Add(time.Millisecond), f.CreatedBefore)
	assert.Equal(t, at.Add(time.Millisecond), f.SeenBefore)
	_, known := f.Set("clientlabel", "x")
	assert.False(t, known)
}

func FuzzDecodeBatch(f *testing.F) {
	for _, seed := range []string{
		`{"ids":["a-session-of-many"],"view":"summary"}`, `{"ids":[]}`, `{"ids":["\ud800"]}`, `{"filter":{"userId":"ada","idleForMs":6e4},"expect":2}`,
		`{"all":true}`, `{"filter":{"createdBefore":"2026-11-21T17:04:05.123Z","anonymous":false}}`, `{"filter":{"user~/Id":{}}}`, `[]`, `{"filter":{"role":"\u0000"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if get, err := schema.DecodeBatchGet(body); err == nil {
			require.NotEmpty(t, get.IDs)
			require.LessOrEqual(t, len(get.IDs), schema.MaxBatch)
		} else {
			requireBatchError(t, err)
		}
		end, err := schema.DecodeBatchEnd(body)
		if err != nil {
			requireBatchError(t, err)
			return
		}
		for _, id := range end.IDs {
			require.True(t, schema.ValidForeignID(id))
		}
		if end.Expect != nil {
			require.Nil(t, end.IDs)
			require.True(t, *end.Expect >= 0 && *end.Expect <= schema.MaxExpected)
		}
		if end.All {
			require.True(t, end.IDs == nil && end.Filter.IsZero())
		}
		require.Empty(t, end.Filter.Contradiction())
		require.Zero(t, end.Filter.ActiveWithin)
	})
}

func requireBatchError(t *testing.T, err error) {
	t.Helper()
	var e *schema.Error
	require.ErrorAs(t, err, &e)
	require.Contains(t, []schema.Code{schema.CodeInvalidJSON, schema.CodeValidationFailed}, e.Code)
	if e.Code == schema.CodeValidationFailed {
		require.NotEmpty(t, e.Fields)
	}
}

// What a query says and what a body says in its place mean the same.
func FuzzFilter(f *testing.F) {
	for _, seed := range [][2]string{
		{"userId", "ada"},
		{"role", ""},
		{"createdAfter", "2026-11-21T17:04:05.123456789+01:00"},
		{"createdBefore", "9999-12-31T23:59:59Z"},
		{"seenBefore", "1970-01-01T00:00:00Z"},
		{"idleForMs", "1e3"},
		{"idleForMs", "1000.0"},
		{"anonymous", "true"},
		{"activeWithinMs", "5"},
		{"x", "y"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		var filter schema.Filter
		problem, known := filter.Set(name, text)
		if !known || problem != "" {
			require.True(t, filter.IsZero(), "what is refused sets nothing")
			return
		}
		require.False(t, filter.IsZero(), "what is taken says something")
		if name == schema.ActiveWithinMember {
			return
		}
		value, err := json.Marshal(text)
		require.NoError(t, err)
		if name == "idleForMs" || name == "anonymous" {
			value = []byte(text)
		}
		end, err := schema.DecodeBatchEnd([]byte(`{"filter":{"` + name + `":` + string(value) + `}}`))
		require.NoError(t, err)
		require.Equal(t, filter, end.Filter)
	})
}
