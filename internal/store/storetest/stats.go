package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

func testStats(t *testing.T, open Open) {
	t.Run("a new store has counted nothing", func(t *testing.T) {
		f := newFixture(t, open)
		assert.Equal(t, backend.Stats{}, f.stats())
	})

	t.Run("counts what it says", func(t *testing.T) {
		f := newFixture(t, open)
		var want backend.Stats
		check := func(what string) {
			t.Helper()
			got := f.stats()
			assert.Positive(t, got.Bytes, what)
			got.Bytes = 0
			assert.Equal(t, want, got, what)
		}

		sess := f.created(spec{user: "ada"})
		want.Entries, want.Sets = 1, 1
		check("Create")
		require.Error(t, f.Create(f.ctx(), f.now(), sess))
		check("Create that fails")

		f.get(sess.Key())
		want.Hits = 1
		check("Get")
		_, err := f.Get(f.ctx(), f.now(), backend.Key{Namespace: sess.Namespace, ID: schema.NewID()})
		require.Error(t, err)
		want.Misses = 1
		check("Get of nothing")
		_, err = f.Peek(f.ctx(), f.now(), sess.Key())
		require.NoError(t, err)
		_, err = f.Peek(f.ctx(), f.now(), backend.Key{Namespace: sess.Namespace, ID: schema.NewID()})
		require.Error(t, err)
		check("Peek")

		next := f.revised(sess, spec{note: "new"})
		_, err = f.Swap(f.ctx(), f.now(), sess, next)
		require.NoError(t, err)
		want.Sets++
		check("Swap")
		_, err = f.Swap(f.ctx(), f.now(), sess, next)
		require.Error(t, err)
		check("Swap that fails")
		_, err = f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(ttl))
		require.NoError(t, err)
		check("Touch")

		third := f.regenerated(next, time.Minute)
		want.Sets++
		check("Regenerate")
		f.get(next.Key())
		want.Hits++
		check("Get in the grace")

		require.Error(t, f.Delete(f.ctx(), f.now(), third.Key(), 77))
		check("Delete that fails")
		require.NoError(t, f.Delete(f.ctx(), f.now(), third.Key(), 0))
		f.created(spec{})
		want.Deletes, want.Sets = 1, want.Sets+1
		check("Delete")

		f.clock.Advance(ttl)
		_, err = f.Get(f.ctx(), f.now(), third.Key())
		require.Error(t, err)
		want.Misses++
		f.sweep()
		f.created(spec{})
		want.Expirations, want.Sets = 1, want.Sets+1
		check("Sweep")
		_, err = f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: schema.DefaultNamespace})
		require.NoError(t, err)
		f.created(spec{namespace: "shop"})
		want.Deletes, want.Sets = 2, want.Sets+1
		check("Clear")
	})

	t.Run("what has expired does not count, swept or not", func(t *testing.T) {
		f := newFixture(t, open)
		f.createdTogether(200, func(int) spec { return spec{ttl: time.Second} })
		stays, touched := f.created(spec{}), f.created(spec{ttl: 10 * time.Second})
		f.clock.Advance(time.Second - time.Millisecond)
		assert.EqualValues(t, 202, f.stats().Entries)
		_, err := f.Touch(f.ctx(), f.now(), touched.Key(), f.now().Add(10*time.Second))
		require.NoError(t, err)
		f.clock.Advance(time.Millisecond)
		assert.EqualValues(t, 2, f.stats().Entries)
		f.clock.Advance(9500 * time.Millisecond) // beyond the deadline before the touch
		assert.EqualValues(t, 2, f.stats().Entries)
		f.clock.Advance(500 * time.Millisecond)
		assert.EqualValues(t, 1, f.stats().Entries)
		f.requireStored(stays)
		f.sweep()
		assert.EqualValues(t, 1, f.stats().Entries)
		assert.EqualValues(t, 201, f.stats().Expirations)
	})

	t.Run("bytes follow the documents", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{})
		small := f.stats().Bytes
		assert.GreaterOrEqual(t, small, int64(len(sess.Doc)))
		large := f.revised(sess, spec{note: string(make([]byte, 10_000))})
		_, err := f.Swap(f.ctx(), f.now(), sess, large)
		require.NoError(t, err)
		grown := f.stats().Bytes
		assert.GreaterOrEqual(t, grown-small, int64(len(large.Doc)-len(sess.Doc)))
		back := f.revised(large, spec{})
		_, err = f.Swap(f.ctx(), f.now(), large, back)
		require.NoError(t, err)
		assert.Equal(t, small, f.stats().Bytes-int64(len(back.Doc)-len(sess.Doc)))
		f.clock.Advance(ttl)
		f.requireEmpty()
	})
}
