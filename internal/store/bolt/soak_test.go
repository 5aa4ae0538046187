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
	long := 8 * time.Second
	if s := os.Getenv("SOAK"); s != "" {
		var err error
		long, err = time.ParseDuration(s)
		require.NoError(t, err)
	}
	const writers, each = 32, 100
	dir := filepath.Join(disktest.Ext4(t, 64*mib), "data")
	s, err := bolt.Open(time.Now(), bolt.Options{
		Dir: dir, CommitTimeout: 10 * time.Second, // the machine may be busy with other tests
		Memory: memory.Options{Policy: memory.LRU, MaxEntries: 2 * writers * each, Tombstone: time.Second},
	})
	require.NoError(t, err)
	var changes atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	var running sync.WaitGroup
	for n := range writers {
		running.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			var own []schema.Session
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
					if !assert.NoError(t, s.Delete(context.Background(), now, own[0].Key(), 0)) {
						return
					}
					changes.Add(1)
					own = own[1:]
				}
			}
		})
	}
	var first, last []soaked
	ticks := max(long/40, 100*time.Millisecond)
	for at := time.Duration(0); ctx.Err() == nil; at += ticks {
		select {
		case <-ctx.Done():
		case <-time.After(ticks):
			_, err := s.Sweep(context.Background(), time.Now())
			require.NoError(t, err)
			switch {
			case at > long/4 && at < long/2: // by then there are as many as there will be
				first = append(first, measure(t, dir))
			case at > long*3/4:
				last = append(last, measure(t, dir))
			}
		}
	}
	running.Wait()
	require.NotEmpty(t, first)
	require.NotEmpty(t, last)
	before, after := most(first), most(last)
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
