package redis

import (
	"context"
	"crypto/rand"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/redis/lua"
)

// Lock takes the lease of that name, for what only one instance should do at a
// time. held is false if another has it. While it is held it is renewed; when
// unlock is called, or the process dies, or has not reached the server for the
// length of the lease, it is another's to take. So it saves work, but what it
// guards must do no harm when two do it: a lease is lost unnoticed in a
// failover, and by a process that stood still.
//
// unlock may be called more than once. The lease is at least 100 ms.
func (s *Store) Lock(ctx context.Context, name string, lease time.Duration) (unlock func(), held bool, err error) {
	client, err := s.client()
	if err != nil {
		return nil, false, err
	}
	lease = max(lease, minLease)
	key, token := s.keys.Lock(name), rand.Text()
	limited, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	err = s.conn.Send(limited, client, client.B().Set().Key(key).Value(token).Nx().PxMilliseconds(lease.Milliseconds()).Build().Pin())[0].Error()
	switch {
	case rueidis.IsRedisNil(err):
		return nil, false, nil
	case err != nil:
		// If it was taken, it is not held by any instance until it runs out.
		return nil, false, failed("taking a lease", err)
	}
	done := make(chan struct{})
	s.background.Go(func() { s.keep(client, key, token, lease, done) })
	return sync.OnceFunc(func() { close(done) }), true, nil
}

// minLease leaves room for renewing it in time.
const minLease = 100 * time.Millisecond

// keep renews a lease until done is closed or the store is, and releases it.
func (s *Store) keep(client rueidis.Client, key, token string, lease time.Duration, done <-chan struct{}) {
	tick := time.NewTicker(lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.leaseCall(client, lua.Call{Script: lua.Renew, Keys: []string{key}, Args: []string{"0", token, strconv.FormatInt(lease.Milliseconds(), 10)}})
			continue
		case <-done:
		case <-s.closed.Done():
		}
		s.leaseCall(client, lua.Call{Script: lua.Release, Keys: []string{key}, Args: []string{"0", token}})
		return
	}
}

// leaseCall renews or releases a lease, also while the store is being closed.
// If it fails, the next renewal does not, or the lease runs out.
func (s *Store) leaseCall(client rueidis.Client, c lua.Call) {
	ctx, cancel := s.conn.Afterwards(s.closed)
	defer cancel()
	_, _ = s.eval(ctx, client, "keeping a lease", c)
}
