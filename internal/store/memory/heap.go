package memory

// fan is how many children an item has: with four they lie together, and there
// are half as many levels as with two.
const fan = 4

// lazyHeap orders a shard's entries by a value, smallest first. It is guarded by
// the shard.
//
// It is a heap of items, each with the value that it last saw. An entry's value
// may grow, and an entry may end, without the heap being updated: that shows when the
// item has come to the top. So an item's value is at or below its entry's; where
// it is above, the entry has another item, because lowered is called when a value
// falls. Entries have no reference to their items: to keep that up would be most of what a
// heap costs, because entries lie all over the memory.
type lazyHeap struct {
	items []item
	// ticks are those of the items, where these order equal values.
	ticks []int64
	ties  bool
	// byUse: the value is the tick of the last use, otherwise the deadline.
	byUse bool
	// class is whose entries are in the heap. One that has become another's
	// counts as ended here.
	class class
	// entries is how many there are; there may be more items.
	entries int
	// spared counts as ended for the moment.
	spared *entry
	bound  bound
}

// item is an entry and the value that was last seen of it.
type item struct {
	at int64
	e  *entry
}

// value returns an entry's value, with the tick that orders equal ones; false
// if it has ended.
func (h *lazyHeap) value(e *entry) (at, tick int64, ok bool) {
	rec := e.rec.Load()
	if rec == nil || e == h.spared || h.class != e.class && h.class != anyClass {
		return 0, 0, false
	}
	if h.byUse {
		return e.used.Load(), 0, true
	}
	if h.ties {
		tick = e.used.Load()
	}
	return rec.expires, tick, true
}

// announce lowers the bound to at, for an entry that is about to come in or to
// move there.
func (h *lazyHeap) announce(at int64) {
	if at < h.bound.load() {
		h.bound.store(at)
	}
}

// publish sets the bound to what the heap now starts with.
func (h *lazyHeap) publish() {
	at := int64(never)
	if len(h.items) > 0 {
		at = h.items[0].at
	}
	if h.bound.load() != at {
		h.bound.store(at)
	}
}

// push adds e, which is not in the heap.
func (h *lazyHeap) push(e *entry) {
	h.entries++
	h.lowered(e)
}

// lowered must be called when the value of e has fallen.
func (h *lazyHeap) lowered(e *entry) {
	at, tick, _ := h.value(e)
	h.items = append(h.items, item{})
	if h.ties {
		h.ticks = append(h.ticks, 0)
	}
	h.up(len(h.items)-1, item{at, e}, tick)
	h.publish()
}

// ended must be called when one of the entries has, or is of another class now.
func (h *lazyHeap) ended() {
	if h.entries--; h.entries == 0 {
		h.items, h.ticks = nil, nil
		h.publish()
	}
}

// sparse reports whether many items are stale: so many that rebuilding, which takes a
// look at each entry, costs little for each of them.
func (h *lazyHeap) sparse() bool { return len(h.items) > h.entries+h.entries/2+32 }

// compact rebuilds the heap if it is sparse.
func (h *lazyHeap) compact(entries []*entry) {
	if h.sparse() {
		h.rebuild(entries)
	}
}

// rebuild fills the heap from those of its shard's entries that belong here.
func (h *lazyHeap) rebuild(entries []*entry) {
	h.items, h.ticks = make([]item, 0, h.entries+h.entries/8), nil
	for _, e := range entries {
		if e == nil {
			continue
		}
		if at, tick, ok := h.value(e); ok {
			h.items = append(h.items, item{at, e})
			if h.ties {
				h.ticks = append(h.ticks, tick)
			}
		}
	}
	for i := (len(h.items) - 2) / fan; i >= 0 && len(h.items) > 1; i-- {
		h.down(i, h.items[i], h.tick(i))
	}
	h.publish()
}

// settle updates items until the top is right, and publishes it.
func (h *lazyHeap) settle() {
	for len(h.items) > 0 && h.fix(0) {
	}
	h.publish()
}

// fix updates the item at i, and reports whether it had to. A stale one is removed
// if it is at the top, and stays elsewhere.
func (h *lazyHeap) fix(i int) bool {
	it := h.items[i]
	at, tick, ok := h.value(it.e)
	switch {
	case ok && at == it.at && tick == h.tick(i):
		return false
	case ok && (at > it.at || at == it.at && tick > h.tick(i)):
		h.down(i, item{at, it.e}, tick)
		return true
	case i > 0:
		return false
	}
	last := len(h.items) - 1
	moved, tick := h.items[last], h.tick(last)
	h.items[last] = item{}
	h.items = h.items[:last]
	if h.ties {
		h.ticks = h.ticks[:last]
	}
	if last > 0 {
		h.down(0, moved, tick)
	}
	return true
}

// tick returns that of the item at i; 0 where ticks do not matter.
func (h *lazyHeap) tick(i int) int64 {
	if !h.ties {
		return 0
	}
	return h.ticks[i]
}

// before reports whether the item at i comes before the value.
func (h *lazyHeap) before(i int, at, tick int64) bool {
	if h.items[i].at != at || !h.ties {
		return h.items[i].at < at
	}
	return h.ticks[i] < tick
}

// up puts the item at i, or where it belongs above.
func (h *lazyHeap) up(i int, it item, tick int64) {
	for i > 0 {
		parent := (i - 1) / fan
		if h.before(parent, it.at, tick) {
			break
		}
		h.place(i, h.items[parent], h.tick(parent))
		i = parent
	}
	h.place(i, it, tick)
}

// down puts the item at i, or where it belongs below.
func (h *lazyHeap) down(i int, it item, tick int64) {
	for {
		child := h.firstChild(i)
		if child < 0 || !h.before(child, it.at, tick) {
			break
		}
		h.place(i, h.items[child], h.tick(child))
		i = child
	}
	h.place(i, it, tick)
}

// firstChild returns the child of i that comes first, -1 where it has none.
func (h *lazyHeap) firstChild(i int) int {
	child := fan*i + 1
	if child >= len(h.items) {
		return -1
	}
	for next := child + 1; next < min(fan*i+fan+1, len(h.items)); next++ {
		if h.before(next, h.items[child].at, h.tick(child)) {
			child = next
		}
	}
	return child
}

func (h *lazyHeap) place(i int, it item, tick int64) {
	h.items[i] = it
	if h.ties {
		h.ticks[i] = tick
	}
}
