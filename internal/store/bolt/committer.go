package bolt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"session-api/internal/store"
	"session-api/internal/store/memory"
)

// How much goes into one transaction, so that it is over soon.
const (
	batchOps   = 1024
	batchMarks = 2048
	batchBytes = 8 << 20
)

const (
	// markDelay is how long marked keys may wait where there is no interval.
	markDelay = 100 * time.Millisecond
	// retryDelay is the time between two tries to write, or the time that a try
	// takes, times retryShare, where that is longer.
	retryDelay = 500 * time.Millisecond
	retryShare = 4
	// maxGather bounds the wait for more operations.
	maxGather = 5 * time.Millisecond
	// spareLog is how much the log may hold beside twice what counts.
	spareLog = 16 << 20
	// collectStep is how much is collected with a transaction, beside twice
	// what the one before has added.
	collectStep = 1 << 20
)

// committer is what writes the file. All but the signals belongs to the one
// goroutine that runs it.
type committer struct {
	queue  *queue
	mem    *memory.Store
	graces *graces
	locks  *keyLocks
	log    *slog.Logger

	db       *bbolt.DB // nil while the file is closed
	path     string
	info     os.FileInfo
	index    *index
	logBytes int64
	added    int64 // by the last transaction
	// now is a time that has come, in ms.
	now atomic.Int64

	// delay is how long marked keys wait; waits says whether they do so even
	// while operations are written.
	delay time.Duration
	waits bool
	flush *time.Timer // nil while no marked key waits
	// late switches behind on, where what was marked is not written after
	// another delay.
	late *time.Timer

	// backlog are keys that were marked, and are not written yet.
	backlog []marked
	values  []byte
	expect  int           // how many operations may come at once
	took    time.Duration // the last commit

	// What writers look at. failed: the last commit has failed; stuck: the
	// present one takes too long; behind: marked keys wait for too long.
	failed, stuck, behind signal

	cause   error // of the last failure
	err     error // of all
	stopped chan struct{}
}

// batch is what one transaction writes.
type batch struct {
	ops   []*operation
	marks int // how many of the backlog are done
	// gone are keys whose sessions have ended, and that another key led to.
	gone   []store.Key
	writer *writer // nil if it has not come to that
}

// run writes until the queue is closed and all is written.
func (c *committer) run() {
	defer close(c.stopped)
	debug.SetPanicOnFault(true) // as far as bbolt does its work on this goroutine
	for c.wait() {
		b := batch{ops: c.queue.takeOps()}
		elapsed := stopwatch()
		err := c.commit(&b)
		c.took = elapsed()
		if !c.settle(&b, err) {
			break
		}
	}
	if c.db != nil {
		c.err = errors.Join(c.err, c.db.Close())
	}
}

// stopwatch returns what tells the time since.
func stopwatch() func() time.Duration {
	began := time.Now() //nolint:forbidigo // how long the disk takes is nothing that sessions go by
	return func() time.Duration {
		return time.Since(began) //nolint:forbidigo // as above
	}
}

// wait returns true when there is something to write, false at the end.
func (c *committer) wait() bool {
	for {
		now := c.queue.look()
		switch {
		case now.closed:
			c.takeMarks()
			return now.ops > 0 || len(c.backlog) > 0
		case c.failed.isOn():
			if c.pause(max(retryDelay, retryShare*c.took)) {
				c.takeMarks()
				return true
			}
			continue
		case c.flushDue(now), now.marks > 0 && now.ops > 0 && !c.waits:
			c.takeMarks()
		}
		if now.ops > 0 {
			c.gather()
			return true
		}
		if len(c.backlog) > 0 || c.overfull() {
			return true
		}
		var flush <-chan time.Time
		if c.flush != nil {
			flush = c.flush.C
		}
		select {
		case <-c.queue.ready:
		case <-flush:
			c.takeMarks()
		}
	}
}

// flushDue reports whether marked keys have waited for long enough.
func (c *committer) flushDue(now state) bool {
	if c.flush == nil {
		if now.marks > 0 {
			c.flush = time.NewTimer(c.delay)
		}
		return false
	}
	select {
	case <-c.flush.C:
		return true
	default:
		return false
	}
}

// pause waits for that long, or until the queue is closed: then it returns
// false. It refuses the operations of writers that have not seen the failure.
func (c *committer) pause(d time.Duration) bool {
	over := time.NewTimer(d)
	defer over.Stop()
	for {
		select {
		case <-over.C:
			return true
		case <-c.queue.ready:
			c.refuse(c.queue.takeOps())
			if c.queue.look().closed {
				return false
			}
		}
	}
}

func (c *committer) takeMarks() {
	if c.flush != nil {
		c.flush.Stop()
		c.flush = nil
	}
	c.backlog = c.queue.takeMarks(c.backlog)
	if c.waits && c.late == nil && len(c.backlog) > 0 {
		set := c.behind.setter()
		c.late = time.AfterFunc(c.delay, func() { set() })
	}
}

// keptUp lets writers go on.
func (c *committer) keptUp() {
	if c.late != nil {
		c.late.Stop()
		c.late = nil
		c.behind.clear()
	}
}

// gather waits a little where more operations are likely to come: those whose
// last one has just been settled make their next one about now, and a
// transaction that starts with the first of them would leave out the others.
func (c *committer) gather() {
	if c.expect < 2 {
		return
	}
	over := time.NewTimer(min(c.took, maxGather))
	defer over.Stop()
	for !c.queue.await(c.expect) {
		select {
		case <-c.queue.ready:
			if c.queue.look().closed {
				return
			}
		case <-over.C:
			return
		}
	}
}

// overfull reports whether the log holds much that does not count any more.
func (c *committer) overfull() bool {
	st, err := c.mem.Stats(context.Background(), time.Time{})
	return err == nil && c.logBytes > 2*st.Bytes+spareLog
}

// commit writes a batch in one transaction.
func (c *committer) commit(b *batch) (err error) {
	slow := time.AfterFunc(patience, c.stall())
	defer func() {
		slow.Stop()
		if c.stuck.clear() {
			c.log.Info("the disk has written what it had")
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
		if err != nil {
			c.drop()
		}
	}()
	if c.db == nil {
		if c.db, err = openData(c.path, c.info); err != nil {
			return err
		}
	}
	tx, err := c.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if b.writer, err = newWriter(tx, c.index, c.graces, c.values); err != nil {
		return err
	}
	w := b.writer
	c.write(w, b)
	c.values = nil
	if cap(w.values) <= 2*batchBytes {
		c.values = w.values
	}
	if w.err != nil {
		return w.err
	}
	if w.added == 0 && w.dropped == 0 && !c.failed.isOn() {
		return nil
	}
	return tx.Commit()
}

// stall returns what tells that the present transaction takes too long.
func (c *committer) stall() func() {
	set := c.stuck.setter()
	return func() {
		if set() {
			c.log.Warn("the disk is slow: nothing can be changed until it has written what it has")
		}
	}
}

// drop closes the file after a failure: what bbolt knows of it may be wrong.
func (c *committer) drop() {
	db := c.db
	c.db = nil
	if db == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("the data file could not be closed", "error", p)
		}
	}()
	_ = db.Close() // it is opened anew
}

// write writes again what would else be lost, then marked keys, then the
// operations: what comes later counts.
func (c *committer) write(w *writer, b *batch) {
	if c.overfull() {
		w.collect(2*c.added+collectStep, c.now.Load(), func(key store.Key) {
			c.reconcile(w, b, marked{key: key})
		})
	}
	for b.marks < len(c.backlog) && b.marks < batchMarks && len(w.values) < batchBytes {
		c.reconcile(w, b, c.backlog[b.marks])
		b.marks++
	}
	for _, op := range b.ops {
		op.refused = op.write(w)
	}
}

// reconcile makes the file what memory is, for one key.
func (c *committer) reconcile(w *writer, b *batch, m marked) {
	sess, err := c.mem.Peek(context.Background(), time.UnixMilli(0), m.key) // whether it has expired or not
	present := err == nil && sess.ID == m.key.ID
	switch {
	case present:
		w.session(&sess)
	case m.unsure:
		w.bury(m.key, m.until)
	case w.index.of(m.key).live():
		w.bury(m.key, 0)
	}
	if (m.unsure || m.led) && !c.graces.leads(m.key) {
		w.leadNowhere(m.key)
	}
	old, until, led := c.graces.to(m.key)
	switch {
	case !led:
	case !present:
		w.leadNowhere(old)
		b.gone = append(b.gone, m.key)
	case m.unsure:
		w.lead(old, grace{m.key, until})
	}
}

// settle does in memory what has been written, and tells the writers. It
// returns false where there is no use in going on.
func (c *committer) settle(b *batch, err error) bool {
	if err != nil {
		return c.fail(b, fmt.Errorf("writing the data file: %w", err))
	}
	if c.failed.clear() {
		c.log.Info("the data file can be written again")
	}
	if c.backlog = c.backlog[b.marks:]; len(c.backlog) == 0 {
		c.backlog = nil
		c.keptUp()
	}
	for _, key := range b.gone {
		c.graces.forget(key)
	}
	for key, n := range b.writer.news {
		c.index.set(key, n.at)
	}
	c.added = b.writer.added
	c.logBytes += b.writer.added - b.writer.dropped
	c.expect = len(b.ops) + c.queue.look().ops
	for _, op := range b.ops {
		err := op.refused
		if err == nil {
			if err = op.apply(); err != nil {
				c.queue.mark(op.keys...)
			}
		}
		c.locks.unlock(op.places)
		op.done <- err
	}
	return true
}

// fail lets all operations fail, those of the batch and those that wait.
func (c *committer) fail(b *batch, err error) bool {
	if !c.failed.isOn() {
		c.failed.set()
		c.log.Error("nothing can be changed until the data file can be written", "error", err)
	}
	if b.writer != nil {
		c.queue.markUnsure(b.writer.news)
	}
	c.cause = err
	c.refuse(b.ops)
	c.refuse(c.queue.takeOps())
	if now := c.queue.look(); now.closed {
		c.err = fmt.Errorf("%d changes are lost: %w", now.marks+len(c.backlog), err)
		return false
	}
	return true
}

// refuse lets operations fail.
func (c *committer) refuse(ops []*operation) {
	for _, op := range ops {
		c.locks.unlock(op.places)
		op.done <- fmt.Errorf("%w: %w", store.ErrReadOnly, c.cause)
	}
}
