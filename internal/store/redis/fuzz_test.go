package redis

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
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
	key := store.Key{Namespace: schema.DefaultNamespace, ID: id}
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
