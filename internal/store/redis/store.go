package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
)

// Store is a backend.Store.
type Store struct {
	keys  format.Keys
	opts  Options
	codec *format.Codec
	log   *slog.Logger

	// conn is nil until the server was reached for the first time.
	conn  atomic.Pointer[connection]
	links links
	// refusal is why there is no connection yet; nil where that was not tried.
	refusal atomic.Pointer[error]
	// free are the namespaces that are known to be no other deployment's.
	free    names
	damage  damage
	reserve reserve
	late    lingering // in a Cluster
	known   *known
	written *recentKeys // nil without a client cache
	outbox  *outbox     // nil but in a Cluster

	remembered remembered
	// maxLife is the longest life of sessions in ms, 0 for no limit, and
	// lifeLimited says that the deadlines that Redis has are within it.
	maxLife     atomic.Int64
	lifeLimited atomic.Bool

	hits, misses, sets, deletes, expirations atomic.Int64

	closed context.Context // ends with the store
	close  context.CancelFunc
	// background are the goroutines that end with closed.
	background sync.WaitGroup
}

// connection is a client that was looked at.
type connection struct{ rueidis.Client }

var (
	_ backend.Store  = (*Store)(nil)
	_ backend.Locker = (*Store)(nil)
)

// Open returns a store on a server, and what is wrong if that cannot be one. A
// server that is not there yet is no reason to fail: until it is, every
// operation returns backend.ErrUnavailable.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	codec, err := format.NewCodec(opts.CompressOver)
	if err != nil {
		return nil, err
	}
	s := &Store{keys: format.Keys{Prefix: opts.Prefix}, opts: opts, codec: codec, known: newKnown(), log: opts.Logger}
	s.closed, s.close = context.WithCancel(context.WithoutCancel(ctx))
	if opts.ClientCache {
		s.written = newRecentKeys()
		s.background.Go(func() { s.written.age(s.closed) })
	}
	if opts.Cluster {
		s.outbox = newOutbox(s.sendEvents)
		s.background.Go(func() { s.outbox.run(s.closed) })
	}
	s.reserve.room.Store(unlimited)
	if opts.Reserve > 0 {
		s.background.Go(s.watchMemory)
	}
	if err := s.connect(ctx); err != nil {
		if !temporary(err) {
			return nil, errors.Join(fmt.Errorf("opening the store on Redis: %w", err), s.Close())
		}
		s.refusal.Store(&err)
		s.log.WarnContext(ctx, "redis is not available yet", slog.Any("error", err))
		s.background.Go(s.keepConnecting)
	}
	return s, nil
}

// connectInterval is how often a server is looked for that has never been seen.
const connectInterval = 250 * time.Millisecond

// keepConnecting looks for the server until it is there.
func (s *Store) keepConnecting() {
	tick := time.NewTicker(connectInterval)
	defer tick.Stop()
	for said := ""; ; {
		select {
		case <-s.closed.Done():
			return
		case <-tick.C:
		}
		err := s.connect(s.closed)
		s.refusal.Store(&err)
		if err == nil {
			s.log.InfoContext(s.closed, "redis is available")
			return
		}
		if text := err.Error(); !temporary(err) && text != said {
			s.log.ErrorContext(s.closed, "redis cannot be used", slog.Any("error", err))
			said = text
		}
	}
}

// connect makes the client. From then on that finds the server again by itself.
func (s *Store) connect(ctx context.Context) error {
	client, err := rueidis.NewClient(s.clientOption())
	if err != nil {
		if client != nil {
			client.Close()
		}
		return s.explained(ctx, err)
	}
	for _, step := range []func(context.Context, rueidis.Client) error{s.inspect, s.prove, s.claim} {
		if err := step(ctx, client); err != nil {
			client.Close()
			return err
		}
	}
	s.conn.Store(&connection{client})
	return nil
}

// using is client for an operation on sessions of a namespace.
func (s *Store) using(ctx context.Context, namespace string) (rueidis.Client, error) {
	client, err := s.client()
	if err == nil {
		err = s.mayUse(ctx, client, namespace)
	}
	return client, err
}

// client returns the client, or that there is none yet.
func (s *Store) client() (rueidis.Client, error) {
	if conn := s.conn.Load(); conn != nil {
		return conn.Client, nil
	}
	err := fmt.Errorf("redis: %w: not connected yet", backend.ErrUnavailable)
	if why := s.refusal.Load(); why != nil && *why != nil {
		err = unready(fmt.Errorf("%w: %w", err, *why))
	}
	return nil, err
}

// limited bounds an operation on one session, or one batch of a longer one.
func (s *Store) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.opts.Timeout)
}

// afterwards is for what has to follow a change that was made: the caller who
// hangs up does not stop it.
func (s *Store) afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return s.limited(context.WithoutCancel(ctx))
}

// Name is "redis".
func (s *Store) Name() string { return "redis" }

// Close closes the connections, once what goes on behind has ended.
func (s *Store) Close() error {
	s.close()
	s.background.Wait()
	if conn := s.conn.Load(); conn != nil {
		conn.Close()
	}
	s.codec.Close()
	return nil
}
