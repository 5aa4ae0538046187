package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

const (
	// A step of writing the file anew takes no longer, and no more, than that:
	// others wait for it.
	stepBytes = 1 << 20
	stepTime  = 10 * time.Millisecond
	// lastKeys is how many keys may be left for the step in which all has to wait.
	lastKeys = 512
	// rewriteDelay is the time after which a file is written anew that could not be.
	rewriteDelay = 30 * time.Second
)

// rewriting is a data file that is made from memory beside the one in use.
type rewriting struct {
	*data
	path  string
	index *index
	// What is still to be written: the keys that there were at the beginning, and
	// those that transactions have been about since.
	sessions   []memory.Use
	tombstones []backend.Key
	leads      []backend.Key
	requests   []backend.RequestKey
	changed    map[backend.Key]struct{}

	logBytes   int64
	lastNumber uint64
	// led are keys that it says lead to another.
	led map[backend.Key]struct{}
	// synced gets what came of syncing what was written; nil before that.
	synced chan error
	over   bool // it was synced
}

// begin begins to write a file anew.
func (c *committer) begin() error {
	temp := filepath.Join(filepath.Dir(c.path), tempName)
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing what was left over: %w", err)
	}
	options := boltOptions()
	options.NoSync, options.NoGrowSync = true, true
	size := int64(0)
	if !c.full.isOn() {
		size = c.reserveSize()
	}
	next := c.owners
	if !next.is(c.id) {
		next = next.with(c.id)
	}
	made, err := newData(temp, func(tx *bbolt.Tx, meta *bbolt.Bucket) error {
		if size > 0 {
			if err := makeJournal(tx, c.journalSize()); err != nil {
				return err
			}
		}
		if err := meta.Put([]byte(ownersKey), next.value()); err != nil {
			return err
		}
		return putReserve(meta, size)
	}, options)
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	c.grow(made.db)
	c.rewriting = &rewriting{
		data: made, path: temp, index: newIndex(),
		sessions: c.mem.Uses(), tombstones: c.tombstones.keys(), leads: c.graces.olds(), requests: c.mem.RequestKeys(),
		changed: make(map[backend.Key]struct{}), led: make(map[backend.Key]struct{}),
	}
	if c.info != nil {
		err = errors.Join(made.file.Chmod(c.info.Mode().Perm()), likeFile(made.file, c.info))
	}
	if err != nil {
		c.log.Warn("the new data file has not the owner and the mode of the old one", "error", err)
	}
	c.rewriteReserve = size
	return nil
}

// abandon gives a file up that is not finished.
func (c *committer) abandon() {
	a := c.rewriting
	if a == nil {
		return
	}
	c.rewriting = nil
	if a.synced != nil && !a.over {
		if err := <-a.synced; err != nil {
			c.log.Debug("syncing a file that is given up", "error", err)
		}
	}
	a.close()
	_ = os.Remove(a.path) // the next one begins with that
}

// startRewrite begins to write the file anew, beside the transactions.
func (c *committer) startRewrite() bool {
	if err := c.begin(); err != nil {
		c.giveUp(err)
		return false
	}
	c.log.Info("the data file is written anew, smaller", "fileBytes", c.seen.size, "liveBytes", c.liveFile())
	return true
}

func (c *committer) giveUp(err error) {
	c.abandon()
	c.noRewriteBefore = c.queue.clock.now() + rewriteDelay
	c.log.Warn("the data file could not be written anew", "error", err)
}

// continueRewrite takes one step more. It reports whether there is another one to take now.
func (c *committer) continueRewrite() bool {
	more, err := c.step()
	if err != nil {
		if c.data == nil { // the new one has its place, or nobody knows
			c.dropAfter(err)
			return false
		}
		c.giveUp(err)
		return false
	}
	return more
}

// step takes a step of writing the file anew.
func (c *committer) step() (more bool, err error) {
	a := c.rewriting
	defer func() { // a fault in bbolt's memory map
		if p := recover(); p != nil {
			err = asError(p)
		}
	}()
	switch {
	case a.left() > 0 || len(a.changed) > lastKeys:
		return true, c.copySome()
	case a.synced == nil: // without holding up anybody
		a.synced = make(chan error, 1)
		go func() {
			a.synced <- a.file.Sync()
			c.queue.tell()
		}()
		return false, nil
	case !a.over:
		select {
		case err := <-a.synced:
			a.over = true
			return true, err
		default:
			return false, nil
		}
	}
	return false, c.change()
}

func (a *rewriting) left() int {
	return len(a.sessions) + len(a.tombstones) + len(a.leads) + len(a.requests)
}

// copySome writes some of what is left.
func (c *committer) copySome() error {
	a := c.rewriting
	soon := within(stepTime)
	return a.write(c, func(w *writer) {
		for a.left() > 0 && w.added < stepBytes && w.err == nil && soon() {
			switch {
			case len(a.sessions) > 0:
				c.copySession(w, a.sessions[0].Key)
				a.sessions = a.sessions[1:]
			case len(a.tombstones) > 0:
				if t := c.tombstones.of(a.tombstones[0]); t.until() > c.now.Load() {
					w.setTombstone(a.tombstones[0], t)
				}
				a.tombstones = a.tombstones[1:]
			case len(a.leads) > 0:
				a.lead(w, c.graces, a.leads[0])
				a.leads = a.leads[1:]
			default:
				c.copyRequest(w, requestID(a.requests[0]))
				a.requests = a.requests[1:]
			}
		}
		if a.left() == 0 {
			c.copyChanged(w, soon)
		}
	})
}

// copyRequest writes the request of the key, if it has one, expired or not.
func (c *committer) copyRequest(w *writer, id backend.Key) bool {
	r, ok := c.mem.Request(time.UnixMilli(0), requestKeyOf(id))
	if ok {
		w.request(id, &r)
	}
	return ok
}

func (c *committer) copySession(w *writer, key backend.Key) bool {
	sess, err := c.mem.Peek(context.Background(), time.UnixMilli(0), key) // whether it has expired or not
	if err != nil || sess.ID != key.ID {
		return false
	}
	w.session(&sess)
	return true
}

// copyChanged makes the new file what memory is for keys that were changed since
// they were written.
func (c *committer) copyChanged(w *writer, soon func() bool) {
	a := c.rewriting
	for key := range a.changed {
		if w.added >= stepBytes || w.err != nil || !soon() {
			return
		}
		delete(a.changed, key)
		if isRequest(key) {
			if !c.copyRequest(w, key) && (a.index.of(key).live() || w.news[key].at.live()) {
				w.forgetRequest(key)
			}
			continue
		}
		if !c.copySession(w, key) {
			if t := c.tombstones.of(key); t != 0 || a.index.of(key).live() || w.news[key].at.live() {
				w.setTombstone(key, t)
			}
		}
		a.lead(w, c.graces, key)
	}
}

// lead writes where the key leads, or that it does not any more.
func (a *rewriting) lead(w *writer, g *graces, key backend.Key) {
	if to, ok := g.of(key); ok {
		w.lead(key, to)
		a.led[key] = struct{}{}
	} else if _, ok := a.led[key]; ok {
		w.leadNowhere(key)
		delete(a.led, key)
	}
}

// write writes to the new file, in one transaction.
func (a *rewriting) write(c *committer, with func(w *writer)) error {
	tx, err := a.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	w := newWriter(a.lastNumber, a.index, c.graces, c.tombstones, c.values)
	if err := w.use(tx, nil); err != nil {
		return err
	}
	with(w)
	if w.err != nil {
		return w.err
	}
	if err := w.noteTally(); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	for key, n := range w.news {
		a.index.set(key, n.at)
	}
	a.logBytes += w.added
	a.lastNumber = w.next - 1
	c.values = nil
	if cap(w.values) <= 2*batchBytes {
		c.values = w.values
	}
	return nil
}

// note says that a transaction on the file in use was about those keys.
func (a *rewriting) note(w *writer) {
	if a == nil {
		return
	}
	for key := range w.news {
		a.changed[key] = struct{}{}
	}
	for _, key := range w.leads {
		a.changed[key] = struct{}{}
	}
}

// change writes the rest, puts the new file into the place of the old one, and
// goes on with it.
func (c *committer) change() (err error) {
	a := c.rewriting
	slow := c.watch()
	defer c.watched(slow)
	a.db.NoSync, a.db.NoGrowSync = false, false
	if err := a.write(c, func(w *writer) { c.copyChanged(w, func() bool { return true }) }); err != nil {
		return err
	}
	if len(a.changed) > 0 {
		a.db.NoSync, a.db.NoGrowSync = true, true
		a.synced, a.over = nil, false
		return nil // they were larger than they should be: once more
	}
	if err := a.file.Sync(); err != nil { // its size, owner and mode too
		return fmt.Errorf("syncing the new data file: %w", err)
	}
	if a.info, err = a.file.Stat(); err != nil {
		return fmt.Errorf("syncing the new data file: %w", err)
	}
	if err := os.Rename(a.path, c.path); err != nil {
		return fmt.Errorf("putting the data file in its place: %w", err)
	}
	old, before := c.data, c.seen.size
	c.data, c.rewriting = a.data, nil
	c.info, c.index, c.logBytes, c.lastNumber = a.info, a.index, a.logBytes, a.lastNumber
	if !c.owners.is(c.id) {
		c.owners = c.owners.with(c.id)
	}
	c.reserved, c.renamed, c.passEnd, c.retract = c.rewriteReserve, true, 0, nil
	c.unconfirmed, c.seen, c.alarms, c.journal = unconfirmed{}, version{}, 0, journal{}
	if old != nil {
		old.close()
	}
	err = c.syncName()
	if err == nil {
		err = c.settleIn()
	}
	if err != nil {
		c.drop()
		return err
	}
	c.calibrate(c.logBytes, c.seen.used-c.freeInFile()-c.fixed())
	c.log.Info("the data file was written anew", "fileBytes", c.seen.size, "wasBytes", before)
	return nil
}

// settleIn takes the new file for what it is now.
func (c *committer) settleIn() error {
	v, info, err := c.lookAt()
	if err != nil {
		return err
	}
	if !os.SameFile(info, c.data.info) {
		return errReplaced
	}
	c.seen = v
	c.health.fileBytes.Store(v.size)
	c.journal, err = c.data.journal()
	return err
}

// rewriteNow writes the file anew while all wait for that.
func (c *committer) rewriteNow() error {
	c.abandon()
	c.askVolume()
	if err := c.begin(); err != nil {
		return fmt.Errorf("writing the data file anew: %w", err)
	}
	for c.rewriting != nil {
		more, err := c.step()
		if err != nil {
			c.abandon()
			return fmt.Errorf("writing the data file anew: %w", err)
		}
		if a := c.rewriting; a != nil && !more && a.synced != nil && !a.over {
			err := <-a.synced
			a.over = true
			if err != nil {
				c.abandon()
				return fmt.Errorf("writing the data file anew: %w", err)
			}
		}
	}
	return nil
}
