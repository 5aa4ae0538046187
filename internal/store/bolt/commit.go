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
	batchMarks = 2048
	batchBytes = 8 << 20
	// batchTime is how long marked keys may be read from memory for it, which
	// others use as well, and entries be collected.
	batchTime = 100 * time.Millisecond
)

// collectStep is how much is collected with a transaction, beside twice what the
// one before has added, collectBytes what at most, and collectLeast what at least.
// What was added in place of what was collected does not count: where most of that
// does, each transaction would be twice the one before.
const (
	collectStep  = 1 << 20
	collectBytes = 2 * batchBytes
	collectLeast = 32 << 10
)

// batch is what one transaction writes.
type batch struct {
	ops   []*operation
	marks int   // how many of the backlog are done
	over  int   // how many of what is to be taken back
	fresh int64 // what it adds to the log that it has not collected
	// collected: all that was to be collected is.
	collected bool
	// deferred are marks that have to wait until there is room.
	deferred []marked
	txid     uint64
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
		if err := c.look(0); err != nil {
			c.dropBecause(err)
		}
	}
	if c.data == nil {
		if err := c.reopen(); err != nil {
			return err
		}
		slow.again() // reading all of it, or writing it anew, takes its time
	}
	tx, err := c.data.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if number(tx) != c.seen.txid+1 || !c.isOwn(tx) {
		return errForeign
	}
	if b.writer, err = newWriter(tx, c.index, c.graces, c.tombs, c.values); err != nil {
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
	taking := startClock()
	b.txid = number(tx)
	c.doubt = doubt{b.txid, w.news}
	if err := tx.Commit(); err != nil {
		return err
	}
	took := taking.now()
	c.usually(took)
	c.wrote = c.queue.clock.now()
	c.health.took(took)
	return c.look(b.txid)
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
	most, over := batchMarks, batchOver
	if c.squeezed > 0 && c.queue.clock.now() < c.squeezed+anewDelay { // a little fits where much does not
		most, over = batchMarks/16, batchOver/32
	}
	if c.collecting() {
		b.collected = w.collect(c.portion(), c.passEnd, c.now.Load(), within(batchTime), func(key backend.Key) {
			c.reconcile(w, b, marked{key: key})
		})
	}
	again := w.added
	b.over = w.takeBack(c.over[:min(len(c.over), over)], c.tombstone)
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

// isLive reports whether memory has a session of the key, expired or not.
func (c *committer) isLive(key backend.Key) bool {
	sess, err := c.mem.Peek(context.Background(), time.UnixMilli(0), key)
	return err == nil && sess.ID == key.ID
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
	c.doubt = doubt{}
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
	if len(c.over) > 0 { // they are gone where the file was written anew
		c.over = c.over[b.over:]
	}
	for _, key := range b.gone {
		c.graces.forget(key)
	}
	for key, n := range b.writer.news {
		c.index.set(key, n.at)
		if n.at.live() {
			n.tomb = 0
		} else {
			c.ended++
		}
		c.tombs.set(key, n.tomb)
	}
	c.tombs.sweep(c.now.Load())
	c.anew.note(b.writer)
	c.lastNumber = b.writer.next - 1
	c.fresh = b.fresh
	c.logBytes += b.writer.added - b.writer.dropped
	if b.collected && c.collecting() {
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
		c.locks.unlock(op.places)
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
	c.takeMarks()
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
		c.locks.unlock(op.places)
		op.done <- fmt.Errorf("%w: %w", backend.ErrReadOnly, c.cause)
	}
}
