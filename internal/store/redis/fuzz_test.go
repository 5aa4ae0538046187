package redis

import (
	"testing"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Whatever is in Redis, reading it neither panics nor gives a session that
// would let others panic.
func FuzzDecode(f *testing.F) {
	const id = "0123456789abcdef"
	for _, over := range []int{0, 1} {
		c := newTestCodec(f, over)
		for _, sess := range valueSessions(f) {
			sess = sess.WithID(id)
			value := c.encode(&sess).value(newStamp(created, sess.UserID, sess.Files), terms(sess.TTL, sess.OwnTTL))
			f.Add(value)
			f.Add(pending(value, 1795280000123))
		}
	}
	f.Add([]byte(`{"id":"0123456789abcdef"}`))
	c := newTestCodec(f, 0)
	key := backend.Key{Namespace: schema.DefaultNamespace, ID: id}
	f.Fuzz(func(t *testing.T, value []byte) {
		documentSize(int64(len(value)), string(value))
		st, err := decoded(c, key, string(value))
		if err != nil {
			return
		}
		_ = st.sess.AppendJSON(nil)
		_, _ = st.sess.Sections()
		_, _ = st.sess.User()
		_ = st.sess.ETag()
		_ = st.sess.WithID(schema.NewID())
		require.NoError(t, checkDocument(&st.sess))

		// What was read can be written, and reads the same.
		again, err := decoded(c, key, string(c.encode(&st.sess).value(st.index, terms(st.sess.TTL, st.sess.OwnTTL))))
		require.NoError(t, err)
		again.sess.ExpiresAt = st.sess.ExpiresAt
		assert.Equal(t, st.sess, again.sess)
	})
}

// Nor do entries of the stream of events, nor IDs that clients send back.
func FuzzEvents(f *testing.F) {
	const id = "0123456789abcdef0123456789abcdef"
	f.Add("1795280000123-0", "updated", "1795280000123", "session:"+id, `a\"da`, "7", "1795280000124", "")
	f.Add("0-1", "regenerated", "1", "session:shop:"+id, "", "1", "", id)
	f.Add("01-1", "created", "-1", "session:", `\u12`, "", "x", "")
	s := &Store{layout: layout{DefaultPrefix}}
	f.Fuzz(func(t *testing.T, at, what, when, session, user, revision, expires, previous string) {
		ev, ok := s.readEvent(rueidis.XRangeEntry{ID: at, FieldValues: map[string]string{
			"type": what, "at": when, "session": session, "user": user, "revision": revision, "expires": expires, "previous": previous,
		}})
		if ok {
			assert.Equal(t, session, s.session(ev.Session))
			assert.Equal(t, ev.UserID, unescaped(escaped(ev.UserID)))
			assert.Contains(t, backend.EventTypes, ev.Type)
		}
		if validEventID(at) {
			assert.Regexp(t, `^(0|[1-9][0-9]*)-(0|[1-9][0-9]*)$`, at)
		}
	})
}

// Nor do members of indexes.
func FuzzMembers(f *testing.F) {
	for _, e := range entryCases {
		f.Add(e.expiryMember())
		f.Add(e.ageMember())
		for _, path := range e.files {
			f.Add(e.fileMember(path))
		}
	}
	f.Fuzz(func(t *testing.T, member string) {
		if e, ok := parseExpiry(member); ok {
			again, ok := parseExpiry(e.expiryMember())
			require.True(t, ok)
			if len(e.files) > 0 && len(again.files) == 0 {
				again.files = e.files // too long to be listed, however it came there
			}
			assert.Equal(t, e, again)
		}
		if e, ok := parseAge("default", member); ok {
			assert.Equal(t, member, e.ageMember())
		}
		if e, ok := parseFile(member); ok {
			again, ok := parseFile(e.fileMember(e.files[0]))
			require.True(t, ok)
			assert.Equal(t, e, again)
		}
	})
}
