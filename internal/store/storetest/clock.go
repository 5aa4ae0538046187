package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// RunClock runs the tests of a clock that is set, forward or back, for a store
// that has no other: whatever anybody was told is gone stays gone, and nothing
// lives longer for it.
func RunClock(t *testing.T, open Open) {
	t.Helper()
	t.Run("WhatEnded", func(t *testing.T) { testEndedAndClock(t, open) })
	t.Run("WhatExpired", func(t *testing.T) { testExpiredAndClock(t, open) })
	t.Run("WhatIsOfTheFuture", func(t *testing.T) { testFuture(t, open) })
	t.Run("Deadlines", func(t *testing.T) { testDeadlinesAndClock(t, open) })
}

// ClockJumps are how far clocks are set in tests.
var ClockJumps = []time.Duration{time.Hour, 24 * time.Hour, -time.Hour, -24 * time.Hour}

func eachJump(t *testing.T, test func(t *testing.T, jump time.Duration)) {
	t.Helper()
	for _, jump := range ClockJumps {
		t.Run(fmt.Sprint(jump), func(t *testing.T) { test(t, jump) })
	}
}

// requireNothing checks that a session has left nothing, whoever asks in
// whatever way.
func (f *fixture) requireNothing(sess schema.Session) {
	f.t.Helper()
	f.requireGone(sess.Key())
	next := f.revised(sess, spec{note: "late"})
	next.ExpiresAt = f.now().Add(sess.TTL)
	_, err := f.Swap(f.ctx(), f.now(), sess, next)
	require.ErrorIs(f.t, err, backend.ErrNotFound)
	_, err = f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(sess.TTL))
	require.ErrorIs(f.t, err, backend.ErrNotFound)
	require.ErrorIs(f.t, f.Regenerate(f.ctx(), f.now(), sess, next.WithID(schema.NewID()), f.now().Add(time.Minute)), backend.ErrNotFound)
	require.ErrorIs(f.t, f.Delete(f.ctx(), f.now(), sess.Key(), 0), backend.ErrNotFound)
	n, err := f.Count(f.ctx(), f.now(), backend.Filter{Namespace: sess.Namespace})
	require.NoError(f.t, err)
	assert.Zero(f.t, n, "counted")
	assert.Empty(f.t, f.all(), "listed")
	assert.Empty(f.t, f.fileSet(), "files")
	for _, path := range sess.Files {
		assert.False(f.t, f.hasFile(path), path)
	}
	n, err = f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: sess.Namespace})
	require.NoError(f.t, err)
	assert.Zero(f.t, n, "cleared")
}

func testEndedAndClock(t *testing.T, open Open) {
	ended := func(t *testing.T) (*fixture, schema.Session) {
		t.Helper()
		f := newLimited(t, open, Limits{Tombstone: 5 * time.Minute})
		sess := f.created(spec{user: "ada", files: []string{"a"}, ttl: 48 * time.Hour})
		require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
		return f, sess
	}
	eachJump(t, func(t *testing.T, jump time.Duration) {
		f, sess := ended(t)
		f.clock.Advance(jump)
		f.requireNothing(sess)
		f.sweep()
		f.clock.Advance(-jump)
		f.requireNothing(sess)
		if jump < 0 {
			f.clock.Advance(jump)
			require.ErrorIs(t, f.Create(f.ctx(), f.now(), sess), backend.ErrEnded, "it is remembered")
		}
	})
}

func testExpiredAndClock(t *testing.T, open Open) {
	const seen = "seen"
	for name, look := range map[string]func(f *fixture, sess schema.Session){
		"Get":  func(f *fixture, sess schema.Session) { _, _ = f.Get(f.ctx(), f.now(), sess.Key()) },
		"Peek": func(f *fixture, sess schema.Session) { _, _ = f.Peek(f.ctx(), f.now(), sess.Key()) },
		"Swap": func(f *fixture, sess schema.Session) {
			_, _ = f.Swap(f.ctx(), f.now(), sess, f.revised(sess, spec{note: seen}))
		},
		"Touch": func(f *fixture, sess schema.Session) {
			_, _ = f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(sess.TTL))
		},
		"Regenerate": func(f *fixture, sess schema.Session) {
			_ = f.Regenerate(f.ctx(), f.now(), sess, sess.WithID(schema.NewID()), f.now())
		},
		"Delete": func(f *fixture, sess schema.Session) { _ = f.Delete(f.ctx(), f.now(), sess.Key(), 0) },
		"List":   func(f *fixture, _ schema.Session) { f.all() },
		"Count": func(f *fixture, sess schema.Session) {
			_, _ = f.Count(f.ctx(), f.now(), backend.Filter{Namespace: sess.Namespace})
		},
		"Clear": func(f *fixture, sess schema.Session) {
			_, _ = f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: sess.Namespace})
		},
		"Files":   func(f *fixture, _ schema.Session) { f.fileSet() },
		"HasFile": func(f *fixture, _ schema.Session) { f.hasFile("a") },
		"Sweep":   func(f *fixture, _ schema.Session) { f.sweep() },
	} {
		for _, jump := range []time.Duration{time.Hour, 24 * time.Hour} {
			t.Run(fmt.Sprintf("told by %s after %v", name, jump), func(t *testing.T) {
				f := newFixture(t, open)
				sess := f.created(spec{user: "ada", files: []string{"a"}, ttl: time.Hour})
				f.clock.Advance(jump)
				look(f, sess)
				f.clock.Advance(-jump)
				f.requireNothing(sess)
				f.requireEmpty()
			})
		}
	}

	t.Run("an old id whose grace was over", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{})
		next := sess.WithID(schema.NewID())
		require.NoError(t, f.Regenerate(f.ctx(), f.now(), sess, next, f.now().Add(time.Minute)))
		f.clock.Advance(time.Minute)
		f.requireGone(sess.Key())
		f.clock.Advance(-time.Hour)
		f.requireGone(sess.Key())
		f.requireStored(next)
	})

	t.Run("a successor that had expired", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{ttl: time.Hour})
		next := sess.WithID(schema.NewID())
		require.NoError(t, f.Regenerate(f.ctx(), f.now(), sess, next, f.now().Add(48*time.Hour)))
		f.clock.Advance(time.Hour)
		f.requireGone(sess.Key())
		f.clock.Advance(-time.Hour)
		f.requireGone(sess.Key())
		f.requireNothing(next)
	})
}

// A session that was made while the clock was ahead is one like others, but
// that no touch moves its deadline until the clock is where it was.
func testFuture(t *testing.T, open Open) {
	for _, jump := range []time.Duration{time.Hour, 24 * time.Hour} {
		t.Run(fmt.Sprint(jump), func(t *testing.T) {
			f := newFixture(t, open)
			const ttl = 30 * time.Minute
			f.clock.Advance(jump)
			sess := f.created(spec{user: "ada", files: []string{"a"}, ttl: ttl})
			deadline := sess.ExpiresAt
			f.clock.Advance(-jump)
			assert.Zero(t, f.sweep())
			f.requireStored(sess)
			assert.Equal(t, []string{sess.ID}, f.all())
			assert.True(t, f.hasFile("a"))

			got, err := f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(100*time.Hour))
			require.NoError(t, err)
			requireSame(t, sess, got)
			next := f.revised(sess, spec{note: "changed"})
			next.ExpiresAt = f.now().Add(ttl)
			got, err = f.Swap(f.ctx(), f.now(), sess, next)
			require.NoError(t, err)
			assert.True(t, got.ExpiresAt.Equal(deadline), "the later deadline holds")
			next.ExpiresAt = deadline
			f.requireStored(next)

			moved := next.WithID(schema.NewID())
			moved.ExpiresAt = f.now().Add(ttl)
			require.NoError(t, f.Regenerate(f.ctx(), f.now(), next, moved, f.now().Add(time.Minute)))
			f.requireStored(moved)
			f.clock.Advance(ttl)
			f.requireNothing(moved)
			f.requireEmpty()
		})
	}
}

func testDeadlinesAndClock(t *testing.T, open Open) {
	eachJump(t, func(t *testing.T, jump time.Duration) {
		f := newFixture(t, open)
		sess := f.created(spec{ttl: 48 * time.Hour})
		f.clock.Advance(jump)
		got, err := f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(1000*time.Hour))
		require.NoError(t, err)
		want := f.now().Add(sess.TTL)
		if sess.ExpiresAt.After(want) {
			want = sess.ExpiresAt
		}
		assert.True(t, got.ExpiresAt.Equal(want), "%v, want %v", got.ExpiresAt, want)
		f.clock.Advance(want.Sub(f.now()))
		f.requireNothing(got)
	})
}
