package bolt

import (
	"context"
	"hash/maphash"
	"slices"

	"session-api/internal/store/backend"
)

// lockCount is how many locks all keys share: so many that two writers of two
// sessions rarely meet.
const lockCount = 4096

// keyLocks are locks of keys, each taken by filling the one slot of a channel:
// they are waited for only so long, and released by another goroutine than the
// one that took them.
type keyLocks struct {
	seed  maphash.Seed
	slots [lockCount]chan struct{}
}

func (l *keyLocks) init() {
	l.seed = maphash.MakeSeed()
	for i := range l.slots {
		l.slots[i] = make(chan struct{}, 1)
	}
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
	for n, i := range places {
		select {
		case l.slots[i] <- struct{}{}:
			continue
		default:
		}
		select {
		case l.slots[i] <- struct{}{}:
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
	for _, i := range places {
		<-l.slots[i]
	}
}
