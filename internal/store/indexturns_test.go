package store_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// busyStore is one that takes as long as it is told to over what has files.
type busyStore struct {
	backend.Store
	inWork  atomic.Int32
	release chan struct{}
}

func (b *busyStore) work(files []string) {
	if len(files) > 0 {
		b.inWork.Add(1)
		<-b.release
		b.inWork.Add(-1)
	}
}

func (b *busyStore) Create(ctx context.Context, now time.Time, s schema.Session, opts ...backend.CreateOption) error {
	b.work(s.Files)
	return b.Store.Create(ctx, now, s, opts...)
}

func (b *busyStore) Swap(ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
	b.work(next.Files)
	return b.Store.Swap(ctx, now, old, next)
}

func (b *busyStore) Regenerate(ctx context.Context, now time.Time, old, next schema.Session, graceUntil time.Time) error {
	b.work(next.Files)
	return b.Store.Regenerate(ctx, now, old, next, graceUntil)
}

// Of changes that index many references only a few are in work at once, whatever
// they are, and nobody else waits for them. Who waits too long gets an error.
func TestChangesOfManyFilesTakeTurns(t *testing.T) {
	most := int32(max(4, runtime.GOMAXPROCS(0)-1))
	rules := &schema.Rules{}
	withFiles := func(count int) schema.Change {
		names := make([]string, count)
		for i := range names {
			names[i] = fmt.Sprintf("%q", fmt.Sprint("f", i))
		}
		change, err := rules.DecodeInput([]byte(`{"results":{"analysis":{"files":[` + strings.Join(names, ",") + `]}}}`))
		require.NoError(t, err)
		return change
	}
	type sessions struct {
		*store.Sessions
		key backend.Key // of one with 100 files
	}
	for name, change := range map[string]func(ctx context.Context, s sessions) error{
		"Create": func(ctx context.Context, s sessions) error {
			_, err := s.Create(ctx, start, "default", withFiles(100), nil)
			return err
		},
		"Update": func(ctx context.Context, s sessions) error {
			_, _, err := s.Update(ctx, start, s.key, store.Update{Change: withFiles(101)})
			return err
		},
		"Renew": func(ctx context.Context, s sessions) error {
			_, _, err := s.Renew(ctx, start, s.key, 0)
			return err
		},
		"SignIn": func(ctx context.Context, s sessions) error {
			ada, err := rules.DecodeInput([]byte(`{"user":{"id":"ada"}}`))
			require.NoError(t, err)
			_, err = s.SignIn(ctx, start, s.key, ada, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &busyStore{Store: memory.New(memory.Options{Policy: memory.LRU}), release: make(chan struct{})}
				s := store.NewSessions(b, rules, store.Lifetimes{TTL: time.Hour, MaxTTL: time.Hour}, store.UserLimit{})
				var keys []backend.Key
				for range 2 * most {
					var made schema.Session
					var asked sync.WaitGroup
					asked.Go(func() {
						var err error
						made, err = s.Create(t.Context(), start, "default", withFiles(100), nil)
						assert.NoError(t, err)
					})
					b.release <- struct{}{}
					asked.Wait()
					keys = append(keys, made.Key())
				}

				ctx, cancel := context.WithCancel(t.Context())
				var late atomic.Int32
				var asked sync.WaitGroup
				for _, key := range keys {
					asked.Go(func() {
						if err := change(ctx, sessions{s, key}); err != nil {
							assert.ErrorIs(t, err, backend.ErrUnavailable)
							late.Add(1)
						}
					})
				}
				synctest.Wait()
				assert.Equal(t, most, b.inWork.Load())
				_, err := s.Create(t.Context(), start, "default", withFiles(0), nil)
				require.NoError(t, err)

				<-time.After(time.Minute) // of the bubble: the others have given up
				assert.Equal(t, most, late.Load())
				close(b.release)
				asked.Wait()
				cancel()
				_, err = s.Create(t.Context(), start, "default", withFiles(100), nil)
				require.NoError(t, err, "the turns are free again")
			})
		})
	}
}
