package bolt_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/memory"
	"session-api/internal/store/storetest"
)

func TestClock(t *testing.T) { storetest.RunClock(t, suite(0)) }

func TestClockWithInterval(t *testing.T) { storetest.RunClock(t, suite(20*time.Millisecond)) }

// The clock is set between two runs of the process.
func TestClockAndRestarts(t *testing.T) {
	for _, jump := range storetest.ClockJumps {
		t.Run(fmt.Sprint(jump), func(t *testing.T) {
			now, dir := schema.Now(time.Now()), t.TempDir()
			reopen := func(now time.Time) *bolt.Store {
				t.Helper()
				s, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: dir, Memory: memory.Options{Tombstone: time.Hour}})
				require.NoError(t, err)
				return s
			}
			create := func(s *bolt.Store, ttl time.Duration) schema.Session {
				t.Helper()
				sess, err := new(schema.Rules).Build(schema.Session{
					Namespace: schema.DefaultNamespace, ID: schema.NewID(), CreatedAt: now, UpdatedAt: now,
					ExpiresAt: now.Add(ttl), Revision: 1, TTL: ttl,
				}, schema.EmptySections())
				require.NoError(t, err)
				require.NoError(t, s.Create(t.Context(), now, sess))
				return sess
			}
			ctx := t.Context()
			s := reopen(now)
			ended, expired, long := create(s, 72*time.Hour), create(s, time.Minute), create(s, 72*time.Hour)
			require.NoError(t, s.Delete(ctx, now, ended.Key(), 0))
			_, err := s.Get(ctx, now.Add(time.Minute), expired.Key())
			require.ErrorIs(t, err, backend.ErrNotFound)
			require.NoError(t, s.Close())

			s = reopen(now.Add(jump))
			_, err = s.Get(ctx, now.Add(jump), long.Key())
			require.NoError(t, err)
			require.NoError(t, s.Close())

			s = reopen(now)
			defer func() { require.NoError(t, s.Close()) }()
			for _, gone := range []schema.Session{ended, expired} {
				_, err = s.Get(ctx, now, gone.Key())
				require.ErrorIs(t, err, backend.ErrNotFound)
			}
			got, err := s.Get(ctx, now, long.Key())
			require.NoError(t, err)
			require.True(t, got.ExpiresAt.Equal(long.ExpiresAt))
			if jump < 0 {
				require.ErrorIs(t, s.Create(ctx, now, ended), backend.ErrEnded)
			}
		})
	}
}
