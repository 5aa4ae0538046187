package bolt_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
)

// TestClockSetBack_restart: what had expired when the store was opened, or was
// swept since, stays gone, though the clock that said so was wrong, once that has
// gone well for a while.
func TestClockSetBack_restart(t *testing.T) {
	ctx := t.Context()
	for _, interval := range []time.Duration{0, time.Hour} {
		for _, late := range []string{"before the opening", "while it is open"} {
			t.Run(fmt.Sprint(late, ", interval ", interval), func(t *testing.T) {
				w := newWorld(t, scratch(t), interval)
				stays := template(t).WithID(schema.NewID())
				stays.ExpiresAt = now.Add(5 * time.Hour)
				require.NoError(t, w.Create(ctx, now, stays))
				old := w.create()
				next := old.WithID(schema.NewID())
				next.ExpiresAt = now.Add(5 * time.Hour)
				require.NoError(t, w.Regenerate(ctx, now, old, next, now.Add(time.Minute)))
				var expire []schema.Session
				for range 3 {
					sess := w.create()
					changed := w.change(sess) // the file has two of it
					expire = append(expire, changed)
				}
				again := expire[2].WithID(expire[2].ID)
				again.ExpiresAt = now.Add(5 * time.Hour)

				require.NoError(t, w.Close())
				later := now.Add(2 * time.Hour)
				opened := later
				if late != "before the opening" {
					opened = now
				}
				s, err := bolt.Open(opened, w.o)
				require.NoError(t, err)
				s.LookAtClocks(opened.Add(5*time.Minute), 5*time.Minute)
				_, err = s.Sweep(ctx, later)
				require.NoError(t, err)
				require.NoError(t, s.Create(ctx, later, again))
				require.NoError(t, s.Close())

				report, err := bolt.Check(now, w.dir)
				require.NoError(t, err)
				assert.Equal(t, 3, report.Sessions, "as of a clock that is right")
				assert.Zero(t, report.Graces)
				s, err = bolt.Open(now, w.o)
				require.NoError(t, err)
				for _, sess := range expire[:2] {
					_, err := s.Get(ctx, now, sess.Key())
					require.ErrorIs(t, err, backend.ErrNotFound)
				}
				_, err = s.Get(ctx, now, old.Key())
				require.ErrorIs(t, err, backend.ErrNotFound, "its grace was over")
				require.ErrorIs(t, s.Create(ctx, now, old), backend.ErrEnded)
				for _, sess := range []schema.Session{stays, next, again} {
					got, err := s.Get(ctx, now, sess.Key())
					require.NoError(t, err)
					assert.Equal(t, sess, got)
				}
				require.NoError(t, s.Close())
			})
		}
	}
}

// What has expired is taken back in many transactions, all of which Close waits
// for. An id that is taken anew before its turn comes is not meant.
func TestRestart_manyExpired(t *testing.T) {
	ctx := t.Context()
	for _, anew := range []int{0, 10} {
		t.Run(fmt.Sprint(anew, " taken anew"), func(t *testing.T) {
			w := newWorld(t, scratch(t), time.Hour)
			expired := fill(t, w, bolt.BatchRetract*5/4) // a batch, and some more
			require.NoError(t, w.Close())
			later := now.Add(2 * time.Hour)
			w.o.Interval = 0
			s, err := bolt.Open(later, w.o)
			require.NoError(t, err)
			for _, sess := range expired[len(expired)-anew:] {
				sess.ExpiresAt = later.Add(time.Hour)
				require.NoError(t, s.Create(ctx, later, sess))
			}
			s.LookAtClocks(later.Add(5*time.Minute), 5*time.Minute)
			require.NoError(t, s.Close())
			report, err := bolt.Check(now, w.dir)
			require.NoError(t, err)
			assert.Equal(t, anew, report.Sessions, "as of a clock that is right")
		})
	}
}
