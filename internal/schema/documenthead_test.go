package schema

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseHead(t *testing.T) {
	at := time.Date(2026, 11, 21, 17, 4, 5, 120_000_000, time.UTC)
	sections := EmptySections()
	sections.User = &User{ID: `"ada" \ b`, Roles: []string{}}
	sess, err := new(Rules).Build(Session{
		ID: NewID(), Revision: 1234, CreatedAt: at, UpdatedAt: at.Add(time.Minute), ExpiresAt: at.Add(time.Hour),
	}, sections)
	require.NoError(t, err)
	doc := string(sess.Doc)

	want := Head{CreatedAt: at, UpdatedAt: at.Add(time.Minute), ExpiresAt: at.Add(time.Hour), Revision: 1234, Len: strings.Index(doc, `"user":`)}
	got, ok := ParseHead(sess.ID, doc)
	require.True(t, ok)
	assert.Equal(t, want, got)
	assert.Equal(t, want.Len, sess.HeadLen())
	got, ok = ParseHead(sess.ID, doc[:want.Len])
	require.True(t, ok, "the head alone")
	assert.Equal(t, want, got)
	assert.Equal(t, at.Format(TimeLayout), doc[CreatedAtOffset(sess.ID):][:timeLen])
	assert.True(t, strings.HasPrefix(doc[RevisionOffset(sess.ID):], "1234,"))

	id, end, ok := DocUserID(sess.Doc, want.Len)
	require.True(t, ok)
	assert.Equal(t, `\"ada\" \\ b`, string(id))
	assert.True(t, strings.HasPrefix(doc[end:], `","email":`))

	for name, text := range map[string]string{
		"nothing":         "",
		"cut":             doc[:want.Len-1],
		"another id":      strings.Replace(doc, sess.ID, NewID(), 1),
		"another version": strings.Replace(doc, `"version":1`, `"version":2`, 1),
		"no revision":     strings.Replace(doc, `:1234,`, `:,`, 1),
		"a long revision": strings.Replace(doc, `:1234,`, `:1234567890123456,`, 1),
		"no number":       strings.Replace(doc, `:1234,`, `:12x4,`, 1),
		"no such month":   strings.Replace(doc, `2026-11-21`, `2026-13-21`, 1),
		"no such day":     strings.Replace(doc, `2026-11-21`, `2026-11-31`, 1),
		"no such hour":    strings.Replace(doc, `T17:04`, `T24:04`, 1),
		"another zone":    strings.Replace(doc, `05.120Z`, `5+01:00`, 1),
		"a comma":         strings.Replace(doc, `05.120Z`, `05,120Z`, 1),
		"lower case":      strings.Replace(doc, `T17:04`, `t17:04`, 1),
		"no millis":       strings.Replace(doc, `05.120Z`, `5.1200Z`, 1),
	} {
		require.NotEqual(t, doc, text, name)
		_, ok := ParseHead(sess.ID, text)
		assert.False(t, ok, name)
	}
}

func TestDocUserID_none(t *testing.T) {
	for _, doc := range []string{``, `"user":null,`, `"user":{"id":"`, `"user":{"id":"ada`, `"user":{"id":"ada\`, `"user":{"id":"ada\"`, `"user":{"email":"","id":"ada"}`} {
		_, _, ok := DocUserID([]byte(doc), 0)
		assert.False(t, ok, doc)
	}
}

// FuzzParseTime: what is read is written the same, and what is written is read.
func FuzzParseTime(f *testing.F) {
	f.Add("2026-11-21T17:04:05.123Z")
	f.Add("0000-02-29T23:59:59.000Z")
	f.Add("2026-02-29T00:00:00.000Z")
	f.Add("2026-11-21T7:04:05.0000Z")
	f.Add("+026-11-21T17:04:05.123Z")
	f.Fuzz(func(t *testing.T, text string) {
		want, err := time.Parse(TimeLayout, text)
		strict := err == nil && want.Format(TimeLayout) == text
		got, ok := parseTime(text)
		require.Equal(t, strict, ok)
		if ok {
			require.Equal(t, want, got)
			require.Equal(t, text, string(appendTime(nil, got)))
		}
	})
}
