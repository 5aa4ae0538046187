package memory

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

// TestEvictionLooksAgain checks what makes evictions exact while others use the
// store: that a victim is only taken if it is still the first, in its own shard
// and in all of them.
func TestEvictionLooksAgain(t *testing.T) {
	now := time.Now()
	s := New(Options{Policy: LRU, MaxEntries: 100})
	// Two sessions of different shards, the second used later.
	var shards []*shard
	var sessions []schema.Session
	for len(shards) < 2 {
		sess := newSession(t, schema.DefaultNamespace, now)
		sh := s.shardOf(s.hash(sess.Key()))
		if len(shards) == 1 && shards[0] == sh {
			continue
		}
		require.NoError(t, s.Create(t.Context(), now, sess))
		shards, sessions = append(shards, sh), append(sessions, sess)
	}
	evict := func(i int) bool { return s.evictUnused(shards[i], newcomer, now.UnixMilli()) }

	assert.False(t, evict(1), "another shard's is used less recently")
	first := shards[0].table.find(s.hash(sessions[0].Key()), sessions[0].Key())
	s.use(first) // and it is no longer a newcomer, as soon as its reader gets to that
	assert.False(t, evict(0), "it has been used since")
	assert.True(t, evict(1))
	assert.False(t, evict(1), "the shard is empty")
	st, err := s.Stats(t.Context(), now)
	require.NoError(t, err)
	assert.EqualValues(t, 1, st.Entries)
	assert.EqualValues(t, 1, st.Evictions)
}

// TestNewcomersAreAnnounced checks that the bounds show where a session is
// about to come in before it has its tick, and that they are right again after
// it found no room.
func TestNewcomersAreAnnounced(t *testing.T) {
	now := time.Now()
	s := New(Options{Policy: LRU, MaxEntries: 100})
	sess := newSession(t, schema.DefaultNamespace, now)
	sh := s.shardOf(s.hash(sess.Key()))
	require.EqualValues(t, never, s.evictionBounds[newcomer].of(sh.number).load())

	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.announce(sh, pack(&sess, newNamespace(sess.Namespace)), newcomer)
	assert.LessOrEqual(t, s.evictionBounds[newcomer].of(sh.number).load(), s.clock.Load())
	assert.LessOrEqual(t, s.expiryBounds.of(sh.number).load(), sess.ExpiresAt.UnixMilli())
	sh.publish()
	assert.EqualValues(t, never, s.evictionBounds[newcomer].of(sh.number).load())
	assert.EqualValues(t, never, s.expiryBounds.of(sh.number).load())
}
