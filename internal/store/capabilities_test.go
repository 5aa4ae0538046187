package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// capable is a store that can do all there is.
type capable struct{ *memory.Store }

func (capable) Lock(context.Context, string, time.Duration) (unlock func(), held bool, err error) {
	return nil, false, backend.ErrUnavailable
}
func (capable) Identity(context.Context) (string, error) { return "ONE", nil }
func (capable) File() backend.FileStats                  { return backend.FileStats{State: "writable"} }

// bare is a store that can do what every one can.
type bare struct{ backend.Store }

// wrapped is a store around another.
type wrapped struct{ bare }

func (w wrapped) Unwrap() backend.Store { return w.Store }

func TestCapabilities(t *testing.T) {
	kept := memory.New(memory.Options{Policy: memory.None, MaxEntries: 3})
	sess := schema.Session{}
	for name, b := range map[string]backend.Store{
		"its own": capable{kept}, "of the store within": wrapped{bare{wrapped{bare{capable{kept}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := store.NewSessions(b, new(schema.Rules), store.Lifetimes{}, store.UserLimit{})
			assert.True(t, s.Shared())
			_, _, err := s.Lock(t.Context(), "a", time.Second)
			require.ErrorIs(t, err, backend.ErrUnavailable)
			id, err := s.Identity(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "ONE", id)
			assert.True(t, s.Limited())
			room, err := s.Room(t.Context(), start)
			require.NoError(t, err)
			assert.Equal(t, backend.Room{Entries: 3, Bytes: -1}, room)
			assert.Positive(t, s.Cost(&sess))
			assert.True(t, s.Snapshots())
			_, ok := s.Snapshot(start)
			assert.True(t, ok)
			file, ok := s.File()
			assert.True(t, ok)
			assert.Equal(t, "writable", file.State)
		})
	}
	for name, b := range map[string]backend.Store{
		"none": bare{capable{kept}}, "none of the store within": wrapped{bare{bare{capable{kept}}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := store.NewSessions(b, new(schema.Rules), store.Lifetimes{}, store.UserLimit{})
			assert.False(t, s.Shared())
			unlock, held, err := s.Lock(t.Context(), "a", time.Second)
			require.NoError(t, err)
			assert.True(t, held)
			unlock()
			id, err := s.Identity(t.Context())
			require.NoError(t, err)
			assert.Empty(t, id)
			assert.False(t, s.Limited())
			room, err := s.Room(t.Context(), start)
			require.NoError(t, err)
			assert.Equal(t, backend.Room{Entries: -1, Bytes: -1}, room)
			assert.Zero(t, s.Cost(&sess))
			assert.False(t, s.Snapshots())
			_, ok := s.Snapshot(start)
			assert.False(t, ok)
			_, ok = s.File()
			assert.False(t, ok)
		})
	}
}
