package bolt

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

func lifeSession(t *testing.T, now time.Time) schema.Session {
	t.Helper()
	sess, err := new(schema.Rules).Build(schema.Session{
		Namespace: "shop", ID: schema.NewID(), Life: schema.NewLife(), CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(time.Hour),
		Revision: 3, TTL: time.Hour,
	}, schema.EmptySections())
	require.NoError(t, err)
	return sess
}

func TestEntriesOfSessions(t *testing.T) {
	sess := lifeSession(t, time.UnixMilli(1_795_280_000_000).UTC())
	number := appendNumber(nil, 7)
	e, err := openEntry(number, seal(appendSession(nil, &sess), 0, number))
	require.NoError(t, err)
	got, err := e.session()
	require.NoError(t, err)
	assert.Equal(t, sess, got)

	// As the version before sessions had lives wrote it.
	b := appendHead(nil, sessionKind, sess.Key())
	require.Equal(t, byte(1), b[0])
	for _, at := range []time.Time{sess.CreatedAt, sess.UpdatedAt, sess.ExpiresAt} {
		b = binary.AppendVarint(b, at.UnixMilli())
	}
	for _, n := range []int64{sess.Revision, int64(sess.TTL), int64(sess.OwnTTL)} {
		b = binary.AppendVarint(b, n)
	}
	b = binary.AppendUvarint(appendText(b, ""), 0)
	e, err = openEntry(number, seal(append(b, sess.Doc...), 0, number))
	require.NoError(t, err)
	got, err = e.session()
	require.NoError(t, err)
	sess.Life = schema.Life{}
	assert.Equal(t, sess, got)
	assert.Equal(t, sess.ETag(), got.ETag())
	used, _, expires, _, err := e.times()
	require.NoError(t, err)
	assert.Equal(t, sess.UpdatedAt.UnixMilli(), used)
	assert.Equal(t, sess.ExpiresAt.UnixMilli(), expires)

	// A version that this one does not know.
	b[0] = requestFormat + 1
	_, err = openEntry(number, seal(append(b, sess.Doc...), 0, number))
	require.ErrorIs(t, err, errFormat)
}

// What is over stays over when the process begins anew, and it is known why.
func TestTombstonesOutliveTheProcess(t *testing.T) {
	for name, interval := range map[string]time.Duration{"always": 0, "interval": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			ctx, dir, now := t.Context(), t.TempDir(), schema.Now(time.Now())
			o := Options{Dir: dir, Interval: interval, Memory: memory.Options{Policy: memory.LRU, MaxEntries: 2, Tombstone: 5 * time.Minute}}
			s, err := Open(now, o)
			require.NoError(t, err)
			ended, evicted, swept := lifeSession(t, now), lifeSession(t, now), lifeSession(t, now)
			unseen, stays := lifeSession(t, now), lifeSession(t, now)
			swept.ExpiresAt, unseen.ExpiresAt = now.Add(time.Minute), now.Add(2*time.Minute)
			require.NoError(t, s.Create(ctx, now, ended))
			require.NoError(t, s.Delete(ctx, now, ended.Key(), 0))
			require.NoError(t, s.Create(ctx, now, evicted))
			require.NoError(t, s.Create(ctx, now, swept))
			require.NoError(t, s.Create(ctx, now, unseen)) // evicted gives way
			_, err = s.Sweep(ctx, now.Add(time.Minute))
			require.NoError(t, err)
			require.NoError(t, s.Create(ctx, now.Add(time.Minute), stays))
			require.NoError(t, s.Close())

			for range 2 { // and once more, from what the first start wrote
				later := now.Add(3 * time.Minute)
				s, err = Open(later, o)
				require.NoError(t, err)
				require.ErrorIs(t, s.Create(ctx, later, stays), backend.ErrExists)
				got, err := s.Peek(ctx, later, stays.Key())
				require.NoError(t, err)
				assert.Equal(t, stays.ETag(), got.ETag())
				err = s.Create(ctx, later, ended)
				require.ErrorIs(t, err, backend.ErrEnded)
				require.NotErrorIs(t, err, backend.ErrLapsed)
				for what, sess := range map[string]schema.Session{"evicted": evicted, "swept": swept, "expired while nobody was there": unseen} {
					require.ErrorIs(t, s.Create(ctx, later, sess), backend.ErrLapsed, what)
					_, err := s.Peek(ctx, later, sess.Key())
					require.ErrorIs(t, err, backend.ErrNotFound, what)
				}
				require.NoError(t, s.Close())
			}

			later := now.Add(7 * time.Minute)
			s, err = Open(later, o)
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Close()) }()
			swept.ExpiresAt = later.Add(time.Hour)
			require.NoError(t, s.Create(ctx, later, swept), "each for its time")
		})
	}
}
