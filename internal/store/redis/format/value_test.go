package format

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

var created = time.Date(2026, 11, 21, 17, 4, 5, 123_000_000, time.UTC)

// newValueSession returns a session whose document package schema made.
func newValueSession(t testing.TB, id string, change func(*schema.Session, *schema.Sections)) schema.Session {
	t.Helper()
	sess := schema.Session{
		Namespace: schema.DefaultNamespace, ID: id, Life: schema.NewLife(), Revision: 7,
		CreatedAt: created, UpdatedAt: created.Add(time.Minute), ExpiresAt: created.Add(time.Hour),
		TTL: time.Hour,
	}
	sections := schema.EmptySections()
	if change != nil {
		change(&sess, &sections)
	}
	sess, err := new(schema.Rules).Build(sess, sections)
	require.NoError(t, err)
	return sess
}

func decoded(c *Codec, key schema.Key, value string) (v Value, err error) {
	err = c.Decode(key, value, &v)
	return v, err
}

func newTestCodec(t testing.TB, over int) *Codec {
	t.Helper()
	c, err := NewCodec(over)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// valueSessions are sessions of all kinds.
func valueSessions(t testing.TB) map[string]schema.Session {
	t.Helper()
	long := strings.Repeat(`text that repeats itself `, 1000)
	return map[string]schema.Session{
		"empty":       newValueSession(t, schema.NewID(), nil),
		"shortest id": newValueSession(t, strings.Repeat("x", 16), nil),
		"longest id":  newValueSession(t, strings.Repeat("-", 128), nil),
		"of a user": newValueSession(t, schema.NewID(), func(_ *schema.Session, sec *schema.Sections) {
			sec.User = &schema.User{ID: "ada", Email: "ada@example.org", Roles: []string{"admin"}}
		}),
		"of a user in quotes": newValueSession(t, schema.NewID(), func(_ *schema.Session, sec *schema.Sections) {
			sec.User = &schema.User{ID: `"ada" \ "b", 日本`, Roles: []string{}}
		}),
		"with files": newValueSession(t, schema.NewID(), func(_ *schema.Session, sec *schema.Sections) {
			sec.Results = []byte(`{"analysis":{"files":["a",{"path":"b\u0000"}]},"report":"c"}`)
		}),
		"with its own life": newValueSession(t, schema.NewID(), func(s *schema.Session, _ *schema.Sections) {
			s.TTL, s.OwnTTL = time.Minute, 2*time.Minute
		}),
		"large": newValueSession(t, schema.NewID(), func(_ *schema.Session, sec *schema.Sections) {
			sec.Inputs = []byte(`{"a":"` + long + `"}`)
		}),
		"that looks like a trailer": newValueSession(t, schema.NewID(), func(_ *schema.Session, sec *schema.Sections) {
			sec.Meta = []byte(`{"a":1,"stored":{"index":"AAAAAAAAAAAAAAAA","birth":"AAAAAAAAAAAAAAAA","idleMs":1,"ownMs":1}}`)
		}),
		"with facts": newValueSession(t, schema.NewID(), func(s *schema.Session, _ *schema.Sections) {
			s.Facts = s.Facts.WithClient(schema.Client{Label: "Firefox on Windows", UserAgent: `Mozilla/5.0 ,"stored":{ "}}`, IP: "192.0.2.0/24"}).WithRemember(true)
		}),
		"large, with the most facts": newValueSession(t, schema.NewID(), func(s *schema.Session, sec *schema.Sections) {
			sec.Inputs = []byte(`{"a":"` + long + `"}`)
			s.Facts = s.Facts.WithClient(schema.Client{Label: strings.Repeat(`"`, 100), UserAgent: strings.Repeat(`"`, 512)})
		}),
		"of the year 0": newValueSession(t, schema.NewID(), func(s *schema.Session, _ *schema.Sections) {
			s.CreatedAt = time.Date(0, 2, 29, 23, 59, 59, 0, time.UTC)
			s.Revision = 123_456_789
		}),
	}
}

func TestValueRoundTrip(t *testing.T) {
	for name, sess := range valueSessions(t) {
		for _, over := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s, compressed over %d", name, over), func(t *testing.T) {
				c := newTestCodec(t, over)
				index := NewVersion(created, sess.UserID, sess.Files)
				value := string(c.Encode(&sess).Value(index, End(&sess)))
				if strings.HasPrefix(name, "large") {
					assert.Equal(t, over > 0, len(value) < len(sess.Doc)/2)
				}
				v, err := decoded(c, sess.Key(), value)
				require.NoError(t, err)
				assert.False(t, v.Pending)
				assert.Equal(t, sess.ExpiresAt.UnixMilli(), v.Written)
				assert.Equal(t, index, v.Index)
				assert.Equal(t, sess.Life, v.Life)
				assert.EqualValues(t, len(sess.Doc), DocumentLen(int64(len(value)), value))
				got := v.Session
				assert.True(t, got.ExpiresAt.IsZero(), "that is the key's")
				got.ExpiresAt = sess.ExpiresAt
				assert.Equal(t, string(sess.Doc), string(got.Doc))
				assert.Equal(t, sess, got)

				v, err = decoded(c, sess.Key(), string(Pending([]byte(value), 1795280000123)))
				require.NoError(t, err)
				assert.True(t, v.Pending)
				assert.EqualValues(t, 1795280000123, v.Session.ExpiresAt.UnixMilli())
				v.Session.ExpiresAt = sess.ExpiresAt
				assert.Equal(t, sess, v.Session)
			})
		}
	}
}

// What the facts of a value say is what was written with its trailer, or the value is
// none of this store's.
func TestValueOfOtherFacts(t *testing.T) {
	c := newTestCodec(t, 0)
	sess := newValueSession(t, schema.NewID(), func(s *schema.Session, _ *schema.Sections) {
		s.Facts = s.Facts.WithRemember(true)
	})
	good := string(c.Encode(&sess).Value(NewVersion(created, "", nil), End(&sess)))
	_, err := decoded(c, sess.Key(), good)
	require.NoError(t, err)
	require.Contains(t, good, `,"facts":{"remember":true},"stored":{`)
	mark := good[strings.LastIndex(good, `"facts":"`):]
	for name, value := range map[string]string{
		"other facts":   strings.Replace(good, `"remember":true`, `"remember":fals`, 1),
		"fewer bytes":   strings.Replace(good, `"remember":true`, `"remember":tru`, 1),
		"no facts":      strings.Replace(good, `,"facts":{"remember":true}`, ``, 1),
		"no mark":       strings.Replace(good, mark, `"facts":""}}`, 1),
		"a wrong mark":  strings.Replace(good, mark, `"facts":"17.AAAAAAAAAAA"}}`, 1),
		"a huge length": strings.Replace(good, mark, `"facts":"999999999999999.AAAAAAAAAAA"}}`, 1),
		"a sign":        strings.Replace(good, mark, `"facts":"-1.AAAAAAAAAAA"}}`, 1),
	} {
		require.NotEqual(t, good, value, name)
		_, err := decoded(c, sess.Key(), value)
		assert.Error(t, err, name)
	}
}

func TestValueOfAnother(t *testing.T) {
	c := newTestCodec(t, 0)
	sess := newValueSession(t, schema.NewID(), nil)
	good := string(c.Encode(&sess).Value(NewVersion(created, "", nil), End(&sess)))
	_, err := decoded(c, sess.Key(), good)
	require.NoError(t, err)
	other := sess.Key()
	other.ID = schema.NewID()
	_, err = decoded(c, other, good)
	require.ErrorIs(t, err, ErrNotSession, "the value of another key")

	for name, value := range map[string]string{
		"nothing":           "",
		"a text":            "hello",
		"JSON":              `{"cookie":{"expires":"2026-11-21T17:04:05.123Z"},"passport":{"user":1}}`,
		"without a trailer": string(sess.Doc),
		"cut":               good[:len(good)-1],
		"with more":         good + "\n",
		"a mark":            markZstd,
		"no compression":    markZstd + good,
		"pending":           MarkPending,
		"pending nothing":   MarkPending + "000001795280000",
		"a negative life":   strings.Replace(good, `"idleMs":3600000`, `"idleMs":-360000`, 1),
		"an endless life":   strings.Replace(good, `"idleMs":3600000`, `"idleMs":999999999999999`, 1),
		"another version":   strings.Replace(good, `"version":1`, `"version":2`, 1),
		"no such month":     strings.Replace(good, `2026-11-21`, `2026-13-21`, 1),
		"no such day":       strings.Replace(good, `2026-11-21`, `2026-11-31`, 1),
		"no such hour":      strings.Replace(good, `T17:04`, `T24:04`, 1),
		"no user":           strings.Replace(good, `"user":null,`, ``, 1),
	} {
		require.NotEqual(t, good, value)
		_, err := decoded(c, sess.Key(), value)
		assert.Error(t, err, name)
	}
}
