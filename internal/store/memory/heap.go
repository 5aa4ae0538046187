package memory

import (
	"math"
	"sync/atomic"
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

// fan is how many children an item has: with four they lie together, and there
// are half as many levels as with two.
const fan = 4

// queue orders a shard's entries by a value, smallest first. It is guarded by
// the shard.
//
// It is a heap of items, each with the value that it last saw. An entry's value
// may grow, and an entry may end, without it being told: that shows when the
// item has come to the top. So an item's value is at or below its entry's; where
// it is above, the entry has another item, because moved says when a value falls.
// Entries know nothing of their items: to keep that up would be most of what a
// queue costs, because entries lie all over the memory.
type queue struct {
	items []item
	// ticks are those of the items, where these order equal values.
	ticks []int64
	ties  bool
	// byUse: the value is the tick of the last use, otherwise the deadline.
	byUse bool
	// class is whose entries are in the queue. One that has become another's
	// counts as ended here.
	class class
	// entries is how many there are; there may be more items.
	entries int
	// spared counts as ended for the moment.
	spared *entry
	bound  *atomic.Int64
}

// item is an entry and the value that was last seen of it.
type item struct {
	at int64
	e  *entry
}

// value returns an entry's value, with the tick that orders equal ones; false
// if it has ended.
func (q *queue) value(e *entry) (at, tick int64, ok bool) {
	rec := e.rec.Load()
	if rec == nil || e == q.spared || q.class != e.class && q.class != anyClass {
		return 0, 0, false
	}
	if q.byUse {
		return e.used.Load(), 0, true
	}
	if q.ties {
		tick = e.used.Load()
	}
	return rec.expires, tick, true
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
func (q *queue) push(e *entry) {
	q.entries++
	q.moved(e)
}

// moved must be called when the value of e has fallen.
func (q *queue) moved(e *entry) {
	at, tick, _ := q.value(e)
	q.items = append(q.items, item{})
	if q.ties {
		q.ticks = append(q.ticks, 0)
	}
	q.up(len(q.items)-1, item{at, e}, tick)
	q.publish()
}

// ended must be called when one of the entries has, or is of another class now.
func (q *queue) ended() {
	if q.entries--; q.entries == 0 {
		q.items, q.ticks = nil, nil
		q.publish()
	}
}

// wasteful reports whether there are many items that stand for nothing.
func (q *queue) wasteful() bool { return len(q.items) > q.entries+q.entries/4+32 }

// tidy makes the queue anew where it is wasteful.
func (q *queue) tidy(entries []*entry) {
	if q.wasteful() {
		q.renew(entries)
	}
}

// renew makes the queue anew from those of its shard's entries that belong here.
func (q *queue) renew(entries []*entry) {
	q.items, q.ticks = make([]item, 0, q.entries+q.entries/8), nil
	for _, e := range entries {
		if e == nil {
			continue
		}
		if at, tick, ok := q.value(e); ok {
			q.items = append(q.items, item{at, e})
			if q.ties {
				q.ticks = append(q.ticks, tick)
			}
		}
	}
	for i := (len(q.items) - 2) / fan; i >= 0 && len(q.items) > 1; i-- {
		q.down(i, q.items[i], q.tick(i))
	}
	q.publish()
}

// settle makes the top right, and publishes it.
func (q *queue) settle() {
	for len(q.items) > 0 && q.right(0) {
	}
	q.publish()
}

// right sets the item at i right and reports whether it was not. One that stands
// for nothing goes if it is at the top, and stays elsewhere.
func (q *queue) right(i int) bool {
	it := q.items[i]
	at, tick, ok := q.value(it.e)
	switch {
	case ok && at == it.at && tick == q.tick(i):
		return false
	case ok && (at > it.at || at == it.at && tick > q.tick(i)):
		q.down(i, item{at, it.e}, tick)
		return true
	case i > 0:
		return false
	}
	last := len(q.items) - 1
	moved, tick := q.items[last], q.tick(last)
	q.items[last] = item{}
	q.items = q.items[:last]
	if q.ties {
		q.ticks = q.ticks[:last]
	}
	if last > 0 {
		q.down(0, moved, tick)
	}
	return true
}

// tick returns that of the item at i; 0 where ticks do not matter.
func (q *queue) tick(i int) int64 {
	if !q.ties {
		return 0
	}
	return q.ticks[i]
}

// before reports whether the item at i comes before the value.
func (q *queue) before(i int, at, tick int64) bool {
	if q.items[i].at != at || !q.ties {
		return q.items[i].at < at
	}
	return q.ticks[i] < tick
}

// up puts the item at i, or where it belongs above.
func (q *queue) up(i int, it item, tick int64) {
	for i > 0 {
		parent := (i - 1) / fan
		if q.before(parent, it.at, tick) {
			break
		}
		q.place(i, q.items[parent], q.tick(parent))
		i = parent
	}
	q.place(i, it, tick)
}

// down puts the item at i, or where it belongs below.
func (q *queue) down(i int, it item, tick int64) {
	for {
		child := q.firstChild(i)
		if child < 0 || !q.before(child, it.at, tick) {
			break
		}
		q.place(i, q.items[child], q.tick(child))
		i = child
	}
	q.place(i, it, tick)
}

// firstChild returns the child of i that comes first, -1 where it has none.
func (q *queue) firstChild(i int) int {
	child := fan*i + 1
	if child >= len(q.items) {
		return -1
	}
	for next := child + 1; next < min(fan*i+fan+1, len(q.items)); next++ {
		if q.before(next, q.items[child].at, q.tick(child)) {
			child = next
		}
	}
	return child
}

func (q *queue) place(i int, it item, tick int64) {
	q.items[i] = it
	if q.ties {
		q.ticks[i] = tick
	}
}
