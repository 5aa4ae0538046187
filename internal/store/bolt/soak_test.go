package bolt_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/bolt"
	"session-api/internal/store/bolt/disktest"
	"session-api/internal/store/memory"
)

// soaked is what must not grow.
type soaked struct {
	file, memory         int64
	descriptors, threads int
}

func measure(t *testing.T, dir string) soaked {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	open, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return soaked{
		file: sizeOf(t, dir), memory: int64(m.HeapAlloc),
		descriptors: len(open), threads: runtime.NumGoroutine(),
	}
}

// TestSoak lets sessions be created, changed, ended and expire on a volume of 64
// MB, for as long as SOAK says. No change is refused, and the file, the memory, the
// descriptors and the goroutines are in the last part what they were in the first.
func TestSoak(t *testing.T) {
	long := soaktest.Length(t, 2*time.Second)
	const writers = 32
	each := soaktest.Times(10, 100)
	dir := filepath.Join(disktest.Ext4(t, 64*mib), "data")
	s, err := bolt.Open(time.Now(), bolt.Options{
		Dir: dir, CommitTimeout: patience,
		Memory: memory.Options{Policy: memory.LRU, MaxEntries: 2 * writers * each, Tombstone: time.Second},
	})
	require.NoError(t, err)
	var changes atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running, filling sync.WaitGroup
	filling.Add(writers)
	for n := range writers {
		running.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			var own []schema.Session
			full := sync.OnceFunc(filling.Done)
			defer full()
			for ctx.Err() == nil {
				now := schema.Now(time.Now())
				sess := template(t).WithID(schema.NewID())
				sess.CreatedAt, sess.UpdatedAt, sess.ExpiresAt = now, now, now.Add(time.Hour)
				if random.IntN(3) == 0 { // it will expire
					sess.ExpiresAt = now.Add(time.Duration(random.IntN(2000)) * time.Millisecond)
				}
				if !assert.NoError(t, s.Create(context.Background(), now, sess)) {
					return
				}
				changes.Add(1)
				if sess.ExpiresAt.Before(now.Add(time.Minute)) {
					continue
				}
				for range random.IntN(4) {
					next, err := s.Swap(context.Background(), now, sess, changed(sess))
					if !assert.NoError(t, err) {
						return
					}
					changes.Add(1)
					sess = next
				}
				if own = append(own, sess); len(own) > each {
					full()
					if !assert.NoError(t, s.Delete(context.Background(), now, own[0].Key(), 0)) {
						return
					}
					changes.Add(1)
					own = own[1:]
				}
			}
		})
	}
	interval := max(long/40, 50*time.Millisecond)
	running.Go(func() { // as the service does, if not as rarely
		for ticks := time.NewTicker(min(interval, 5*time.Second)); ctx.Err() == nil; {
			select {
			case <-ctx.Done():
			case <-ticks.C:
				_, err := s.Sweep(context.Background(), time.Now())
				assert.NoError(t, err)
			}
		}
	})
	filling.Wait() // from here on there are as many as there will be
	var all []soaked
	for ticks := time.NewTicker(interval); len(all) < 40; <-ticks.C {
		all = append(all, measure(t, dir))
	}
	cancel()
	running.Wait()
	before, after := most(all[10:20]), most(all[30:])
	t.Logf("%d changes in %v: before %+v, after %+v, %+v", changes.Load(), long, before, after, s.File())
	assert.LessOrEqual(t, after.file, 2*before.file)
	assert.LessOrEqual(t, after.file, int64(32*mib), "half of the volume")
	assert.LessOrEqual(t, after.memory, 2*before.memory)
	assert.LessOrEqual(t, after.descriptors, before.descriptors+4)
	assert.LessOrEqual(t, after.threads, before.threads+4)
	require.NoError(t, s.Close())
	_, err = bolt.Check(time.Now(), dir)
	require.NoError(t, err)
}

func most(all []soaked) (m soaked) {
	for _, one := range all {
		m.file, m.memory = max(m.file, one.file), max(m.memory, one.memory)
		m.descriptors, m.threads = max(m.descriptors, one.descriptors), max(m.threads, one.threads)
	}
	return m
}
