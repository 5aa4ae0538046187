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
	// anewDelay is the time after which a file is written anew that could not be.
	anewDelay = 30 * time.Second
)

// anew is a data file that is made from memory beside the one in use.
type anew struct {
	*data
	path  string
	index *index
	// What is still to be written: the keys that there were at the beginning, and
	// those that transactions have been about since.
	sessions []memory.Use
	tombs    []backend.Key
	leads    []backend.Key
	changed  map[backend.Key]struct{}

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
	if !next.is(c.stamp) {
		next = next.with(c.stamp)
	}
	made, err := newData(temp, func(meta *bbolt.Bucket) error {
		if err := meta.Put([]byte(ownersKey), next.value()); err != nil {
			return err
		}
		return putReserve(meta, size)
	}, options)
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	c.grow(made.db)
	c.anew = &anew{
		data: made, path: temp, index: newIndex(),
		sessions: c.mem.Uses(), tombs: c.tombs.keys(), leads: c.graces.olds(),
		changed: make(map[backend.Key]struct{}), led: make(map[backend.Key]struct{}),
	}
	if c.info != nil {
		err = errors.Join(made.file.Chmod(c.info.Mode().Perm()), likeFile(made.file, c.info))
	}
	if err != nil {
		c.log.Warn("the new data file has not the owner and the mode of the old one", "error", err)
	}
	c.reservedAnew = size
	return nil
}

// abandon gives a file up that is not finished.
func (c *committer) abandon() {
	a := c.anew
	if a == nil {
		return
	}
	c.anew = nil
	if a.synced != nil && !a.over {
		if err := <-a.synced; err != nil {
			c.log.Debug("syncing a file that is given up", "error", err)
		}
	}
	a.close()
	_ = os.Remove(a.path) // the next one begins with that
}

// startAnew begins to write the file anew, beside the transactions.
func (c *committer) startAnew() bool {
	if err := c.begin(); err != nil {
		c.giveUp(err)
		return false
	}
	c.log.Info("the data file is written anew, smaller", "fileBytes", c.seen.size, "liveBytes", c.liveFile())
	return true
}

func (c *committer) giveUp(err error) {
	c.abandon()
	c.notAnewBefore = c.queue.clock.now() + anewDelay
	c.log.Warn("the data file could not be written anew", "error", err)
}

// goOn takes one step more. It reports whether there is another one to take now.
func (c *committer) goOn() bool {
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
	a := c.anew
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

func (a *anew) left() int { return len(a.sessions) + len(a.tombs) + len(a.leads) }

// copySome writes some of what is left.
func (c *committer) copySome() error {
	a := c.anew
	soon := within(stepTime)
	return a.write(c, func(w *writer) {
		for a.left() > 0 && w.added < stepBytes && w.err == nil && soon() {
			switch {
			case len(a.sessions) > 0:
				c.copySession(w, a.sessions[0].Key)
				a.sessions = a.sessions[1:]
			case len(a.tombs) > 0:
				if t := c.tombs.of(a.tombs[0]); t.until() > c.now.Load() {
					w.bury(a.tombs[0], t)
				}
				a.tombs = a.tombs[1:]
			default:
				a.lead(w, c.graces, a.leads[0])
				a.leads = a.leads[1:]
			}
		}
		if a.left() == 0 {
			c.copyChanged(w, soon)
		}
	})
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
	a := c.anew
	for key := range a.changed {
		if w.added >= stepBytes || w.err != nil || !soon() {
			return
		}
		delete(a.changed, key)
		if !c.copySession(w, key) {
			if t := c.tombs.of(key); t != 0 || a.index.of(key).live() || w.news[key].at.live() {
				w.bury(key, t)
			}
		}
		a.lead(w, c.graces, key)
	}
}

// lead writes where the key leads, or that it does not any more.
func (a *anew) lead(w *writer, g *graces, key backend.Key) {
	if to, ok := g.of(key); ok {
		w.lead(key, to)
		a.led[key] = struct{}{}
	} else if _, ok := a.led[key]; ok {
		w.leadNowhere(key)
		delete(a.led, key)
	}
}

// write writes to the new file, in one transaction.
func (a *anew) write(c *committer, with func(w *writer)) error {
	tx, err := a.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	w, err := newWriter(tx, a.index, c.graces, c.tombs, c.values)
	if err != nil {
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
func (a *anew) note(w *writer) {
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
	a := c.anew
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
	c.data, c.anew = a.data, nil
	c.info, c.index, c.logBytes, c.lastNumber = a.info, a.index, a.logBytes, a.lastNumber
	if !c.owners.is(c.stamp) {
		c.owners = c.owners.with(c.stamp)
	}
	c.reserved, c.renamed, c.passEnd, c.over = c.reservedAnew, true, 0, nil
	c.doubt, c.seen, c.alarms = doubt{}, version{}, 0
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
	c.calibrate(c.logBytes, c.seen.used-c.freeInFile()-c.reserved)
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
	return nil
}

// writeAnew writes the file anew while all wait for that.
func (c *committer) writeAnew() error {
	c.abandon()
	c.askVolume()
	if err := c.begin(); err != nil {
		return fmt.Errorf("writing the data file anew: %w", err)
	}
	for c.anew != nil {
		more, err := c.step()
		if err != nil {
			c.abandon()
			return fmt.Errorf("writing the data file anew: %w", err)
		}
		if a := c.anew; a != nil && !more && a.synced != nil && !a.over {
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
