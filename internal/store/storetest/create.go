package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

func testCreate(t *testing.T, open Open) {
	for name, sp := range map[string]spec{
		"plain":         {},
		"with a user":   {user: "ada"},
		"with files":    {files: []string{"a/report.pdf", "b.csv"}},
		"own TTL":       {ttl: 90 * time.Second, ownTTL: 90 * time.Second},
		"own namespace": {namespace: "shop-7"},
		"shortest id":   {id: strings.Repeat("x", 16)},
		"longest id":    {id: strings.Repeat("Z", 128)},
		"unicode":       {user: "Ælfrēd 🜚", note: "日本語 \" \\ \n  "},
		"large":         {note: strings.Repeat("0123456789abcdef", 40_000)},
	} {
		t.Run("stores what it is given: "+name, func(t *testing.T) {
			f := newFixture(t, open)
			f.requireStored(f.created(sp))
		})
	}

	t.Run("a live session keeps its key", func(t *testing.T) {
		f := newFixture(t, open)
		first := f.created(spec{note: "first"})
		err := f.Create(f.ctx(), f.now(), f.session(spec{id: first.ID, note: "second"}))
		require.ErrorIs(t, err, backend.ErrExists)
		f.requireStored(first)
		assert.EqualValues(t, 1, f.stats().Entries)
	})

	t.Run("an expired session does not", func(t *testing.T) {
		f := newFixture(t, open)
		first := f.created(spec{note: "first", user: "ada", files: []string{"first.pdf"}})
		f.clock.Advance(ttl)
		second := f.created(spec{id: first.ID, note: "second"})
		f.requireStored(second)
		assert.Equal(t, []string{second.ID}, f.all())
		assert.Empty(t, f.list(backend.Query{Namespace: second.Namespace, UserID: "ada", Limit: 10}))
		assert.Empty(t, f.fileSet())
		f.sweep()
		assert.EqualValues(t, 1, f.stats().Entries)
		f.requireStored(second)
	})

	t.Run("a deleted session does not", func(t *testing.T) {
		f := newFixture(t, open)
		first := f.created(spec{})
		require.NoError(t, f.Delete(f.ctx(), f.now(), first.Key(), 0))
		f.requireStored(f.created(spec{id: first.ID, note: "second"}))
	})

	t.Run("one id names a session in each namespace", func(t *testing.T) {
		f := newFixture(t, open)
		here := f.created(spec{namespace: "here", note: "here", files: []string{"shared", "here"}})
		there := f.created(spec{namespace: "there", id: here.ID, note: "there", files: []string{"shared", "there"}})
		f.requireStored(here)
		f.requireStored(there)
		f.requireGone(backend.Key{Namespace: schema.DefaultNamespace, ID: here.ID})
		assert.Equal(t, []string{"here", "shared", "there"}, f.fileSet())

		require.NoError(t, f.Delete(f.ctx(), f.now(), here.Key(), 0))
		f.requireGone(here.Key())
		f.requireStored(there)
		assert.Equal(t, []string{"shared", "there"}, f.fileSet())
	})

	t.Run("names are not run together", func(t *testing.T) {
		f := newFixture(t, open)
		id := strings.Repeat("x", 16)
		one := f.created(spec{namespace: "a", id: "b" + id, note: "one"})
		two := f.created(spec{namespace: "ab", id: id, note: "two"})
		f.requireStored(one)
		f.requireStored(two)
	})
}

func testRead(t *testing.T, open Open) {
	t.Run("unknown keys", func(t *testing.T) {
		f := newFixture(t, open)
		f.requireGone(backend.Key{Namespace: schema.DefaultNamespace, ID: schema.NewID()})
		f.created(spec{})
		f.requireGone(backend.Key{Namespace: schema.DefaultNamespace, ID: schema.NewID()})
		f.requireGone(backend.Key{Namespace: "nobody", ID: schema.NewID()})
	})

	t.Run("what was handed out stays as it was", func(t *testing.T) {
		f := newFixture(t, open)
		first := f.created(spec{note: "first", files: []string{"one"}})
		seen := f.get(first.Key())
		before := visible(seen)
		next := f.revised(seen, spec{note: "other", files: []string{"two"}})
		_, err := f.Swap(f.ctx(), f.now(), seen, next)
		require.NoError(t, err)
		require.NoError(t, f.Delete(f.ctx(), f.now(), first.Key(), 0))
		for range 100 {
			f.created(spec{note: "noise"})
		}
		assert.Equal(t, before, visible(seen))
	})

	t.Run("name and ping", func(t *testing.T) {
		f := newFixture(t, open)
		assert.Regexp(t, `^[a-z]+$`, f.Name())
		assert.NoError(t, f.Ping(f.ctx()))
	})
}
