package bolt

import (
	"context"
	"fmt"
	"time"

	"session-api/internal/store"
)

// How much goes into one transaction, so that it is over soon.
const (
	batchOps   = 1024
	batchMarks = 2048
	batchBytes = 8 << 20
	// batchTime is how long marked keys may be read from memory for it, which
	// others use as well, and entries be collected.
	batchTime = 100 * time.Millisecond
)

const (
	// spareLog is how much the log may hold beside twice what counts.
	spareLog = 16 << 20
	// collectStep is how much is collected with a transaction, beside twice
	// what the one before has added, and collectBytes what at most. What was
	// added in place of what was collected does not count: where most of that
	// does, each transaction would be twice the one before.
	collectStep  = 1 << 20
	collectBytes = 2 * batchBytes
)

// batch is what one transaction writes.
type batch struct {
	ops   []*operation
	marks int   // how many of the backlog are done
	over  int   // how many of what is to be taken back
	fresh int64 // what it adds to the log that it has not collected
	// gone are keys whose sessions have ended, and that another key led to.
	gone   []store.Key
	writer *writer // nil if it has not come to that
}

// overfull reports whether the log holds much that does not count any more.
func (c *committer) overfull() bool {
	st, err := c.mem.Stats(context.Background(), time.Time{})
	return err == nil && c.logBytes > 2*(st.Bytes+c.buried)+spareLog
}

// commit writes a batch in one transaction.
func (c *committer) commit(b *batch) (err error) {
	slow := newWatch(func() {
		c.stuck.set()
		c.log.Warn("the disk is slow: nothing can be changed until it has written what it has")
	})
	defer func() {
		slow.end()
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
	if err := w.noteTally(); err != nil {
		return err
	}
	slow.again() // what came before was more the processors' work than the disk's
	return tx.Commit()
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
		w.collect(min(2*c.fresh+collectStep, collectBytes), c.now.Load(), within(batchTime), func(key store.Key) {
			c.reconcile(w, b, marked{key: key})
		})
	}
	again := w.added
	b.over = w.takeBack(c.over, c.tombstone)
	soon := within(batchTime)
	for ; b.marks < min(len(c.backlog), batchMarks) && w.added-again < batchBytes && soon(); b.marks++ {
		c.reconcile(w, b, c.backlog[b.marks])
	}
	for _, op := range b.ops {
		op.refused = op.write(w)
	}
	b.fresh = w.added - again
}

// within returns what reports whether there is time left. There is at first.
func within(d time.Duration) func() bool {
	first, taking := true, startClock()
	return func() bool {
		if first {
			first = false
			return true
		}
		return taking.now() <= d
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
		w.bury(m.key, m.tomb.later(tombOf(c.mem.Buried(m.key))))
	case w.index.of(m.key).live():
		w.bury(m.key, tombOf(c.mem.Buried(m.key)))
	default: // a session that has come and gone since the last transaction
		if t := tombOf(c.mem.Buried(m.key)); t.until() > w.buried(m.key).until() {
			w.bury(m.key, t)
		}
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
	c.commits.Add(1)
	if c.failed.clear() {
		c.log.Info("the data file can be written again")
	}
	if c.backlog = c.backlog[b.marks:]; len(c.backlog) == 0 {
		c.backlog = nil
		c.queue.written()
	}
	c.over = c.over[b.over:]
	for _, key := range b.gone {
		c.graces.forget(key)
	}
	for key, n := range b.writer.news {
		c.buried += buriedBytes(key, n.at) - buriedBytes(key, c.index.of(key))
		c.index.set(key, n.at)
	}
	c.fresh = b.fresh
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
