package bolt

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

// A session without facts is written as it was before there were any, so that it takes
// no byte more.
func TestRecordOfFacts(t *testing.T) {
	at := time.Date(2026, 11, 21, 17, 4, 5, 0, time.UTC)
	sess := schema.Session{
		Namespace: schema.DefaultNamespace, ID: schema.NewID(), Life: schema.NewLife(), CreatedAt: at, UpdatedAt: at,
		ExpiresAt: at.Add(time.Hour), Revision: 1, TTL: time.Hour,
	}
	sess, err := new(schema.Rules).Build(sess, schema.EmptySections())
	require.NoError(t, err)
	number := appendNumber(nil, 7)
	for facts, kind := range map[schema.Facts]string{{}: "\x02S", schema.Facts{}.WithRemember(true): "\x03F"} {
		sess.Facts = facts
		value := seal(appendSession(nil, &sess), 0, number)
		assert.Equal(t, kind, string(value[:2]))
		e, err := openEntry(number, value)
		require.NoError(t, err)
		got, err := e.session()
		require.NoError(t, err)
		assert.Equal(t, sess, got)
		used, created, expires, again, err := e.times()
		require.NoError(t, err)
		assert.Equal(t, []any{at.UnixMilli(), at.UnixMilli(), at.Add(time.Hour).UnixMilli(), false}, []any{used, created, expires, again})
	}
	sess.Facts = schema.Facts{}
	plain := len(appendSession(nil, &sess))
	sess.Facts = sess.Facts.WithRemember(true)
	assert.Len(t, appendSession(nil, &sess), plain+1+len(sess.Facts.String()))

	_, err = openEntry(number, seal(append([]byte{factsFormat + 1}, appendSession(nil, &sess)[1:]...), 0, number))
	require.ErrorIs(t, err, ErrNewer)
}
