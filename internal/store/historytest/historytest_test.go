package historytest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/historytest"
	"session-api/internal/store/memory"
)

func newMemory(tombstone time.Duration) backend.Store {
	return memory.New(memory.Options{Tombstone: tombstone})
}

func TestMemory(t *testing.T) {
	for _, tombstone := range []time.Duration{0, time.Hour} {
		t.Run(fmt.Sprintf("tombstone %v", tombstone), func(t *testing.T) {
			historytest.Check(t, historytest.Load{
				Instances: []backend.Store{newMemory(tombstone)}, Tombstones: tombstone > 0, Hasty: 10,
			})
		})
	}
}

// broken is a store in memory of which one thing is wrong now and then.
type broken struct {
	backend.Store
	fault
	calls atomic.Int64

	mu   sync.Mutex
	past map[backend.Key]schema.Session
}

// fault is what is wrong: each takes the place of a method where it is set.
type fault struct {
	get        func(b *broken, ctx context.Context, now time.Time, key backend.Key) (schema.Session, error)
	create     func(b *broken, ctx context.Context, now time.Time, s schema.Session) error
	swap       func(b *broken, ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error)
	touch      func(b *broken, ctx context.Context, now time.Time, key backend.Key, until time.Time) (schema.Session, error)
	remove     func(b *broken, ctx context.Context, now time.Time, key backend.Key, revision int64) error
	regenerate func(b *broken, ctx context.Context, now time.Time, old, next schema.Session, until time.Time) error
	begin      func(b *broken, ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) (backend.Request, bool, error)
	abandon    func(b *broken, ctx context.Context, now time.Time, key backend.RequestKey, lease time.Time, forget bool) error
	removeAll  func(b *broken, ctx context.Context, now time.Time, namespace string, ids []string) ([]bool, error)
}

// rarely is true for one call of a few.
func (b *broken) rarely() bool { return b.calls.Add(1)%7 == 0 }

func (b *broken) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	if b.get != nil && b.rarely() {
		return b.get(b, ctx, now, key)
	}
	sess, err := b.Store.Get(ctx, now, key)
	if err == nil {
		b.mu.Lock()
		b.past[key] = sess
		b.mu.Unlock()
	}
	return sess, err
}

func (b *broken) Create(ctx context.Context, now time.Time, s schema.Session, opts ...backend.CreateOption) error {
	if b.create != nil && !backend.Revives(opts) && b.rarely() {
		return b.create(b, ctx, now, s)
	}
	return b.Store.Create(ctx, now, s, opts...)
}

func (b *broken) Swap(ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
	if b.swap != nil && b.rarely() {
		return b.swap(b, ctx, now, old, next)
	}
	return b.Store.Swap(ctx, now, old, next)
}

func (b *broken) Touch(ctx context.Context, now time.Time, key backend.Key, until time.Time) (schema.Session, error) {
	if b.touch != nil && b.rarely() {
		return b.touch(b, ctx, now, key, until)
	}
	return b.Store.Touch(ctx, now, key, until)
}

func (b *broken) Delete(ctx context.Context, now time.Time, key backend.Key, revision int64) error {
	if b.remove != nil && b.rarely() {
		return b.remove(b, ctx, now, key, revision)
	}
	return b.Store.Delete(ctx, now, key, revision)
}

func (b *broken) Regenerate(ctx context.Context, now time.Time, old, next schema.Session, until time.Time) error {
	if b.regenerate != nil && b.rarely() {
		return b.regenerate(b, ctx, now, old, next, until)
	}
	return b.Store.Regenerate(ctx, now, old, next, until)
}

func (b *broken) BeginRequest(ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) (backend.Request, bool, error) {
	if b.begin != nil && b.rarely() {
		return b.begin(b, ctx, now, key, r)
	}
	return b.Store.BeginRequest(ctx, now, key, r)
}

func (b *broken) AbandonRequest(ctx context.Context, now time.Time, key backend.RequestKey, lease time.Time, forget bool) error {
	if b.abandon != nil { // most end no attempt
		return b.abandon(b, ctx, now, key, lease, forget)
	}
	return b.Store.AbandonRequest(ctx, now, key, lease, forget)
}

func (b *broken) DeleteAll(ctx context.Context, now time.Time, namespace string, ids []string) ([]bool, error) {
	if b.removeAll != nil && b.rarely() {
		return b.removeAll(b, ctx, now, namespace, ids)
	}
	return b.Store.DeleteAll(ctx, now, namespace, ids)
}

var errLost = fmt.Errorf("%w: as if the answer were lost", backend.ErrUnavailable)

// Whatever is wrong with a store comes out.
func TestBrokenStoresAreFound(t *testing.T) {
	for name, wrong := range map[string]fault{
		"a lost update: whatever is there is replaced": {
			swap: func(b *broken, ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
				cur, err := b.Peek(ctx, now, old.Key())
				if err != nil || cur.ID != old.ID {
					return schema.Session{}, backend.ErrNotFound
				}
				return b.Store.Swap(ctx, now, cur, next)
			},
		},
		"a stale read": {
			get: func(b *broken, ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
				b.mu.Lock()
				defer b.mu.Unlock()
				if sess, ok := b.past[key]; ok {
					return sess, nil
				}
				return b.Store.Get(ctx, now, key)
			},
		},
		"a write that is acknowledged and not made": {
			swap: func(b *broken, ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
				cur, err := b.Peek(ctx, now, old.Key())
				if err != nil || cur.ID != old.ID || cur.Revision != old.Revision || !cur.CreatedAt.Equal(old.CreatedAt) {
					return b.Store.Swap(ctx, now, old, next)
				}
				return next, nil
			},
		},
		"an end that is acknowledged and not made": {
			remove: func(b *broken, ctx context.Context, now time.Time, key backend.Key, _ int64) error {
				_, err := b.Peek(ctx, now, key)
				return err
			},
		},
		"a write that brings back what was ended": {
			swap: func(b *broken, ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
				sess, err := b.Store.Swap(ctx, now, old, next)
				if errors.Is(err, backend.ErrNotFound) {
					return next, b.Store.Create(ctx, now, next, backend.Revive)
				}
				return sess, err
			},
		},
		"a refused write that is made all the same": {
			swap: func(b *broken, ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
				if _, err := b.Store.Swap(ctx, now, old, next); err != nil {
					return schema.Session{}, err
				}
				return schema.Session{}, backend.ErrConflict
			},
		},
		"a create that forgets that the key was ended": {
			create: func(b *broken, ctx context.Context, now time.Time, s schema.Session) error {
				return b.Store.Create(ctx, now, s, backend.Revive)
			},
		},
		"a touch that is undone": {
			touch: func(b *broken, ctx context.Context, now time.Time, key backend.Key, until time.Time) (schema.Session, error) {
				sess, err := b.Peek(ctx, now, key)
				if err != nil || sess.ID != key.ID {
					return schema.Session{}, backend.ErrNotFound
				}
				if until = backend.Touched(now, until, sess.TTL); until.After(sess.ExpiresAt) {
					sess.ExpiresAt = until
				}
				return sess, nil
			},
		},
		"an old id that lives on": {
			regenerate: func(b *broken, ctx context.Context, now time.Time, old, next schema.Session, until time.Time) error {
				if err := b.Store.Regenerate(ctx, now, old, next, until); err != nil {
					return err
				}
				return b.Store.Create(ctx, now, old, backend.Revive)
			},
		},
		"a grace that leads nowhere": {
			regenerate: func(b *broken, ctx context.Context, now time.Time, old, next schema.Session, _ time.Time) error {
				return b.Store.Regenerate(ctx, now, old, next, now)
			},
		},
		"a batch of which one is not ended": {
			removeAll: func(b *broken, ctx context.Context, now time.Time, namespace string, ids []string) ([]bool, error) {
				ended, err := b.Store.DeleteAll(ctx, now, namespace, ids[:len(ids)-1])
				return append(ended, true), err
			},
		},
		"a request that begins twice": {
			begin: func(b *broken, ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) (backend.Request, bool, error) {
				got, _, err := b.Store.BeginRequest(ctx, now, key, r)
				return got, true, err
			},
		},
		"a request that is taken over with another plan": {
			abandon: func(b *broken, ctx context.Context, now time.Time, key backend.RequestKey, lease time.Time, _ bool) error {
				return b.Store.AbandonRequest(ctx, now, key, lease, true)
			},
		},
		"an answer that is lost, of a change that is made twice": {
			swap: func(b *broken, ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
				if _, err := b.Store.Swap(ctx, now, old, next); err != nil {
					return schema.Session{}, err
				}
				further := next
				further.Revision++
				if _, err := b.Store.Swap(ctx, now, next, further); err != nil {
					return schema.Session{}, err
				}
				return schema.Session{}, errLost
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &broken{Store: newMemory(time.Hour), fault: wrong, past: map[backend.Key]schema.Session{}}
			err := historytest.Verdict(t, historytest.Load{Instances: []backend.Store{s}, Tombstones: true, Most: 3000})
			require.ErrorIs(t, err, historytest.ErrNotLinearizable)
		})
	}
}

// A change without an answer may have been made, may be made later, or never.
func TestLostAnswersAreNoFault(t *testing.T) {
	late := make(chan func(), 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for do := range late {
			do()
		}
	}()
	defer func() { close(late); <-done }()
	lose := func(do func()) error {
		switch time.Now().UnixNano() % 3 {
		case 0:
			do()
		case 1:
			late <- do
		}
		return errLost
	}
	s := &broken{Store: newMemory(time.Hour), past: map[backend.Key]schema.Session{}, fault: fault{
		create: func(b *broken, ctx context.Context, now time.Time, s schema.Session) error {
			return lose(func() { _ = b.Store.Create(ctx, now, s) })
		},
		swap: func(b *broken, ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
			return schema.Session{}, lose(func() { _, _ = b.Store.Swap(ctx, now, old, next) })
		},
		remove: func(b *broken, ctx context.Context, now time.Time, key backend.Key, revision int64) error {
			return lose(func() { _ = b.Store.Delete(ctx, now, key, revision) })
		},
		regenerate: func(b *broken, ctx context.Context, now time.Time, old, next schema.Session, until time.Time) error {
			return lose(func() { _ = b.Store.Regenerate(ctx, now, old, next, until) })
		},
	}}
	historytest.Check(t, historytest.Load{Instances: []backend.Store{s}, Tombstones: true, Most: 10_000})
}

// delayed is an instance that reads what was, some time ago.
type delayed struct {
	backend.Store
	lag  time.Duration
	mu   sync.Mutex
	seen map[backend.Key]past
}

type past struct {
	sess schema.Session
	err  error
	at   time.Time
}

func (d *delayed) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.seen[key]
	if !ok || time.Since(p.at) > d.lag {
		p.at = time.Now()
		p.sess, p.err = d.Store.Get(ctx, now, key)
		d.seen[key] = p
	}
	return p.sess, p.err
}

// Reads of a cache may be as old as is allowed, and no older.
func TestStaleReads(t *testing.T) {
	for _, tt := range []struct {
		lag, allowed time.Duration
		fine         bool
	}{
		{20 * time.Millisecond, 300 * time.Millisecond, true},
		{300 * time.Millisecond, 30 * time.Millisecond, false},
	} {
		t.Run(fmt.Sprintf("%v where %v is allowed", tt.lag, tt.allowed), func(t *testing.T) {
			s := newMemory(time.Hour)
			err := historytest.Verdict(t, historytest.Load{
				Instances: []backend.Store{s, &delayed{Store: s, lag: tt.lag, seen: map[backend.Key]past{}}}, Readers: 1,
				Tombstones: true, Stale: tt.allowed, Pace: 2 * time.Millisecond, Families: 20, Operations: 100,
			})
			if tt.fine {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, historytest.ErrNotLinearizable)
			}
		})
	}
}

// A store that is replaced keeps what it has acknowledged, or is found out.
func TestCrashes(t *testing.T) {
	for _, forgetful := range []bool{false, true} {
		t.Run(fmt.Sprintf("forgetful: %t", forgetful), func(t *testing.T) {
			kept := newMemory(time.Hour)
			err := historytest.Verdict(t, historytest.Load{
				Instances: []backend.Store{kept}, Tombstones: true, Most: 10_000, Pace: time.Millisecond,
				Faults: func(r *historytest.Run) {
					r.PauseUpTo(20 * time.Millisecond)
					r.Crash(0, func(backend.Store) backend.Store {
						if forgetful {
							return newMemory(time.Hour)
						}
						return kept
					})
				},
			})
			if forgetful {
				require.ErrorIs(t, err, historytest.ErrNotLinearizable)
			} else {
				require.NoError(t, err)
			}
		})
	}
}
