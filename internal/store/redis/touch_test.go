package redis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
)

// An instance that knows a session's value touches it without having it sent. Whatever
// another instance has made of the session meanwhile, what comes of that is what comes
// of the touch of an instance that knows nothing.
func TestTouchOfWhatOthersChanged(t *testing.T) {
	const user = `ada "\ ünd` // which the document escapes
	changes := map[string]func(t *testing.T, s *redis.Store, now time.Time, sess schema.Session){
		"nothing": func(*testing.T, *redis.Store, time.Time, schema.Session) {},
		"touched further": func(t *testing.T, s *redis.Store, now time.Time, sess schema.Session) {
			t.Helper()
			_, err := s.Touch(t.Context(), now.Add(30*time.Minute), sess.Key(), now.Add(90*time.Minute))
			require.NoError(t, err)
		},
		"another document": swapped(func(t *testing.T, now time.Time, sess schema.Session) schema.Session {
			t.Helper()
			return revised(t, now, sess, spec{user: user, note: "another"})
		}),
		"a shorter idle life": swapped(func(_ *testing.T, now time.Time, sess schema.Session) schema.Session {
			sess.TTL, sess.OwnTTL, sess.ExpiresAt = time.Minute, time.Minute, now.Add(time.Minute)
			return sess
		}),
		"a longer idle life": swapped(func(_ *testing.T, now time.Time, sess schema.Session) schema.Session {
			sess.TTL, sess.OwnTTL, sess.ExpiresAt = 2*time.Hour, 2*time.Hour, now.Add(2*time.Hour)
			return sess
		}),
		"another user": swapped(func(t *testing.T, now time.Time, sess schema.Session) schema.Session {
			t.Helper()
			next := revised(t, now, sess, spec{user: "eve"})
			next.Life = schema.NewLife()
			return next
		}),
		"other facts": swapped(func(_ *testing.T, _ time.Time, sess schema.Session) schema.Session {
			sess.Facts = schema.StoredFacts(`{"label":"Firefox on Windows"}`)
			return sess
		}),
		"ended": func(t *testing.T, s *redis.Store, now time.Time, sess schema.Session) {
			t.Helper()
			require.NoError(t, s.Delete(t.Context(), now, sess.Key(), 0))
		},
		"made anew": func(t *testing.T, s *redis.Store, now time.Time, sess schema.Session) {
			t.Helper()
			require.NoError(t, s.Delete(t.Context(), now, sess.Key(), 0))
			anew := newSession(t, now, spec{id: sess.ID, user: user, ttl: 10 * time.Minute})
			require.NoError(t, s.Create(t.Context(), now, anew, backend.Revive))
		},
		"regenerated": func(t *testing.T, s *redis.Store, now time.Time, sess schema.Session) {
			t.Helper()
			require.NoError(t, s.Regenerate(t.Context(), now, sess, sess.WithID(schema.NewID()), now.Add(hour)))
		},
	}
	for name, options := range map[string]func(*redis.Options){"plain": forFiveMinutes, "compressed": withCompression} {
		server := redistest.Start(t)
		one, other := open(t, server, options), open(t, server, options)
		events := follow(t, one)
		seen := func(from string) backend.Event {
			for {
				if ev := events.next(); ev.Type == backend.EventTouched && ev.Session.ID == from {
					return ev
				}
			}
		}
		for what, change := range changes {
			for _, late := range []time.Duration{time.Minute, 50 * time.Minute, 3 * hour} {
				t.Run(name+"/"+what+"/"+late.String(), func(t *testing.T) {
					now := schema.Now(ahead().Now())
					known, unknown := create(t, one, now, spec{user: user}), create(t, other, now, spec{user: user})
					_, err := one.Get(t.Context(), now, known.Key())
					require.NoError(t, err)
					change(t, other, now, known)
					change(t, other, now, unknown)
					third := open(t, server, options) // knows neither
					at := now.Add(late)
					got, err := one.Touch(t.Context(), at, known.Key(), at.Add(3*hour))
					want, wantErr := third.Touch(t.Context(), at, unknown.Key(), at.Add(3*hour))
					require.Equal(t, wantErr, err)
					tombstone := func(id string) string {
						key := "{session:" + id + "}:end"
						return server.CLI("GET", key) + " " + server.CLI("PEXPIRETIME", key)
					}
					assert.Equal(t, server.CLI("PEXPIRETIME", "session:"+unknown.ID), server.CLI("PEXPIRETIME", "session:"+known.ID))
					assert.Equal(t, tombstone(unknown.ID), tombstone(known.ID))
					if err != nil {
						return
					}
					if what != "touched further" {
						evGot, evWant := seen(known.ID), seen(unknown.ID)
						evGot.ID, evGot.Session = evWant.ID, evWant.Session
						assert.Equal(t, evWant, evGot)
					}
					stored, err := third.Get(t.Context(), at, known.Key())
					require.NoError(t, err)
					assert.Equal(t, document(stored), document(got))
					assert.Equal(t, backend.VersionOf(&stored), backend.VersionOf(&got))
					assert.Equal(t, want.ExpiresAt, got.ExpiresAt)
				})
			}
		}
	}
}

// swapped is a change by Swap.
func swapped(next func(t *testing.T, now time.Time, sess schema.Session) schema.Session) func(*testing.T, *redis.Store, time.Time, schema.Session) {
	return func(t *testing.T, s *redis.Store, now time.Time, sess schema.Session) {
		t.Helper()
		_, err := s.Swap(t.Context(), now, sess, next(t, now, sess))
		require.NoError(t, err)
	}
}
