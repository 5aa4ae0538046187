package memory_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/memory"
)

// Sessions of one kind of client share what is kept of it, and those without facts take
// nothing for them. The limit counts each as if it were alone.
func TestFactsAreShared(t *testing.T) {
	const sessions = 20_000
	per := func(facts func(i int) schema.Facts) (heap, counted float64) {
		before := heapBytes()
		s := memory.New(memory.Options{Policy: memory.LRU, MaxEntries: sessions})
		one := template(t, "")
		for i := range sessions {
			next := one.WithID(fmt.Sprintf("a-session-with-facts-%06d", i))
			next.Facts = facts(i)
			require.NoError(t, s.Create(t.Context(), now, next))
		}
		st, err := s.Stats(t.Context(), now)
		require.NoError(t, err)
		heap = float64(heapBytes()-before) / sessions
		runtime.KeepAlive(s)
		return heap, float64(st.Bytes) / sessions
	}
	agent := func(i int) schema.Facts {
		return schema.Facts{}.WithClient(schema.Client{Label: "Firefox on Windows", UserAgent: fmt.Sprintf("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/%05d", i)})
	}
	none, noneCounted := per(func(int) schema.Facts { return schema.Facts{} })
	same, sameCounted := per(func(int) schema.Facts { return agent(1) })
	each, eachCounted := per(agent)
	t.Logf("bytes of a session without facts %.0f, with those of others %.0f, with its own %.0f (counted %.0f, %.0f, %.0f)",
		none, same, each, noneCounted, sameCounted, eachCounted)
	assert.InDelta(t, none, same, 20)
	assert.InDelta(t, none+eachCounted-noneCounted, each, 60, "as counted")
	assert.InDelta(t, sameCounted, eachCounted, 1)
}
