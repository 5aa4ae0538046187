package schema_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

var created = time.Date(2026, 11, 21, 17, 4, 5, 123_000_000, time.UTC)

// newSession returns a session with the sections that a PUT body makes.
func newSession(t *testing.T, body string) schema.Session {
	t.Helper()
	r := defaultRules()
	s, err := r.Build(schema.Session{
		Namespace: schema.DefaultNamespace, ID: strings.Repeat("a1", 32), Revision: 3,
		CreatedAt: created, UpdatedAt: created.Add(time.Minute), ExpiresAt: created.Add(time.Hour),
		TTL: time.Hour, OwnTTL: time.Hour,
	}, sectionsOf(t, r, body))
	require.NoError(t, err)
	return s
}

func TestAppendJSONHasThePresentDeadline(t *testing.T) {
	s := newSession(t, `{"inputs":{"expiresAt":"2000-01-01T00:00:00.000Z"}}`)
	assert.Equal(t, string(s.Doc), string(s.AppendJSON(nil)), "nothing moved yet")

	s.ExpiresAt = created.Add(2 * time.Hour).In(time.FixedZone("", 3600))
	want := strings.Replace(string(s.Doc), "2026-11-21T18:04:05.123Z", "2026-11-21T19:04:05.123Z", 1)
	require.NotEqual(t, want, string(s.Doc))
	assert.Equal(t, "prefix"+want, string(s.AppendJSON([]byte("prefix"))))
	assert.Contains(t, string(s.Doc), "18:04:05", "the stored document stays as it is")
}

func TestAppendJSONForEveryLengthOfID(t *testing.T) {
	for _, id := range []string{"0123456789abcdef", strings.Repeat("Z", 64), strings.Repeat("-", 128)} {
		s, err := defaultRules().Build(schema.Session{ID: id, CreatedAt: created, UpdatedAt: created, ExpiresAt: created}, schema.EmptySections())
		require.NoError(t, err)
		s.ExpiresAt = time.UnixMilli(0)
		assert.Contains(t, string(s.AppendJSON(nil)), `"expiresAt":"1970-01-01T00:00:00.000Z","version":1,`)
	}
}

func TestWithIDChangesOnlyIDAndLife(t *testing.T) {
	s := newSession(t, `{"user":{"id":"u"},"results":{"report":"r.txt"}}`)
	for _, id := range []string{schema.NewID(), "short-id-of-16-c", strings.Repeat("x", 128)} {
		next := s.WithID(id)
		want := s
		want.ID, want.Life, want.Doc = id, next.Life, []byte(strings.Replace(string(s.Doc), s.ID, id, 1))
		assert.Equal(t, want, next)
		assert.NotEqual(t, s.Life, next.Life)
	}
	assert.Equal(t, strings.Repeat("a1", 32), s.ID)
	assert.Contains(t, string(s.Doc), s.ID)
}

func TestETagNamesOneStateOfOneLife(t *testing.T) {
	base := newSession(t, `{"inputs":{"a":1}}`)
	base.Life = schema.Life{1}
	tags := map[string]string{base.ETag(): "the session itself"}
	for name, change := range map[string]func(s *schema.Session){
		"another namespace":               func(s *schema.Session) { s.Namespace = "shop" },
		"another id":                      func(s *schema.Session) { s.ID = strings.Repeat("b2", 32) },
		"an id in another namespace":      func(s *schema.Session) { s.Namespace, s.ID = s.Namespace+"a", s.ID[1:] },
		"a regenerated successor":         func(s *schema.Session) { *s = s.WithID(strings.Repeat("c3", 32)) },
		"the id made anew":                func(s *schema.Session) { s.Life = schema.NewLife() },
		"the same but for the last byte":  func(s *schema.Session) { s.Life[11] = 1 },
		"no life":                         func(s *schema.Session) { s.Life = schema.Life{} },
		"no life, another time":           func(s *schema.Session) { s.Life, s.CreatedAt = schema.Life{}, created.Add(time.Millisecond) },
		"the next revision":               func(s *schema.Session) { s.Revision++ },
		"the same revision, written anew": func(s *schema.Session) { s.UpdatedAt = s.UpdatedAt.Add(time.Millisecond) },
	} {
		s := base
		change(&s)
		tag := s.ETag()
		assert.Empty(t, tags[tag], name)
		tags[tag] = name
		assert.Regexp(t, `^"[A-Za-z0-9_-]{22}"$`, tag)
	}

	touched := base
	touched.ExpiresAt, touched.TTL, touched.OwnTTL = created.Add(5*time.Hour), time.Minute, 0
	assert.Equal(t, base.ETag(), touched.ETag(), "a touch changes nothing")
}

// An ETag is the same in every version: clients hold them over an upgrade, and
// instances of two versions share a store.
func TestETagStaysTheSame(t *testing.T) {
	s := newSession(t, `{}`)
	assert.Equal(t, `"8R_ly-5Gj1iC8JRBLqcfdQ"`, s.ETag(), "of a session without a life")
	s.Life = schema.Life{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	assert.Equal(t, `"pR2Rww6Wv2LXibAGoRv6tw"`, s.ETag())
}

func TestETagsDoNotMeet(t *testing.T) {
	seen := make(map[string]struct{})
	s := newSession(t, `{}`)
	for range 100 {
		s.Life = schema.NewLife()
		for s.Revision = 1; s.Revision <= 1000; s.Revision++ {
			seen[s.ETag()] = struct{}{}
		}
	}
	assert.Len(t, seen, 100_000)
}

func TestLifeAsText(t *testing.T) {
	life := schema.NewLife()
	got, ok := schema.ParseLife(life.String())
	assert.True(t, ok)
	assert.Equal(t, life, got)
	assert.NotEqual(t, life, schema.NewLife())
	for _, bad := range []string{"", "AAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAA", "AAAAAAAA AAAAAAA", "AAAAAAAAAAAAAAA=", "AAAAAAAAAAAA\r\nAA"} {
		_, ok := schema.ParseLife(bad)
		assert.False(t, ok, "%q", bad)
	}
}

func TestLive(t *testing.T) {
	s := schema.Session{ExpiresAt: created}
	assert.True(t, s.Live(created.Add(-time.Millisecond)))
	assert.False(t, s.Live(created), "absent from that very moment on")
	assert.False(t, s.Live(created.Add(time.Millisecond)))
}

func TestNowIsWhatADocumentCanExpress(t *testing.T) {
	now := schema.Now(time.Date(2026, 1, 2, 3, 4, 5, 6_789_012, time.FixedZone("", 7200)))
	assert.Equal(t, time.Date(2026, 1, 2, 1, 4, 5, 6_000_000, time.UTC), now)
}

func TestKey(t *testing.T) {
	s := schema.Session{Namespace: "n", ID: "i"}
	assert.Equal(t, schema.Key{Namespace: "n", ID: "i"}, s.Key())
}

func TestNewID(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := schema.NewID()
		assert.True(t, schema.ValidID(id), id)
		assert.True(t, schema.ValidForeignID(id), id)
		assert.False(t, seen[id])
		seen[id] = true
	}
}

func TestValidID(t *testing.T) {
	valid := strings.Repeat("0123456789abcdef", 4)
	for id, want := range map[string]bool{
		valid: true, "": false, valid[1:]: false, valid + "0": false,
		strings.ToUpper(valid): false, "g" + valid[1:]: false, valid[:63] + "\x00": false,
		valid[:63] + "/": false, valid[:63] + ":": false, valid[:63] + "`": false, "é" + valid[2:]: false,
	} {
		assert.Equal(t, want, schema.ValidID(id), "%q", id)
	}
}

func TestValidForeignID(t *testing.T) {
	valid := "abcXYZ019_-abcde"
	for id, want := range map[string]bool{
		valid: true, valid[1:]: false, strings.Repeat(valid, 8): true, strings.Repeat(valid, 8) + "a": false,
		"": false, valid[:15] + ".": false, valid[:15] + "/": false, valid[:15] + " ": false,
		valid[:15] + "\x00": false, valid[:15] + "%": false, valid[:14] + "é": false,
		"550e8400-e29b-41d4-a716-446655440000": true,
	} {
		assert.Equal(t, want, schema.ValidForeignID(id), "%q", id)
	}
}

func TestDocID(t *testing.T) {
	s := newSession(t, `{"user":{"id":"u"}}`)
	assert.Equal(t, s.ID, string(schema.DocID(s.Doc)))
	for _, doc := range []string{"", "{}", `{"id":"`, `{"id":"abc`, `{"id":5}`, ` {"id":"abc"}`} {
		assert.Nil(t, schema.DocID([]byte(doc)), doc)
	}
}
