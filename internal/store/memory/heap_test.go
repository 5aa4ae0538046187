package memory

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
)

// However deadlines move and sessions end, a queue has few items for nothing,
// and what it starts with is right once it is settled.
func TestQueuesOfChangingSessions(t *testing.T) {
	soaktest.RandomRuns(t, 30) // of 200 steps each
	for _, policy := range []Policy{LRU, TTL} {
		t.Run(string(policy), rapid.MakeCheck(func(rt *rapid.T) {
			ctx, now := t.Context(), schema.Now(time.Now())
			s := New(Options{Policy: policy, MaxEntries: 100})
			var live []schema.Session
			for range rapid.IntRange(1, 400).Draw(rt, "steps") {
				if n := len(live); n == 0 || n < 60 && rapid.IntRange(0, 3).Draw(rt, "what") == 0 {
					sess := newSession(t, schema.DefaultNamespace, now)
					require.NoError(rt, s.Create(ctx, now, sess))
					live = append(live, sess)
					continue
				}
				i := rapid.IntRange(0, len(live)-1).Draw(rt, "which")
				switch rapid.IntRange(0, 6).Draw(rt, "what") {
				case 0:
					require.NoError(rt, s.Delete(ctx, now, live[i].Key(), 0))
					live[i] = live[len(live)-1]
					live = live[:len(live)-1]
				case 1:
					_, err := s.Get(ctx, now, live[i].Key())
					require.NoError(rt, err)
				case 2: // another class, to and fro
					next := live[i]
					sections := schema.EmptySections()
					if next.UserID == "" {
						sections.User = &schema.User{ID: "ada"}
					}
					next, err := new(schema.Rules).Build(next, sections)
					require.NoError(rt, err)
					live[i], err = s.Swap(ctx, now, live[i], next)
					require.NoError(rt, err)
				default: // another deadline, up or down
					next := live[i]
					next.TTL = time.Duration(rapid.IntRange(1, 100).Draw(rt, "ttl")) * time.Minute
					next.ExpiresAt = now.Add(next.TTL)
					got, err := s.Swap(ctx, now, live[i], next)
					require.NoError(rt, err)
					live[i] = got
				}
			}
			for i := range s.shards {
				sh := &s.shards[i]
				requireRight(rt, &sh.expiry, sh)
				for c := range sh.eviction {
					requireRight(rt, &sh.eviction[c], sh)
				}
			}
		}))
	}
}

func requireRight(t *rapid.T, q *lazyHeap, sh *shard) {
	require.LessOrEqual(t, len(q.items), q.entries+q.entries/4+32)
	q.settle()
	its := 0
	lowest, tick := int64(never), int64(0)
	for _, e := range sh.table.entries {
		if e == nil || q.class != anyClass && q.class != e.class {
			continue
		}
		its++
		if at, second, ok := q.value(e); assert.True(t, ok) && (at < lowest || at == lowest && second < tick) {
			lowest, tick = at, second
		}
	}
	require.Equal(t, its, q.entries)
	require.Equal(t, lowest, q.bound.load())
	if len(q.items) > 0 {
		require.Equal(t, tick, q.tick(0))
	}
}

// A queue that has too much in it is made anew, and loses nobody.
func TestQueueIsRenewed(t *testing.T) {
	ctx, now := t.Context(), schema.Now(time.Now())
	s := New(Options{Policy: TTL, MaxEntries: 10})
	sess := newSession(t, schema.DefaultNamespace, now)
	require.NoError(t, s.Create(ctx, now, sess))
	sh := s.shardOf(s.hash(sess.Key()))
	for n := range 1000 {
		next := sess
		next.TTL = time.Hour - time.Duration(n)*time.Second
		next.ExpiresAt = now.Add(next.TTL)
		got, err := s.Swap(ctx, now, sess, next)
		require.NoError(t, err)
		sess = got
		require.LessOrEqual(t, len(sh.expiry.items), 1+32)
	}
	n, err := s.Sweep(ctx, sess.ExpiresAt)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}
