package redis

import (
	"context"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// cacheTTL is how long a value stays in the client's cache at most. The server
// says when it changes; this only lets unused ones go.
const cacheTTL = time.Minute

// readCached returns the session that the cache has, or gets, for the key. It
// only ever finds: what looks absent, expired or torn is left to the server.
func (s *Store) readCached(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key, name string) (schema.Session, bool) {
	if s.written.has(name) {
		return schema.Session{}, false
	}
	results := client.DoMultiCache(ctx,
		rueidis.CT(client.B().Pexpiretime().Key(name).Cache().Pin(), cacheTTL),
		rueidis.CT(client.B().Get().Key(name).Cache().Pin(), cacheTTL))
	deadline, err := results[0].AsInt64()
	if err != nil {
		return schema.Session{}, false
	}
	value, err := results[1].ToString()
	if err != nil {
		return schema.Session{}, false
	}
	st, torn, err := s.live(now, key, deadline, value, s.values)
	if err != nil || torn || st == nil || st.Pending {
		return schema.Session{}, false
	}
	return st.Session, true
}

// recentKeys are the keys that this store wrote in the last seconds. Their
// invalidation is sent to the cache beside the answer, and may come after
// it. So for that long they are not read from the cache, and this instance never
// reads less than what it has written.
type recentKeys struct {
	mu          sync.RWMutex
	young, aged map[string]struct{}
}

// recentAge is how long a key is recent at least. It is longer than a dead
// connection goes unnoticed.
const recentAge = 4 * time.Second

func newRecentKeys() *recentKeys {
	return &recentKeys{young: map[string]struct{}{}, aged: map[string]struct{}{}}
}

// add notes that a key is about to be written. It may be called on nil.
func (r *recentKeys) add(name string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.young[name] = struct{}{}
}

func (r *recentKeys) has(name string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if _, ok := r.young[name]; ok {
		return true
	}
	_, ok := r.aged[name]
	return ok
}

// age forgets keys, until ctx ends.
func (r *recentKeys) age(ctx context.Context) {
	tick := time.NewTicker(recentAge)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.mu.Lock()
			r.young, r.aged = map[string]struct{}{}, r.young
			r.mu.Unlock()
		}
	}
}
