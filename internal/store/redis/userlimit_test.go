package redis_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
)

// However many sign in at once, and wherever: a user has no more sessions than
// the limit allows.
func TestUserLimitsHoldOverTwoInstances(t *testing.T) {
	server := redistest.Start(t)
	now := schema.Now(ahead().Now())
	for _, limit := range []store.UserLimit{{Max: 1}, {Max: 2}, {Max: 1, Evict: true}, {Max: 2, Evict: true}} {
		t.Run(fmt.Sprintf("%+v", limit), func(t *testing.T) {
			var backends []*redis.Store
			var instances []*store.Sessions
			for range 2 {
				s := open(t, server, withPrefix(fmt.Sprintf("%d%t:", limit.Max, limit.Evict)))
				backends = append(backends, s)
				instances = append(instances, store.NewSessions(s, new(schema.Rules), store.Lifetimes{TTL: hour}, limit))
			}
			sign := patch(t, `{"user":{"id":"ada"}}`)
			for range 5 {
				const callers = 16
				var made atomic.Int64
				together(callers, func(i int) {
					_, err := instances[i%2].Create(t.Context(), now, schema.DefaultNamespace, sign, nil)
					if err == nil {
						made.Add(1)
						return
					}
					assert.ErrorIs(t, err, store.ErrUserLimit)
					assert.False(t, limit.Evict)
				})
				if limit.Evict {
					assert.EqualValues(t, callers, made.Load())
				} else {
					assert.EqualValues(t, limit.Max, made.Load())
				}
				for _, s := range backends {
					assert.Equal(t, limit.Max, counted(t, s, now, backend.Filter{UserID: "ada"}))
					assert.Len(t, list(t, s, now, "ada"), limit.Max)
				}
				n, err := instances[0].Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace})
				require.NoError(t, err)
				assert.Equal(t, limit.Max, n)
			}
		})
	}
}
