package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

func testFiles(t *testing.T, open Open) {
	t.Run("as they are written", func(t *testing.T) {
		f := newFixture(t, open)
		paths := []string{"/abs/ä.pdf", "../up", "a\nb", "a", "a ", "A", `quote"d`, "日本"}
		f.created(spec{files: paths})
		assert.ElementsMatch(t, paths, f.fileSet())
		for _, path := range paths {
			assert.True(t, f.hasFile(path), path)
		}
		for _, path := range []string{"", "abs/ä.pdf", "aa", "a\x00", "b", "日", "*", "?", "[a]"} {
			assert.False(t, f.hasFile(path), path)
		}
	})

	t.Run("any of several", func(t *testing.T) {
		f := newFixture(t, open)
		f.created(spec{files: []string{"a"}})
		assert.True(t, f.hasFile("x", "a"))
		assert.True(t, f.hasFile("a", "x"))
		assert.False(t, f.hasFile("x", "y"))
		assert.False(t, f.hasFile())
	})

	t.Run("a file goes with the last session that refers to it", func(t *testing.T) {
		f := newFixture(t, open)
		first, second := f.created(spec{files: []string{"a", "b"}}), f.created(spec{files: []string{"a"}})
		third := f.created(spec{files: []string{"a"}, ttl: 2 * ttl})

		_, err := f.Swap(f.ctx(), f.now(), first, f.revised(first, spec{files: []string{"c"}}))
		require.NoError(t, err)
		assert.Equal(t, []string{"a", "c"}, f.fileSet())
		assert.False(t, f.hasFile("b"))
		require.NoError(t, f.Delete(f.ctx(), f.now(), second.Key(), 0))
		assert.True(t, f.hasFile("a"))
		third = f.regenerated(third, time.Minute)
		f.clock.Advance(ttl)
		assert.Equal(t, []string{"a"}, f.fileSet())
		assert.False(t, f.hasFile("c"))
		require.NoError(t, f.Delete(f.ctx(), f.now(), third.Key(), 0))
		assert.False(t, f.hasFile("a"))
		f.requireEmpty()
	})

	t.Run("stops with the error that it is given", func(t *testing.T) {
		f := newFixture(t, open)
		f.created(spec{files: []string{"a", "b"}})
		stop := errors.New("enough")
		calls := 0
		err := f.Files(f.ctx(), f.now(), func(string) error {
			calls++
			return stop
		})
		require.ErrorIs(t, err, stop)
		assert.Equal(t, 1, calls)
	})

	t.Run("the store may be used meanwhile", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{files: []string{"a", "b", "c"}})
		require.NoError(t, f.Files(f.ctx(), f.now(), func(path string) error {
			f.created(spec{files: []string{"added"}})
			f.get(sess.Key())
			if !f.hasFile(path) {
				return errors.New("forgotten: " + path)
			}
			return nil
		}))
	})
}

// testCancelled checks what a store does with a context that is already over:
// it may finish, but must not pretend to have done so.
func testCancelled(t *testing.T, open Open) {
	over, cancel := context.WithCancel(t.Context())
	cancel()

	t.Run("Files does not take a part for the whole", func(t *testing.T) {
		f := newFixture(t, open)
		f.created(spec{files: []string{"a"}})
		seen := 0
		err := f.Files(over, f.now(), func(string) error { seen++; return nil })
		if err == nil {
			assert.Equal(t, 1, seen)
		}
	})

	t.Run("nor does Clear", func(t *testing.T) {
		f := newFixture(t, open)
		sess := f.created(spec{})
		n, err := f.Clear(over, f.now(), backend.Filter{Namespace: schema.DefaultNamespace})
		if err == nil {
			assert.Equal(t, 1, n)
			f.requireGone(sess.Key())
		}
	})
}
