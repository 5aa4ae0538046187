package memory_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
	"session-api/internal/store/storetest"
)

func open(_ testing.TB, limits storetest.Limits) (backend.Store, storetest.Clock) {
	s := memory.New(memory.Options{
		Policy:     memory.Policy(limits.Policy),
		MaxEntries: limits.MaxEntries,
		MaxBytes:   limits.MaxBytes,
		Reserve:    limits.Reserve,
		Tombstone:  limits.Tombstone,
		Events:     limits.Events,
		Requests:   memory.RequestLimits{Entries: limits.Requests, Bytes: limits.RequestBytes},
	})
	return s, storetest.NewFakeClock()
}

func TestStore(t *testing.T) { storetest.Run(t, open) }

func TestEviction(t *testing.T) { storetest.RunEviction(t, open) }

func TestReadsDoNotAllocate(t *testing.T) {
	s := memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 100})
	sess := template(t, "ada")
	require.NoError(t, s.Create(t.Context(), now, sess))
	key, unknown := sess.Key(), backend.Key{Namespace: schema.DefaultNamespace, ID: schema.NewID()}
	ctx := t.Context()
	for name, read := range map[string]func(){
		"Get":            func() { _, _ = s.Get(ctx, now, key) },
		"Peek":           func() { _, _ = s.Peek(ctx, now, key) },
		"Get of nothing": func() { _, _ = s.Get(ctx, now, unknown) },
	} {
		assert.Zero(t, testing.AllocsPerRun(100, read), name)
	}
}

// TestDocumentsAreKeptTight checks that a document with much room to spare is
// not kept as it is.
func TestDocumentsAreKeptTight(t *testing.T) {
	s := memory.New(memory.Options{})
	sess := template(t, "")
	sess.Doc = append(make([]byte, 0, 10*len(sess.Doc)), sess.Doc...)
	require.NoError(t, s.Create(t.Context(), now, sess))
	got, err := s.Get(t.Context(), now, sess.Key())
	require.NoError(t, err)
	assert.Equal(t, sess.Doc, got.Doc)
	assert.Less(t, cap(got.Doc), 2*len(got.Doc))
}

func TestDocumentsOfAnotherIDAreRefused(t *testing.T) {
	s := memory.New(memory.Options{})
	sess := template(t, "")
	require.NoError(t, s.Create(t.Context(), now, sess))

	other := sess.WithID(schema.NewID())
	other.Doc = sess.Doc
	empty := template(t, "")
	empty.Doc = nil
	for name, bad := range map[string]schema.Session{"another's": other, "none": empty} {
		require.ErrorIs(t, s.Create(t.Context(), now, bad), backend.ErrUnavailable, name)
		require.ErrorIs(t, s.Regenerate(t.Context(), now, sess, bad, now), backend.ErrUnavailable, name)
	}
	_, err := s.Swap(t.Context(), now, sess, sess.WithID(schema.NewID()))
	require.ErrorIs(t, err, backend.ErrUnavailable)
	got, err := s.Get(t.Context(), now, sess.Key())
	require.NoError(t, err)
	assert.Equal(t, sess.Doc, got.Doc)
}

func TestPolicies(t *testing.T) {
	t.Run("LRU unless another is named", func(t *testing.T) {
		s := memory.New(memory.Options{MaxEntries: 2})
		first, second := template(t, ""), template(t, "")
		first.ExpiresAt = now.Add(time.Minute)
		require.NoError(t, s.Create(t.Context(), now, first))
		require.NoError(t, s.Create(t.Context(), now, second))
		_, err := s.Get(t.Context(), now, first.Key())
		require.NoError(t, err)
		require.NoError(t, s.Create(t.Context(), now, template(t, "")))
		_, err = s.Get(t.Context(), now, second.Key())
		require.ErrorIs(t, err, backend.ErrNotFound)
	})

	t.Run("none counts without limits", func(t *testing.T) {
		for _, policy := range []memory.Policy{memory.LRU, memory.TTL, memory.None} {
			s := memory.New(memory.Options{Policy: policy})
			for range 1000 {
				require.NoError(t, s.Create(t.Context(), now, template(t, "")))
			}
			st, err := s.Stats(t.Context(), now)
			require.NoError(t, err)
			assert.EqualValues(t, 1000, st.Entries)
		}
	})
}
