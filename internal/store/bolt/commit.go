package bolt

import (
	"context"
	"fmt"
	"slices"
	"time"

	"session-api/internal/store/backend"
)

// How much goes into one transaction, so that it is over soon.
const (
	batchOps   = 1024
	batchDirty = 2048
	batchBytes = 8 << 20
	// batchTime is how long marked keys may be read from memory for it, which
	// others use as well, and entries be collected.
	batchTime = 100 * time.Millisecond
)

// compactStep is how much is collected with a transaction, beside twice what the
// one before has added, compactBytes what at most, and compactLeast what at least.
// What was added in place of what was collected does not count: where most of that
// does, each transaction would be twice the one before.
const (
	compactStep  = 1 << 20
	compactBytes = 2 * batchBytes
	compactLeast = 32 << 10
)

// batch is what one transaction writes.
type batch struct {
	ops     []*operation
	marks   int   // how many of the backlog are done
	retract int   // how many of what is to be taken back
	fresh   int64 // what it adds to the log that it has not collected
	// compacted: all that was to be collected is.
	compacted bool
	// deferred are marks that have to wait until there is room.
	deferred []dirtyKey
	// gone are keys whose sessions have ended, and that another key led to.
	gone   []backend.Key
	writer *writer // nil if it has not come to that
}

// commit writes a batch in one transaction.
func (c *committer) commit(b *batch) (err error) {
	slow := c.watch()
	defer c.watched(slow)
	defer func() {
		if p := recover(); p != nil {
			err = asError(p)
		}
		if err != nil {
			c.drop()
		}
	}()
	if c.data != nil {
		if err := c.look(c.seen.txid, false); err != nil {
			c.dropBecause(err)
		}
	}
	if c.data == nil {
		if err := c.reopen(); err != nil {
			return err
		}
		slow.again() // reading all of it, or writing it anew, takes its time
	}
	w := newWriter(c.lastNumber, c.index, c.graces, c.tombstones, c.values)
	b.writer, c.values = w, nil
	defer func() {
		if cap(w.values) <= 2*batchBytes {
			c.values = w.values
		}
	}()
	inLog := c.compacting() || len(c.retract) > 0 // what is written depends on what is there
	if !inLog {
		c.write(w, b)
		switch {
		case w.err != nil:
			return w.err
		case w.added == 0 && !c.failed.isOn():
			return nil
		case c.journals(w):
			slow.again() // what came before was more the processors' work than the disk's
			return c.writeJournal(w)
		}
	}
	tx, err := c.data.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if number(tx) != c.seen.txid+1 || !c.isOwn(tx) {
		return errForeign
	}
	if err := w.use(tx, c.journal.records); err != nil {
		return err
	}
	if inLog {
		c.write(w, b)
		if w.err != nil {
			return w.err
		}
		if w.added == 0 && w.dropped == 0 && !c.failed.isOn() {
			return nil
		}
	}
	if err := w.noteTally(); err != nil {
		return err
	}
	slow.again()
	taking := startClock()
	id := number(tx)
	c.unconfirmed = unconfirmed{id, w.next - 1, w.news}
	if err := tx.Commit(); err != nil {
		return err
	}
	c.committed(taking.now())
	if err := c.look(id, true); err != nil {
		return err
	}
	c.journal.absorbed()
	return nil
}

// drop closes the file after a failure: what bbolt knows of it may be wrong.
func (c *committer) drop() {
	d := c.data
	if c.data = nil; d != nil {
		d.close()
	}
}

// write writes again what would else be lost, then marked keys, then the
// operations: what comes later counts.
func (c *committer) write(w *writer, b *batch) {
	most, over := batchDirty, batchRetract
	if c.squeezed > 0 && c.queue.clock.now() < c.squeezed+rewriteDelay { // a little fits where much does not
		most, over = batchDirty/16, batchRetract/32
	}
	if c.compacting() {
		b.compacted = w.compact(c.portion(), c.passEnd, c.now.Load(), within(batchTime), func(key backend.Key) {
			c.reconcile(w, b, dirtyKey{key: key})
		})
	}
	again := w.added
	b.retract = w.retract(c.retract[:min(len(c.retract), over)], c.tombstoneTTL)
	soon := within(batchTime)
	for ; b.marks < min(len(c.backlog), most) && w.added-again < batchBytes && soon(); b.marks++ {
		if m := c.backlog[b.marks]; c.full.isOn() && !c.closing && c.isLive(m.key) {
			b.deferred = append(b.deferred, m)
		} else {
			c.reconcile(w, b, m)
		}
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

// isLive reports whether memory has a session or a request of the key, expired or not.
func (c *committer) isLive(key backend.Key) bool {
	if isRequest(key) {
		_, ok := c.mem.Request(time.UnixMilli(0), requestKeyOf(key))
		return ok
	}
	sess, err := c.mem.Peek(context.Background(), time.UnixMilli(0), key)
	return err == nil && sess.ID == key.ID
}

// reconcile makes the file what memory is, for one key.
func (c *committer) reconcile(w *writer, b *batch, m dirtyKey) {
	if isRequest(m.key) {
		c.reconcileRequest(w, m)
		return
	}
	sess, err := c.mem.Peek(context.Background(), time.UnixMilli(0), m.key) // whether it has expired or not
	present := err == nil && sess.ID == m.key.ID
	switch {
	case present:
		w.session(&sess)
	case m.unsure:
		w.setTombstone(m.key, m.tombstone.later(tombstoneOf(c.mem.Buried(m.key))))
	case w.index.of(m.key).live():
		w.setTombstone(m.key, tombstoneOf(c.mem.Buried(m.key)))
	default: // a session that has come and gone since the last transaction
		if t := tombstoneOf(c.mem.Buried(m.key)); t.until() > w.tombstone(m.key).until() {
			w.setTombstone(m.key, t)
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
	c.progress.Add(1)
	c.unconfirmed = unconfirmed{}
	if c.failed.clear() {
		c.log.Info("the data file can be written again")
	}
	c.deferred = append(c.deferred, b.deferred...)
	if c.backlog = c.backlog[b.marks:]; len(c.backlog) == 0 {
		c.backlog = nil
		if len(c.deferred) == 0 {
			c.queue.written()
		}
	}
	if len(c.retract) > 0 { // they are gone where the file was written anew
		c.retract = c.retract[b.retract:]
	}
	for _, key := range b.gone {
		c.graces.forget(key)
	}
	for key, n := range b.writer.news {
		c.index.set(key, n.at)
		if n.at.live() {
			n.tombstone = 0
		} else {
			c.ended++
		}
		c.tombstones.set(key, n.tombstone)
	}
	c.tombstones.sweep(c.now.Load())
	c.rewriting.note(b.writer)
	c.lastNumber = b.writer.next - 1
	c.fresh = b.fresh
	c.logBytes += b.writer.added - b.writer.dropped
	if b.compacted && c.compacting() {
		c.endPass()
	}
	c.expect = len(b.ops) + c.queue.look().ops
	for _, op := range b.ops {
		err := op.refused
		if err == nil {
			if err = op.apply(); err != nil {
				c.queue.mark(op.keys...)
			}
		}
		op.refused = err
	}
	c.health.wrote(c)
	for _, op := range b.ops {
		c.locks.unlock(op.slots)
		op.done <- op.refused
	}
	return true
}

// fail lets all operations fail, those of the batch and those that wait.
func (c *committer) fail(b *batch, err error) bool {
	c.health.failure()
	c.keepUp()
	if !c.failed.isOn() {
		c.failed.set()
		c.log.Error("nothing can be changed until the data file can be written", "error", err)
	}
	c.cause = err
	c.refuse(b.ops)
	c.refuse(c.queue.takeOps())
	if now := c.queue.look(); now.closed {
		c.err = c.lost(err)
		return false
	}
	return true
}

// dropAfter closes the file after a failure that no operation is part of.
func (c *committer) dropAfter(err error) {
	c.drop()
	if noRoom(err) { // the next transaction sees to that
		return
	}
	c.fail(new(batch), fmt.Errorf("writing the data file: %w", err))
}

// lost says what of that which somebody was told of is not in the file.
func (c *committer) lost(cause error) error {
	c.takeDirty()
	told := 0
	for _, m := range slices.Concat(c.backlog, c.deferred) {
		if m.told {
			told++
		}
	}
	if told == 0 {
		c.log.Warn("the data file could not be brought up to date: sessions that were evicted lately are still in it", "error", cause)
		return nil
	}
	return fmt.Errorf("%d changes are lost: %w", told, cause)
}

// refuse lets operations fail.
func (c *committer) refuse(ops []*operation) {
	for _, op := range ops {
		c.locks.unlock(op.slots)
		op.done <- fmt.Errorf("%w: %w", backend.ErrReadOnly, c.cause)
	}
}
