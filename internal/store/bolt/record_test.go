package bolt

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

func TestRecordOfRequest(t *testing.T) {
	at := time.Date(2026, 11, 21, 17, 4, 5, 0, time.UTC)
	number, id := appendNumber(nil, 7), requestID(backend.RequestKey{1, 2})
	for _, r := range []backend.Request{
		{Fingerprint: backend.Fingerprint{3}, Plan: "plan", Answer: []byte("answer\x00"), Lease: at, ExpiresAt: at.Add(time.Hour), Guest: true},
		{Lease: time.UnixMilli(0).UTC(), ExpiresAt: at},
	} {
		value := seal(appendRequest(nil, id, &r), 0, number)
		assert.Equal(t, "\x04r", string(value[:2]))
		assert.LessOrEqual(t, len(value)-len(r.Plan)-len(r.Answer)+entryBytes, requestCost)
		e, err := openEntry(number, value)
		require.NoError(t, err)
		assert.Equal(t, id, e.key)
		assert.Equal(t, backend.RequestKey{1, 2}, requestKeyOf(e.key))
		got, err := e.request()
		require.NoError(t, err)
		assert.Equal(t, r, got)
		for n := range len(value) - sumBytes - len(r.Answer) - 1 {
			if e, err = openEntry(number, seal(append([]byte(nil), value[:n+1]...), 0, number)); err == nil {
				_, err = e.request()
			}
			require.ErrorIs(t, err, errContent, "the first %d bytes", n+1)
		}
	}
	_, err := openEntry(number, seal(appendHead(nil, requestKind, backend.Key{Namespace: schema.DefaultNamespace, ID: schema.NewID()}), 0, number))
	require.ErrorIs(t, err, errContent)
	_, err = openEntry(number, seal(appendHead(nil, endedKind, id), 0, number))
	require.ErrorIs(t, err, errContent)
}

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

	_, err = openEntry(number, seal(append([]byte{requestFormat + 1}, appendSession(nil, &sess)[1:]...), 0, number))
	require.ErrorIs(t, err, ErrNewer)
}

// FuzzEntry takes records apart whose checksum is right, as somebody writes them who
// means harm.
func FuzzEntry(f *testing.F) {
	at := time.Date(2026, 11, 21, 17, 4, 5, 0, time.UTC)
	number, id := appendNumber(nil, 7), requestID(backend.RequestKey{1, 2})
	sess, err := new(schema.Rules).Build(schema.Session{
		Namespace: schema.DefaultNamespace, ID: schema.NewID(), Life: schema.NewLife(), CreatedAt: at, UpdatedAt: at,
		ExpiresAt: at.Add(time.Hour), Revision: 1, TTL: time.Hour,
	}, schema.EmptySections())
	require.NoError(f, err)
	remembered := sess
	remembered.Facts = schema.Facts{}.WithRemember(true)
	for _, record := range [][]byte{
		appendSession(nil, &sess), appendSession(nil, &remembered),
		appendGrace(nil, sess.Key(), at.UnixMilli(), sess.ID),
		appendRequest(nil, id, &backend.Request{Plan: "plan", Answer: []byte("answer"), Lease: at, ExpiresAt: at, Guest: true}),
		appendHead(nil, endedKind, sess.Key()),
	} {
		content, err := unseal(number, seal(record, 0, number))
		require.NoError(f, err)
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		before := string(content)
		e, err := parseEntry(content)
		if err != nil {
			require.ErrorIs(t, err, errContent)
			return
		}
		// Each reads what the others wrote as well, and finds nothing or what is there.
		if s, err := e.session(); err == nil {
			require.Equal(t, e.key, s.Key())
			require.Equal(t, e.key.ID, string(schema.DocID(s.Doc)))
		}
		_, _, _, _, _ = e.times()
		_, _ = e.tombstone()
		if g, err := e.grace(); err == nil && g.until != 0 {
			require.True(t, schema.ValidForeignID(g.to.ID))
		}
		if r, err := e.request(); err == nil && e.kind == requestKind {
			again, err := openEntry(number, seal(appendRequest(nil, e.key, &r), 0, number))
			require.NoError(t, err)
			require.Equal(t, e.key, again.key)
			got, err := again.request()
			require.NoError(t, err)
			require.Equal(t, r, got)
		}
		require.Equal(t, before, string(content), "the record is only read")
	})
}
