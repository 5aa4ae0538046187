package storetest

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/backend"
)

// testStates checks backend.States.
func testStates(t *testing.T, open Open) {
	t.Run("one of a name", func(t *testing.T) {
		f := newFixture(t, open)
		f.requireState("one", nil)
		require.NoError(t, f.SwapState(f.ctx(), "one", nil, []byte("1")))
		f.requireState("one", []byte("1"))
		f.requireState("one-1", nil)
		require.ErrorIs(t, f.SwapState(f.ctx(), "one", nil, []byte("2")), backend.ErrConflict, "there is one")
		require.ErrorIs(t, f.SwapState(f.ctx(), "one", []byte("2"), []byte("3")), backend.ErrConflict, "it is another")
		require.ErrorIs(t, f.SwapState(f.ctx(), "one", []byte("12"), nil), backend.ErrConflict)
		require.ErrorIs(t, f.SwapState(f.ctx(), "other", []byte("1"), []byte("2")), backend.ErrConflict, "there is none")
		f.requireState("one", []byte("1"))
		require.NoError(t, f.SwapState(f.ctx(), "one", []byte("1"), []byte("2")))
		f.requireState("one", []byte("2"))
		require.NoError(t, f.SwapState(f.ctx(), "one", []byte("2"), nil))
		f.requireState("one", nil)
		require.NoError(t, f.SwapState(f.ctx(), "one", nil, nil))
		require.NoError(t, f.SwapState(f.ctx(), "one", nil, []byte("1")), "and one again")
	})

	t.Run("any bytes", func(t *testing.T) {
		f := newFixture(t, open)
		var last []byte
		for i, next := range [][]byte{
			{}, {0}, []byte("\x00\xff\r\n\"{}"), bytes.Repeat([]byte{7}, backend.MaxState), []byte("nil"), []byte("0"), {},
		} {
			require.NoError(t, f.SwapState(f.ctx(), "bytes", last, next), i)
			state, err := f.LoadState(f.ctx(), "bytes")
			require.NoError(t, err)
			require.NotNil(t, state, "empty is not none")
			assert.True(t, bytes.Equal(next, state), i)
			last = state
		}
	})

	t.Run("outlives sessions", func(t *testing.T) {
		f := newFixture(t, open)
		require.NoError(t, f.SwapState(f.ctx(), "kept", nil, []byte("1")))
		sess := f.created(spec{})
		require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
		_, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: sess.Namespace})
		require.NoError(t, err)
		_, err = f.Sweep(f.ctx(), f.now())
		require.NoError(t, err)
		f.requireState("kept", []byte("1"))
	})

	t.Run("one of many swaps succeeds", func(t *testing.T) {
		f := newFixture(t, open)
		const callers = 8
		var last []byte
		for round := range 3 {
			var succeeded atomic.Int32
			var running sync.WaitGroup
			for n := range callers {
				running.Go(func() {
					err := f.SwapState(f.ctx(), "shared", last, fmt.Appendf(nil, "%d of round %d", n, round))
					if err == nil {
						succeeded.Add(1)
					} else {
						assert.ErrorIs(t, err, backend.ErrConflict)
					}
				})
			}
			running.Wait()
			require.EqualValues(t, 1, succeeded.Load())
			var err error
			last, err = f.LoadState(f.ctx(), "shared")
			require.NoError(t, err)
		}
	})
}

func (f *fixture) requireState(name string, want []byte) {
	f.t.Helper()
	state, err := f.LoadState(f.ctx(), name)
	require.NoError(f.t, err)
	require.Equal(f.t, want, state)
}
