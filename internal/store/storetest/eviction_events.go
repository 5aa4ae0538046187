package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

func testEvictionEvents(t *testing.T, open Open) {
	t.Run("what gives way, before what it gives way to", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "lru", MaxEntries: 2})
		fo := f.follow()
		first, second := f.created(spec{user: "ada"}), f.created(spec{user: "bob"})
		fo.requireNext(f.event(backend.EventCreated, first))
		fo.requireNext(f.event(backend.EventCreated, second))
		third := f.created(spec{})
		fo.requireNextLost(backend.EventEvicted, first)
		fo.requireNext(f.event(backend.EventCreated, third))

		f.clock.Advance(ttl)
		fourth := f.created(spec{})
		ev := fo.next()
		assert.Equal(t, backend.EventExpired, ev.Type, "an expired one goes first")
		fo.requireNext(f.event(backend.EventCreated, fourth))
	})

	t.Run("what gives way to a larger one", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "ttl", MaxBytes: 10_000})
		fo := f.follow()
		sess, other := f.created(spec{}), f.created(spec{ttl: 2 * ttl})
		fo.first(2)
		large := f.revised(sess, spec{note: string(make([]byte, 1550))}) // six bytes each
		_, err := f.Swap(f.ctx(), f.now(), sess, large)
		require.NoError(t, err)
		fo.requireNextLost(backend.EventEvicted, other)
		fo.requireNext(f.event(backend.EventUpdated, large))
	})

	t.Run("nothing where there is no room", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "none", MaxEntries: 1})
		fo := f.follow()
		sess := f.created(spec{})
		fo.requireNext(f.event(backend.EventCreated, sess))
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{})), backend.ErrFull)
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{}), backend.Revive), backend.ErrFull)
		require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
		fo.requireNext(f.deleted(sess))
	})

	t.Run("what gave way stays away for a while", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "lru", MaxEntries: 1, Tombstone: window})
		first := f.created(spec{})
		second := f.created(spec{})
		f.requireGone(first.Key())
		f.requireLapsed(first.Key())
		f.requireStored(second)
		f.clock.Advance(window - time.Millisecond)
		f.requireLapsed(first.Key())
		f.clock.Advance(time.Millisecond)
		f.requireStored(f.created(spec{id: first.ID, note: "again"}))
	})

	t.Run("what gave way may be revived", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "lru", MaxEntries: 1, Tombstone: window})
		first := f.created(spec{})
		f.created(spec{})
		f.requireStored(f.revived(spec{id: first.ID, note: "again"}))
	})

	t.Run("a tombstone takes no room", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "none", MaxEntries: 1, Tombstone: window})
		for range 3 {
			sess := f.created(spec{})
			require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
			f.requireEnded(sess.Key())
		}
	})

	t.Run("Revive makes room as Create does", func(t *testing.T) {
		f := newLimited(t, open, Limits{Policy: "lru", MaxEntries: 1, Tombstone: window})
		first := f.created(spec{})
		require.NoError(t, f.Delete(f.ctx(), f.now(), first.Key(), 0))
		second := f.created(spec{})
		f.requireStored(f.revived(spec{id: first.ID}))
		f.requireGone(second.Key())
		assert.Equal(t, []string{first.ID}, f.all())
		f.clock.Advance(time.Second)
		require.ErrorIs(t, f.Create(f.ctx(), f.now(), f.session(spec{id: first.ID}), backend.Revive), backend.ErrExists)
		f.get(backend.Key{Namespace: schema.DefaultNamespace, ID: first.ID})
	})
}
