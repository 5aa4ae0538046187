package storetest

import (
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"session-api/internal/store/backend"
)

// drawIDs draws keys of a namespace, some of them twice.
func (m *machine) drawIDs(rt *rapid.T) (namespace string, ids []string) {
	for range rapid.IntRange(1, 6).Draw(rt, "ids") {
		ids = append(ids, m.drawKey(rt).ID)
	}
	return m.drawKey(rt).Namespace, ids
}

func (m *machine) doSeveral(rt *rapid.T) {
	m.expire(m.now())
	namespace, ids := m.drawIDs(rt)
	for key := range m.graces {
		if key.Namespace == namespace {
			ids = append(ids, key.ID)
		}
	}
	b := backend.Batch{Namespace: namespace, IDs: ids, Budget: plenty, Peek: rapid.Bool().Draw(rt, "peek")}
	got, err := m.GetAll(m.ctx(), m.now(), b)
	require.NoError(rt, err)
	require.Len(rt, got, len(ids))
	summaries, err := m.Summarize(m.ctx(), m.now(), namespace, ids)
	require.NoError(rt, err)
	require.Len(rt, summaries, len(ids))
	for i, id := range ids {
		want, ok := m.find(m.now(), backend.Key{Namespace: namespace, ID: id})
		if !b.Peek && ok {
			m.want.Hits++
			m.use(want.Key())
		} else if !b.Peek {
			m.want.Misses++
		}
		if !ok {
			require.ErrorIs(rt, got[i].Err, backend.ErrNotFound)
			require.ErrorIs(rt, summaries[i].Err, backend.ErrNotFound)
			continue
		}
		require.NoError(rt, got[i].Err)
		require.Equal(rt, visible(want), visible(got[i].Value))
		require.NoError(rt, summaries[i].Err)
		requireSummary(m.t, m.now(), want, summaries[i].Value)
	}
}

func (m *machine) doDeleteAll(rt *rapid.T) {
	m.expire(m.now())
	namespace, ids := m.drawIDs(rt)
	ended, err := m.DeleteAll(m.ctx(), m.now(), namespace, ids)
	require.NoError(rt, err)
	require.Len(rt, ended, len(ids))
	for i, id := range ids {
		key := backend.Key{Namespace: namespace, ID: id}
		_, ok := m.live[key]
		require.Equal(rt, ok, ended[i])
		if ok {
			m.remove(key)
			m.bury(m.now(), key, backend.ErrEnded)
			m.want.Deletes++
		}
	}
}
