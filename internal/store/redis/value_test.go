package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
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

func decoded(c *codec, key backend.Key, value string) (st stored, err error) {
	err = c.decode(key, value, &st)
	return st, err
}

func newTestCodec(t testing.TB, over int) *codec {
	t.Helper()
	c, err := newCodec(over)
	require.NoError(t, err)
	t.Cleanup(c.close)
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
				index := newStamp(created, sess.UserID, sess.Files)
				value := string(c.encode(&sess).value(index, terms(sess.TTL, sess.OwnTTL)))
				if name == "large" {
					assert.Equal(t, over > 0, len(value) < len(sess.Doc)/2)
				}
				st, err := decoded(c, sess.Key(), value)
				require.NoError(t, err)
				assert.False(t, st.pending)
				assert.Equal(t, sess.ExpiresAt.UnixMilli(), st.written)
				assert.Equal(t, index, st.index)
				assert.Equal(t, birthOf(sess.Life), st.birth)
				assert.EqualValues(t, len(sess.Doc), documentSize(int64(len(value)), value))
				got := st.sess
				assert.True(t, got.ExpiresAt.IsZero(), "that is the key's")
				got.ExpiresAt = sess.ExpiresAt
				assert.Equal(t, string(sess.Doc), string(got.Doc))
				assert.Equal(t, sess, got)

				st, err = decoded(c, sess.Key(), string(pending([]byte(value), 1795280000123)))
				require.NoError(t, err)
				assert.True(t, st.pending)
				assert.EqualValues(t, 1795280000123, st.sess.ExpiresAt.UnixMilli())
				st.sess.ExpiresAt = sess.ExpiresAt
				assert.Equal(t, sess, st.sess)
			})
		}
	}
}

func TestValueOfAnother(t *testing.T) {
	c := newTestCodec(t, 0)
	sess := newValueSession(t, schema.NewID(), nil)
	good := string(c.encode(&sess).value(newStamp(created, "", nil), terms(sess.TTL, 0)))
	_, err := decoded(c, sess.Key(), good)
	require.NoError(t, err)
	other := sess.Key()
	other.ID = schema.NewID()
	_, err = decoded(c, other, good)
	require.ErrorIs(t, err, errForeign, "the value of another key")

	for name, value := range map[string]string{
		"nothing":           "",
		"a text":            "hello",
		"JSON":              `{"cookie":{"expires":"2026-11-21T17:04:05.123Z"},"passport":{"user":1}}`,
		"without a trailer": string(sess.Doc),
		"cut":               good[:len(good)-1],
		"with more":         good + "\n",
		"a mark":            markZstd,
		"no compression":    markZstd + good,
		"pending":           markPending,
		"pending nothing":   markPending + "000001795280000",
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

func TestTrailerIsNeverLongerThanWhatIsRead(t *testing.T) {
	longest := trailerStart + trailerBytes + "999999999999999," + trailerFiles + strings.Repeat("A", fileStampsText) + `",` + trailerIndex + strings.Repeat("A", stampText) + `"` +
		trailerBirth + strings.Repeat("A", stampText) + `"` + terms(maxTTL, maxTTL)
	assert.Less(t, len(longest), trailerMax)
	_, ok := parseTrailer(longest)
	assert.True(t, ok)
}

// Values of earlier versions have no stamps of files, and some no birth: all
// members in the index by file are under the one stamp then.
func TestTrailersOfEarlierVersions(t *testing.T) {
	index, birth := newStamp(time.Now(), "ada", nil), newStamp(time.Now(), "ada", nil)
	files := new(fileStamps)
	for shard := range files {
		files[shard] = newStamp(time.Now(), "", nil)
	}
	for name, tc := range map[string]struct {
		text  string
		files *fileStamps
		birth stamp
	}{
		"index alone":     {trailerIndex + index.String() + `"`, nil, index},
		"without files":   {trailerIndex + index.String() + `"` + trailerBirth + birth.String() + `"`, nil, birth},
		"with files":      {trailerFiles + files.String() + `",` + trailerIndex + index.String() + `"` + trailerBirth + birth.String() + `"`, files, birth},
		"files, no birth": {trailerFiles + files.String() + `",` + trailerIndex + index.String() + `"`, files, index},
	} {
		value := `{"id":"x"` + trailerStart + tc.text + terms(time.Hour, 0)
		body, tail, ok := cutTrailer(value)
		assert.True(t, ok, name)
		assert.Equal(t, `{"id":"x"`, body, name)
		got, ok := parseTrailer(tail)
		assert.True(t, ok, name)
		assert.Equal(t, trailer{index: index, birth: tc.birth, files: tc.files, idle: time.Hour}, got, name)
	}
	for name, text := range map[string]string{
		"half of them": files.String()[:fileStampsText/2], "none": "", "no stamps": strings.Repeat("*", fileStampsText),
	} {
		_, ok := parseTrailer(trailerStart + trailerFiles + text + `",` + trailerIndex + index.String() + `"` + terms(time.Hour, 0))
		assert.False(t, ok, name)
	}
}

func TestStamp(t *testing.T) {
	now := time.Now()
	s := newStamp(now, "ada", []string{"a", "b"})
	assert.True(t, s.fits("ada", []string{"a", "b"}))
	assert.False(t, s.fits("ada", []string{"ab"}))
	assert.False(t, s.fits("adaa", []string{"b"}))
	assert.False(t, s.fits("ada", nil))
	assert.Equal(t, digestString("ada", []string{"a", "b"}), s.String()[:digestText])
	again, ok := parseStamp(s.String())
	assert.True(t, ok)
	assert.Equal(t, s, again)
	assert.NotEqual(t, s, newStamp(now, "ada", []string{"a", "b"}), "no two are the same")

	assert.False(t, s.settled(now.Add(-time.Hour)), "clocks differ")
	assert.False(t, s.settled(now.Add(settleTime-time.Second)))
	assert.True(t, s.settled(now.Add(settleTime+time.Second)))
	for _, text := range []string{"", s.String()[1:], s.String() + "A", "===============", strings.Repeat("\n", stampText)} {
		_, ok := parseStamp(text)
		assert.False(t, ok, "%q", text)
	}
}
