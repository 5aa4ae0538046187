package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// Store is a backend.Store.
type Store struct {
	keys  format.Keys
	opts  Options
	codec *format.Codec
	log   *slog.Logger

	conn *conn.Conn
	// checked are namespaces that are no other deployment's key space.
	checked nameSet
	damage  damage
	reserve reserve
	policy  evictionPolicy
	delayed delayedRemovals // in a Cluster
	values  *valueCache
	written *recentKeys // nil without a client cache
	events  *eventQueue // nil but in a Cluster

	identity cachedIdentity
	// exactCount is up to how many members of an index Count looks at each.
	exactCount int
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

var (
	_ backend.Store    = (*Store)(nil)
	_ backend.Locker   = (*Store)(nil)
	_ backend.Recaller = (*Store)(nil)
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
	s := &Store{keys: format.Keys{Prefix: opts.Prefix}, opts: opts, codec: codec, values: newValueCache(), exactCount: exactCount, conn: conn.New(opts.Server, opts.Logger), log: opts.Logger}
	s.closed, s.close = context.WithCancel(context.WithoutCancel(ctx))
	if opts.ClientCache {
		s.written = newRecentKeys()
		s.background.Go(func() { s.written.age(s.closed) })
	}
	if opts.Cluster {
		s.events = newEventQueue(s.publishEvents)
	}
	s.reserve.room.Store(unlimited)
	if err := s.conn.Open(ctx, s.accept); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store on Redis: %w", err), s.Close())
	}
	if opts.Cluster {
		s.background.Go(func() { s.events.run(s.closed) })
	}
	s.background.Go(s.watchMemory)
	return s, nil
}

// accept looks at a server before the store uses it.
func (s *Store) accept(ctx context.Context, client rueidis.Client) error {
	if err := s.checkRights(ctx, client); err != nil {
		return err
	}
	if err := s.checkEvictionPolicy(ctx, client); err != nil {
		return err
	}
	return s.claimPrefix(ctx, client)
}

// using is client for an operation on sessions of a namespace.
func (s *Store) using(ctx context.Context, namespace string) (rueidis.Client, error) {
	client, err := s.client()
	if err == nil {
		err = s.checkNamespace(ctx, client, namespace)
	}
	return client, err
}

// reading is using for an operation that only reads.
func (s *Store) reading(ctx context.Context, namespace string) (rueidis.Client, error) {
	if _, err := s.using(ctx, namespace); err != nil {
		return nil, err
	}
	return s.reader()
}

// reader returns the client for what only reads, or backend.ErrUnavailable if there is
// none yet.
func (s *Store) reader() (rueidis.Client, error) {
	client, err := s.conn.Reader()
	if err != nil {
		return nil, unready(fmt.Errorf("redis: %w: %w", backend.ErrUnavailable, err))
	}
	return client, nil
}

// client returns the client, or backend.ErrUnavailable if there is none yet.
func (s *Store) client() (rueidis.Client, error) {
	client, err := s.conn.Client()
	if err != nil {
		return nil, unready(fmt.Errorf("redis: %w: %w", backend.ErrUnavailable, err))
	}
	return client, nil
}

// eval runs a script.
func (s *Store) eval(ctx context.Context, client rueidis.Client, doing string, c lua.Call) (lua.Answer, error) {
	a, err := lua.Run(ctx, s.conn, client, c)
	return a, s.evalError(doing, c, err)
}

// evalAll runs scripts, each for itself, in one round trip.
func (s *Store) evalAll(ctx context.Context, client rueidis.Client, doing string, calls []lua.Call) ([]lua.Answer, []error) {
	answers, failures := lua.RunAll(ctx, s.conn, client, calls)
	for i := range failures {
		failures[i] = s.evalError(doing, calls[i], failures[i])
	}
	return answers, failures
}

// confirmedWrite is what replicas have to confirm of a change.
func (s *Store) confirmedWrite() conn.Confirmation {
	if s.opts.WaitEndsOnly {
		return conn.Confirmation{}
	}
	return s.confirmedEnd()
}

// confirmedEnd is what replicas have to confirm of what ends a session, or takes it from
// a user.
func (s *Store) confirmedEnd() conn.Confirmation {
	return conn.Confirmation{Replicas: s.opts.WaitReplicas, Timeout: s.opts.WaitTimeout}
}

// evalError returns the error of a script: backend.ErrDamaged if its session's key
// holds a value of another type.
func (s *Store) evalError(doing string, c lua.Call, err error) error {
	if conn.Answered(err, "WRONGTYPE ") {
		if _, ok := s.keys.ParseSession(c.Keys[0]); ok {
			return failed(doing, fmt.Errorf("%w: %v", format.ErrNotSession, err)) //nolint:errorlint // the server is well, so what it wraps is not to be found
		}
	}
	return failed(doing, err)
}

// Name is "redis".
func (s *Store) Name() string { return "redis" }

// Close closes the connections, once what goes on behind has ended.
func (s *Store) Close() error {
	s.close()
	s.background.Wait()
	s.conn.Close()
	s.codec.Close()
	return nil
}

// millis is a time as scripts and commands take it.
func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// flag is a truth value as scripts take it.
func flag(yes bool) string {
	if yes {
		return "1"
	}
	return ""
}
