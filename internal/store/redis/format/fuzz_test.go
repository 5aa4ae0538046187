package format

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

// Whatever is in Redis, reading it neither panics nor gives a session that
// would let others panic.
func FuzzDecode(f *testing.F) {
	const id = "0123456789abcdef"
	for _, over := range []int{0, 1} {
		c := newTestCodec(f, over)
		for _, sess := range valueSessions(f) {
			sess = sess.WithID(id)
			value := c.Encode(&sess).Value(NewVersion(created, sess.UserID, sess.Files), End(&sess))
			f.Add(value)
			f.Add(Pending(value, 1795280000123))
		}
	}
	f.Add([]byte(`{"id":"0123456789abcdef"}`))
	c := newTestCodec(f, 0)
	key := schema.Key{Namespace: schema.DefaultNamespace, ID: id}
	f.Fuzz(func(t *testing.T, value []byte) {
		DocumentLen(int64(len(value)), string(value))
		v, err := decoded(c, key, string(value))
		if err != nil {
			return
		}
		_ = v.Session.AppendJSON(nil)
		_, _ = v.Session.Sections()
		_, _ = v.Session.User()
		_ = v.Session.ETag()
		_ = v.Session.WithID(schema.NewID())
		require.NoError(t, Check(&v.Session))

		// The beginning and the end of it say the same as far as they say anything.
		for _, first := range []int{len(value), len(value) / 2, 300, 10} {
			first = min(first, len(value))
			head, document, ok := DecodeHead(key, string(value[:first]), string(value[max(0, len(value)-LastMax):]), int64(len(value)))
			if !ok || head.Pending {
				continue
			}
			require.EqualValues(t, len(v.Session.Doc), document)
			whole, err := v.Session.Summary()
			require.NoError(t, err)
			if part, err := head.Session.SummaryWithin(int(document)); err == nil {
				require.Equal(t, whole.AppendJSON(nil, created, false), part.AppendJSON(nil, created, false))
			}
		}

		// What was read can be written, and reads the same.
		again, err := decoded(c, key, string(c.Encode(&v.Session).Value(v.Index, End(&v.Session))))
		require.NoError(t, err)
		again.Session.ExpiresAt = v.Session.ExpiresAt
		assert.Equal(t, v.Session, again.Session)
	})
}

// Nor do members of indexes.
func FuzzMembers(f *testing.F) {
	for _, e := range entryCases {
		f.Add(e.ExpiryMember())
		f.Add(e.AgeMember())
		for _, path := range e.Files {
			f.Add(e.FileMember(path))
		}
	}
	f.Fuzz(func(t *testing.T, member string) {
		if e, ok := ParseExpiry(member); ok {
			again, ok := ParseExpiry(e.ExpiryMember())
			require.True(t, ok)
			if len(e.Files) > 0 && len(again.Files) == 0 {
				again.Files = e.Files // too long to be listed, however it came there
			}
			assert.Equal(t, e, again)
		}
		if e, ok := ParseAge("default", member); ok {
			assert.Equal(t, member, e.AgeMember())
		}
		if e, ok := ParseFile(member); ok {
			again, ok := ParseFile(e.FileMember(e.Files[0]))
			require.True(t, ok)
			assert.Equal(t, e, again)
		}
	})
}
