package redis

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
)

var _ backend.Identified = (*Store)(nil)

// cachedIdentity is the identity that the server returned last.
type cachedIdentity struct {
	mu sync.Mutex
	id string
}

// Identity implements backend.Identified: all instances of one prefix have the
// one that the first of them wrote. A server that lost it, because it was
// flushed or restarted empty, gets it back from whichever instance asks first.
func (s *Store) Identity(ctx context.Context) (string, error) {
	const doing = "looking up the store's identity"
	client, err := s.client()
	if err != nil {
		return "", err
	}
	s.identity.mu.Lock()
	defer s.identity.mu.Unlock()
	id := s.identity.id
	if id == "" {
		id = rand.Text()
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	got, err := client.Do(ctx, client.B().Get().Key(s.keys.Identity()).Build().Pin()).ToString()
	if rueidis.IsRedisNil(err) {
		err = client.Do(ctx, client.B().Set().Key(s.keys.Identity()).Value(id).Nx().Build().Pin()).Error()
		if err == nil || rueidis.IsRedisNil(err) { // another instance was first
			got, err = client.Do(ctx, client.B().Get().Key(s.keys.Identity()).Build().Pin()).ToString()
		}
	}
	if err != nil {
		return "", failed(doing, err)
	}
	s.identity.id = got
	return got, nil
}
