package bolt

import (
	"context"
	"hash/maphash"
	"slices"
	"sync/atomic"

	"session-api/internal/store/backend"
)

// lockCount is how many locks all keys share: so many that two writers of two
// sessions rarely meet.
const lockCount = 4096

// keyLocks are locks of keys, each taken by filling the one slot of a channel:
// they are waited for only so long, and released by another goroutine than the
// one that took them.
type keyLocks struct {
	seed maphash.Seed
	// locks are made when they are first used.
	locks [lockCount]atomic.Pointer[keyLock]
}

type keyLock = chan struct{}

func (l *keyLocks) init() { l.seed = maphash.MakeSeed() }

func (l *keyLocks) at(place int) keyLock {
	if lock := l.locks[place].Load(); lock != nil {
		return *lock
	}
	l.locks[place].CompareAndSwap(nil, new(make(keyLock, 1)))
	return *l.locks[place].Load()
}

// places returns where the locks of the keys are, in the order in which
// everybody takes them, each once.
func (l *keyLocks) places(keys ...backend.Key) []int {
	places := make([]int, len(keys))
	for i, key := range keys {
		places[i] = int(maphash.Comparable(l.seed, key) % lockCount)
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// lock takes the locks. It fails if one was not free before the disk was found
// to be stuck, or the context ended.
func (l *keyLocks) lock(ctx context.Context, stuck *signal, places []int) error {
	for n, place := range places {
		lock := l.at(place)
		select {
		case lock <- struct{}{}:
			continue
		default:
		}
		select {
		case lock <- struct{}{}:
		case <-stuck.whenOn():
			l.unlock(places[:n])
			return errStuck
		case <-ctx.Done():
			l.unlock(places[:n])
			return ctx.Err()
		}
	}
	return nil
}

func (l *keyLocks) unlock(places []int) {
	for _, place := range places {
		<-l.at(place)
	}
}
