package memory

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"session-api/internal/store/backend"
)

// Policy says which session goes when the store is full. Sessions that have
// expired go before any live one, whatever the policy.
type Policy string

// The policies, as the settings spell them.
const (
	// LRU evicts the session that was used least recently: of visitors' that were
	// used once, then of visitors' that were used again, then of those without a user
	// that services made, then of the others. It is
	// what counts where none is named.
	LRU Policy = "lru"
	// TTL evicts the session that expires soonest, of visitors' first, then of
	// services' without a user; of several,
	// the one that was written or touched least recently.
	TTL Policy = "ttl"
	// None evicts nothing: a full store answers backend.ErrFull.
	None Policy = "none"
)

// Options are the settings of a store.
type Options struct {
	Policy Policy
	// MaxEntries is the most sessions that are stored; 0 for no limit.
	MaxEntries int
	// MaxBytes is the most memory that sessions take, as cost counts it; 0 for
	// no limit.
	MaxBytes int64
	// Reserve is how many percent of both limits are kept for sessions with a
	// user and for what services make: guests cannot take them. 0 for none.
	Reserve int
	// Tombstone is how long keys are remembered whose sessions were ended,
	// expired or were evicted; 0 for not at all.
	Tombstone time.Duration
	// Requests are how many requests with an Idempotency-Key are kept.
	Requests RequestLimits
	// OnForget, where set, is called for each key whose request was forgotten because it
	// has expired, or to make room, while others wait. It must not use the store.
	OnForget func(backend.RequestKey)
	// Events is how many events are kept for followers; backend.DefaultEvents
	// where it is 0.
	Events int
	// OnEvent, where set, is called with each event, without an ID, while the
	// session's shard is locked: it must not block, nor call the store.
	OnEvent func(backend.Event)
}

const (
	shardBits  = 8
	shardCount = 1 << shardBits
)

// Store is a backend.Store.
type Store struct {
	shards         [shardCount]shard
	evictionBounds [classes]bounds // by shard, of shard.eviction
	expiryBounds   bounds          // by shard, of shard.expiry
	// population is how many entries each class has.
	population [classes]atomic.Int64

	policy Policy
	seed   maphash.Seed

	// evicting is held while something is evicted: one eviction at a time.
	evicting sync.Mutex
	capacity capacity

	namespaces namespaces
	files      fileIndex
	requests   requestTable
	states     stateTable

	events        *backend.EventLog
	onEvent       func(backend.Event)
	tombstone     int64 // in ms; 0 for none
	maxTombstones int   // of one shard

	maxLife atomic.Int64 // in ms; 0 for no limit

	sets, deletes, evictions, expirations, reserved atomic.Int64

	_ cacheLine
	// clock is the logical time of uses; lowClock that of disposable sessions,
	// all of it below 0, so that these are always used less recently than others.
	clock, lowClock atomic.Int64
	_               cacheLine
}

// cacheLine keeps what many cores write away from what they read.
type cacheLine [64]byte

var _ backend.Store = (*Store)(nil)

// New returns an empty store.
func New(opts Options) *Store {
	s := &Store{
		policy:     opts.Policy,
		seed:       maphash.MakeSeed(),
		capacity:   newCapacity(amount{int64(opts.MaxEntries), opts.MaxBytes}, opts.Reserve),
		namespaces: namespaces{byName: make(map[string]*namespace)},
		files:      newFileIndex(),
		requests:   newRequestTable(opts.Requests, opts.OnForget),
		states:     stateTable{byName: make(map[string][]byte)},

		events:        backend.NewEventLog(cmp.Or(opts.Events, backend.DefaultEvents)),
		onEvent:       opts.OnEvent,
		tombstone:     opts.Tombstone.Milliseconds(),
		maxTombstones: tombstoneLimit(opts.MaxEntries),
	}
	switch {
	case opts.MaxEntries == 0 && opts.MaxBytes == 0:
		s.policy = None // never full: no order to keep
	case s.policy == "":
		s.policy = LRU
	}
	s.capacity.evicts = s.policy != None
	s.lowClock.Store(notYetUsed)
	for i := range s.shards {
		s.shards[i].init(i, s)
	}
	return s
}

// Name is "memory".
func (s *Store) Name() string { return "memory" }

// Ping is nil: there is nothing to reach.
func (s *Store) Ping(context.Context) error { return nil }

// Close is nil: there is nothing that outlives the store.
func (s *Store) Close() error { return nil }

// hash spreads keys over the shards and within them. Its seed is random, so
// that keys that collide cannot be chosen.
func (s *Store) hash(key backend.Key) uint64 { return maphash.Comparable(s.seed, key) }

// shardOf returns the shard of a key's hash.
func (s *Store) shardOf(hash uint64) *shard { return &s.shards[hash>>(64-shardBits)] }

// cancelled returns why a long operation has to stop.
func cancelled(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", backend.ErrUnavailable, err)
	}
	return nil
}
