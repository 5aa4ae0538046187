package memory

import (
	"math"
	"slices"
	"sync/atomic"
)

// The queues of a shard, as places in entry.pos.
const (
	usesQueue = iota
	endsQueue
	queueCount
)

// never is above every tick and every time.
const never = math.MaxInt64

// bounds are what the shards publish of one kind of queue: nothing in the
// shard's queue is below its bound. never stands for an empty queue.
type bounds [shardCount]atomic.Int64

// min returns the smallest bound.
func (b *bounds) min() int64 {
	lowest := int64(never)
	for i := range b {
		lowest = min(lowest, b[i].Load())
	}
	return lowest
}

// first returns the first shard with the smallest bound.
func (b *bounds) first() (shard int, lowest int64) {
	lowest = never
	for i := range b {
		if at := b[i].Load(); at < lowest {
			shard, lowest = i, at
		}
	}
	return shard, lowest
}

// fan is how many children a place of a queue has. What moves down a queue
// touches an entry on each level, which is most of what it costs: four make half
// as many levels as two, and lie together.
const fan = 4

// queue is a heap of a shard's entries, smallest value first. It is guarded by
// the shard.
type queue struct {
	items []item
	which int // the queue's place in entry.pos
	// ties orders equal values by entry.used, which then changes only together
	// with a call of set.
	ties  bool
	bound *atomic.Int64
}

// item is an entry and the value by which it was put where it is.
type item struct {
	at int64
	e  *entry
}

func (q *queue) less(a, b item) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return q.ties && a.e.used.Load() < b.e.used.Load()
}

// announce lowers the bound to at, for an entry that is about to come in or to
// move there.
func (q *queue) announce(at int64) {
	if at < q.bound.Load() {
		q.bound.Store(at)
	}
}

// publish sets the bound to what the queue now starts with.
func (q *queue) publish() {
	at := int64(never)
	if len(q.items) > 0 {
		at = q.items[0].at
	}
	if q.bound.Load() != at {
		q.bound.Store(at)
	}
}

// push adds e, which is not in the queue.
func (q *queue) push(e *entry, at int64) {
	q.items = append(q.items, item{at, e})
	q.up(len(q.items) - 1)
	q.publish()
}

// set gives e another value. Does nothing where e is not in the queue.
func (q *queue) set(e *entry, at int64) {
	if i := int(e.pos[q.which]); i >= 0 {
		q.items[i].at = at
		q.down(q.up(i))
	}
	q.publish()
}

// remove takes e out, if it is in the queue.
func (q *queue) remove(e *entry) {
	i := int(e.pos[q.which])
	if i < 0 {
		return
	}
	e.pos[q.which] = -1
	last := len(q.items) - 1
	moved := q.items[last]
	q.items[last] = item{}
	q.items = q.items[:last]
	if i < last {
		q.items[i] = moved
		q.down(q.up(i))
	}
	if cap(q.items) > 64 && len(q.items) < cap(q.items)/4 {
		q.items = slices.Clone(q.items)
	}
	q.publish()
}

// settle makes the values at the top those that the entries have: it is for
// the queue of uses, whose entries' values grow without it being told.
func (q *queue) settle() {
	for len(q.items) > 0 && q.refresh(0) {
	}
	q.publish()
}

// refresh sets the value at i right and reports whether it was behind.
func (q *queue) refresh(i int) bool {
	used := q.items[i].e.used.Load()
	if q.items[i].at == used {
		return false
	}
	q.items[i].at = used
	q.down(i)
	return true
}

func (q *queue) up(i int) int {
	moving := q.items[i]
	for i > 0 {
		parent := (i - 1) / fan
		if !q.less(moving, q.items[parent]) {
			break
		}
		q.place(i, q.items[parent])
		i = parent
	}
	q.place(i, moving)
	return i
}

func (q *queue) down(i int) {
	moving := q.items[i]
	for {
		child := q.firstChild(i)
		if child < 0 || !q.less(q.items[child], moving) {
			break
		}
		q.place(i, q.items[child])
		i = child
	}
	q.place(i, moving)
}

// firstChild returns the child of i that comes first, -1 where it has none.
func (q *queue) firstChild(i int) int {
	child := fan*i + 1
	if child >= len(q.items) {
		return -1
	}
	for next := child + 1; next < min(fan*i+fan+1, len(q.items)); next++ {
		if q.less(q.items[next], q.items[child]) {
			child = next
		}
	}
	return child
}

func (q *queue) place(i int, it item) {
	q.items[i] = it
	it.e.pos[q.which] = int32(i) //nolint:gosec // a shard with 2^31 entries does not fit in any memory
}
