package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/storetest"
)

// A clock is set while a session is in use. Whatever is done then, its deadline
// is within what its life allows.
func TestDeadlinesWhenTheClockIsSet(t *testing.T) {
	const idle, absolute = 30 * time.Hour, 40 * time.Hour
	for name, do := range map[string]func(b *bench, now time.Time, key backend.Key) (schema.Session, error){
		"Access": func(b *bench, now time.Time, key backend.Key) (schema.Session, error) {
			sess, _, err := b.Access(b.t.Context(), now, key)
			return sess, err
		},
		"Extend": func(b *bench, now time.Time, key backend.Key) (schema.Session, error) {
			return b.Extend(b.t.Context(), now, key, 0)
		},
		"Extend by a time of its own": func(b *bench, now time.Time, key backend.Key) (schema.Session, error) {
			return b.Extend(b.t.Context(), now, key, 29*time.Hour)
		},
		"Update": func(b *bench, now time.Time, key backend.Key) (schema.Session, error) {
			sess, _, err := b.Update(b.t.Context(), now, key, store.Update{Change: patch{inputs: `{"a":1}`}, Slide: true})
			return sess, err
		},
		"Renew": func(b *bench, now time.Time, key backend.Key) (schema.Session, error) {
			sess, _, err := b.Renew(b.t.Context(), now, key, 0)
			return sess, err
		},
	} {
		for _, jump := range storetest.ClockJumps {
			t.Run(fmt.Sprintf("%s, %v", name, jump), func(t *testing.T) {
				b := newBench(t, store.Lifetimes{TTL: idle, Absolute: absolute})
				sess, err := b.Create(t.Context(), start, schema.DefaultNamespace, patch{}, nil)
				require.NoError(t, err)
				end := sess.CreatedAt.Add(absolute)
				now := start.Add(jump)
				got, err := do(b, now, sess.Key())
				require.NoError(t, err)
				assert.False(t, got.ExpiresAt.After(end), "beyond its absolute deadline")
				latest := schema.Now(now).Add(idle)
				if sess.ExpiresAt.After(latest) {
					latest = sess.ExpiresAt
				}
				assert.False(t, got.ExpiresAt.After(latest), "beyond its idle life")
				_, err = b.Peek(t.Context(), end, got.Key())
				require.ErrorIs(t, err, backend.ErrNotFound)
			})
		}
	}
}

// Over any course of a clock, of what is done and of what is asked: a session
// that somebody was told is gone is gone for good, none lives beyond its
// absolute deadline, and the idle life is what a deadline moves by.
func TestSessionsUnderAClockThatIsSet(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const idle, absolute = 2 * time.Hour, 30 * time.Hour
		b := newBench(t, store.Lifetimes{TTL: idle, Absolute: absolute, TouchInterval: time.Minute})
		now := start
		known := map[backend.Key]schema.Session{} // as they were seen last
		gone := map[backend.Key]bool{}
		var keys []backend.Key
		learn := func(sess schema.Session, err error) {
			require.NoError(rt, err)
			if _, ok := known[sess.Key()]; !ok {
				keys = append(keys, sess.Key())
			}
			known[sess.Key()] = sess
		}
		// lived checks what was answered about a key.
		lived := func(key backend.Key, sess schema.Session, err error) {
			if err != nil {
				require.ErrorIs(rt, err, backend.ErrNotFound)
				gone[key] = true
				return
			}
			require.False(rt, gone[key], "it is back")
			require.True(rt, sess.Live(now))
			require.False(rt, sess.ExpiresAt.After(sess.CreatedAt.Add(absolute)), "beyond its absolute deadline")
			was := known[key]
			if sess.ExpiresAt.After(was.ExpiresAt) {
				require.False(rt, sess.ExpiresAt.After(schema.Now(now).Add(idle)), "moved beyond its idle life")
			}
			learn(sess, nil)
		}
		draw := func() backend.Key {
			if len(keys) == 0 {
				rt.Skip("nothing there")
			}
			return rapid.SampledFrom(keys).Draw(rt, "key")
		}
		rt.Repeat(map[string]func(*rapid.T){
			"create": func(*rapid.T) {
				learn(b.Create(t.Context(), now, schema.DefaultNamespace, patch{}, nil))
			},
			"access": func(*rapid.T) {
				key := draw()
				sess, _, err := b.Access(t.Context(), now, key)
				lived(key, sess, err)
			},
			"extend": func(*rapid.T) {
				key := draw()
				sess, err := b.Extend(t.Context(), now, key, 0)
				lived(key, sess, err)
			},
			"update": func(*rapid.T) {
				key := draw()
				sess, _, err := b.Update(t.Context(), now, key, store.Update{Change: patch{inputs: `{"a":1}`}, Slide: true})
				lived(key, sess, err)
			},
			"renew": func(*rapid.T) {
				key := draw()
				next, made, err := b.Renew(t.Context(), now, key, 0)
				if err != nil {
					lived(key, next, err)
					return
				}
				require.True(rt, made)
				require.False(rt, gone[key], "it is back")
				gone[key] = true
				require.False(rt, next.ExpiresAt.After(next.CreatedAt.Add(absolute)), "beyond its absolute deadline")
				learn(next, nil)
			},
			"end": func(*rapid.T) {
				key := draw()
				if err := b.End(t.Context(), now, key, nil); err != nil {
					require.ErrorIs(rt, err, backend.ErrNotFound)
				}
				gone[key] = true
			},
			"list": func(*rapid.T) {
				page, err := b.List(t.Context(), now, backend.Query{Namespace: schema.DefaultNamespace, Limit: 1000})
				require.NoError(rt, err)
				listed := map[backend.Key]bool{}
				for _, sess := range page.Sessions {
					require.False(rt, gone[sess.Key()], "it is back")
					listed[sess.Key()] = true
				}
				for _, key := range keys {
					gone[key] = gone[key] || !listed[key]
				}
			},
			"sweep": func(*rapid.T) {
				n, err := b.Sweep(t.Context(), now)
				require.NoError(rt, err)
				freed := 0
				for key, sess := range known {
					if !sess.Live(now) && !gone[key] {
						gone[key] = true
						freed++
					}
				}
				require.Equal(rt, freed, n)
			},
			"wait": func(*rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "minutes")) * time.Minute)
			},
			"set the clock": func(*rapid.T) {
				now = now.Add(rapid.SampledFrom(storetest.ClockJumps).Draw(rt, "jump"))
			},
		})
	})
}
