package bolt

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"session-api/internal/store/backend"
)

// operation is a change that is on its way to the disk, and then to memory.
type operation struct {
	// keys are those that it is about. The locks at places are held for it, and
	// released by whoever settles it.
	keys   []backend.Key
	places []int
	// size is about how many bytes it writes.
	size int
	// ends: it ends a session, and may take what is reserved for that.
	ends bool
	// write writes it to a transaction. Its error refuses the operation, which
	// must not have written anything then.
	write func(w *writer) error
	// apply does it in memory. It may be called when the writer has left.
	apply func() error
	// done gets the outcome.
	done chan error

	refused error
}

// mark says that file and memory may differ in a key.
type mark struct {
	// unsure: nobody knows what the file holds. tomb is the tombstone that the
	// key has then, if there is no session of it.
	unsure bool
	tomb   tomb
	// led: the key led to a session, and does not any more.
	led bool
	// told: somebody was told that a change of it is made.
	told bool
}

// marked is a key with its mark.
type marked struct {
	key backend.Key
	mark
}

// queue is what the committer has to do. It never makes anybody wait, because
// keys are marked while a shard of the store in memory is locked.
type queue struct {
	// ready gets a token when there may be something new for the committer.
	ready chan struct{}

	// clock is what the ages of marks go by.
	clock clock

	mu     sync.Mutex
	ops    []*operation
	enough int // how many operations are worth a token
	marks  map[backend.Key]mark
	// since is when the first of the marks was made, taken when the first of
	// those was that the committer has and that are not written; 0 for none.
	since, taken time.Duration
	// done is closed when the committer has written all marks that it had.
	done   chan struct{}
	closed bool

	// oldest is when the first mark was made that is not written; 0 for none.
	oldest atomic.Int64
}

func (q *queue) init() {
	q.clock = startClock()
	q.ready = make(chan struct{}, 1)
	q.marks = make(map[backend.Key]mark)
	q.done = make(chan struct{})
	q.enough = 1
}

func (q *queue) tell() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (q *queue) put(op *operation) {
	q.mu.Lock()
	q.ops = append(q.ops, op)
	enough := len(q.ops) >= q.enough
	q.mu.Unlock()
	if enough {
		q.tell()
	}
}

// withdraw takes an operation back. It reports false if the committer has it.
func (q *queue) withdraw(op *operation) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, waiting := range q.ops {
		if waiting == op {
			q.ops = append(q.ops[:i], q.ops[i+1:]...)
			return true
		}
	}
	return false
}

// age brings oldest up to date.
func (q *queue) age() { q.oldest.Store(int64(cmp.Or(q.taken, q.since))) }

// begin notes when marks are made where there are none yet. It reports whether
// there were none.
func (q *queue) begin(marks int) bool {
	if marks == 0 || q.since > 0 {
		return false
	}
	q.since = q.clock.now()
	q.age()
	return true
}

// mark notes keys of which file and memory may differ.
func (q *queue) mark(keys ...backend.Key) {
	q.mu.Lock()
	first := q.begin(len(keys))
	for _, key := range keys {
		if _, ok := q.marks[key]; !ok {
			q.marks[key] = mark{}
		}
	}
	q.mu.Unlock()
	if first {
		q.tell()
	}
}

// markTold notes a key of which somebody will be told that it is changed.
func (q *queue) markTold(key backend.Key) {
	q.mu.Lock()
	first := q.begin(1)
	m := q.marks[key]
	m.told = true
	q.marks[key] = m
	q.mu.Unlock()
	if first {
		q.tell()
	}
}

// markLed notes keys that led to a session, and do not any more.
func (q *queue) markLed(keys []backend.Key) {
	q.mu.Lock()
	q.begin(len(keys))
	for _, key := range keys {
		m := q.marks[key]
		m.led = true
		q.marks[key] = m
	}
	q.mu.Unlock()
	q.tell()
}

// markUnsure notes what a transaction was about of which nobody knows whether
// it has reached the disk.
func (q *queue) markUnsure(lost map[backend.Key]news) {
	q.mu.Lock()
	q.begin(len(lost))
	for key, n := range lost {
		m := q.marks[key]
		m.unsure, m.tomb = true, m.tomb.later(n.tomb)
		q.marks[key] = m
	}
	q.mu.Unlock()
	q.tell()
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.tell()
}

// state is what the queue holds. since is when the first of the marks was made.
type state struct {
	ops, marks int
	since      time.Duration
	closed     bool
}

func (q *queue) look() state {
	q.mu.Lock()
	defer q.mu.Unlock()
	return state{len(q.ops), len(q.marks), q.since, q.closed}
}

// await sets how many operations are worth a token, and reports whether there
// are as many.
func (q *queue) await(ops int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.enough = ops
	return len(q.ops) >= ops
}

// takeOps takes the first operations, as many as go into one transaction.
func (q *queue) takeOps() []*operation {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.enough = 1
	n, size := 0, 0
	for n < len(q.ops) && n < batchOps && (n == 0 || size+q.ops[n].size <= batchBytes) {
		size += q.ops[n].size
		n++
	}
	ops := q.ops[:n:n]
	if q.ops = q.ops[n:]; len(q.ops) == 0 {
		q.ops = nil
	}
	return ops
}

// takeMarks takes the marked keys, onto those that were taken before.
func (q *queue) takeMarks(before []marked) []marked {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.marks) == 0 {
		return before
	}
	for key, m := range q.marks {
		before = append(before, marked{key, m})
	}
	q.marks = make(map[backend.Key]mark)
	if q.taken == 0 {
		q.taken = q.since
	}
	q.since = 0
	q.age()
	return before
}

// written notes that all marks are that were taken.
func (q *queue) written() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.taken == 0 {
		return
	}
	q.taken = 0
	q.age()
	close(q.done)
	q.done = make(chan struct{})
}

// overdue reports whether a mark is older than that and not written, and what
// is closed when that has changed.
func (q *queue) overdue(age time.Duration) (later <-chan struct{}, overdue bool) {
	if oldest := q.oldest.Load(); oldest == 0 || q.clock.now()-time.Duration(oldest) < age {
		return nil, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	oldest := time.Duration(q.oldest.Load()) // which may just have been written
	return q.done, oldest > 0 && q.clock.now()-oldest >= age
}
