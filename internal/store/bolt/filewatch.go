package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"session-api/internal/store/backend"
	"session-api/internal/store/bolt/datafile"
)

// What is here makes sure that the file which is written is the one that the next
// start will read, and that nobody else has written it.

// What can be wrong with the file that is found.
var (
	errGone     = errors.New("the data file is not where it was")
	errForeign  = errors.New("something else has written the data file")
	errTouched  = errors.New("the data file was changed by something else")
	errDisowned = errors.New("another process has taken the data file")
	errUnlocked = errors.New("the lock of the directory is not where it was")
)

const (
	// foundSuffix is what the name of a file gets that was found in the place of the
	// data file.
	foundSuffix = ".found"
	// falseAlarms is how often a new time of the file may turn out to mean nothing
	// until it is taken for a habit of the file system.
	falseAlarms = 3
)

// version is how a file was when it was looked at last.
type version struct {
	txid, sum uint64
	size      int64
	used      int64 // up to where pages have been used
	modified  time.Time
}

// lookAt reads what there is at the path. It opens it anew: where several machines
// share a file system, that is what makes this one ask the others.
func (c *committer) lookAt() (v version, info os.FileInfo, err error) {
	f, err := openForReading(c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ESTALE):
		return v, nil, errGone
	case err != nil:
		return v, nil, fmt.Errorf("looking at the data file: %w", err)
	}
	defer func() { _ = f.Close() }()
	if info, err = f.Stat(); err != nil {
		return v, nil, fmt.Errorf("looking at the data file: %w", err)
	}
	v.size, v.modified = info.Size(), info.ModTime()
	for _, at := range []int64{0, c.data.pageSize} {
		meta, err := datafile.ReadMeta(f, at)
		if err != nil {
			return v, info, err
		}
		if meta != nil && meta.TxID >= v.txid {
			v.txid, v.sum, v.used = meta.TxID, meta.Checksum, int64(meta.End)*meta.PageSize //nolint:gosec // within the file
		}
	}
	return v, info, nil
}

// look makes sure that the open file is the one at the path, and as it was left: with
// the transaction of that number as its last one. written says that this process has
// written to it since it looked last.
func (c *committer) look(txid uint64, written bool) error {
	v, info, err := c.lookAt()
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return nil // which says nothing about the file
	case err != nil:
		return err
	case !os.SameFile(info, c.data.info):
		return errReplaced
	case !c.dir.isLocked():
		return errUnlocked
	}
	was := c.seen
	switch {
	case v.txid != txid,
		txid == was.txid && was.sum != 0 && v.sum != was.sum:
		return errForeign
	case !written && was.sum != 0 && c.alarms < falseAlarms && (v.size != was.size || !v.modified.Equal(was.modified)):
		c.touched = true
		return errTouched
	}
	c.seen = v
	c.health.fileBytes.Store(v.size)
	return nil
}

// reopen opens the data file, once it is clear that it is the right one and not
// damaged. Otherwise it is written anew: memory has all that is live.
func (c *committer) reopen() error {
	if c.disowned.Load() {
		return errDisowned
	}
	if err := c.dir.restore(); err != nil {
		return err
	}
	info, found := c.inspect()
	switch {
	case errors.Is(found, errDisowned):
		c.disowned.Store(true)
		c.log.Error("another process has taken the data file: nothing is written any more, and nothing can be changed",
			"path", c.path, "then", "stop one of the two; what this one holds can be exported")
		return errDisowned
	case found != nil:
		c.log.Error("the data file is written anew from memory", "path", c.path, "because", found)
		if errors.Is(found, errReplaced) { // it may be the only copy that somebody has
			if err := os.Rename(c.path, c.path+foundSuffix); err == nil {
				c.log.Warn("what was found in the place of the data file has another name now", "path", c.path+foundSuffix)
			}
		}
		return c.rewriteNow()
	}
	opened, err := openData(c.path, info)
	if err != nil {
		return err
	}
	c.data = opened
	c.grow(c.data.db)
	if err := c.claim(); err != nil {
		return err
	}
	return c.syncName()
}

// syncName makes sure that the name of a file that was written anew is on the
// disk.
func (c *committer) syncName() error {
	if !c.renamed {
		return nil
	}
	if err := syncDir(filepath.Dir(c.path)); err != nil {
		return err
	}
	c.renamed = false
	return nil
}

// inspect reads the whole file at the path without bbolt, and says why it is not
// the one that this process has written.
func (c *committer) inspect() (os.FileInfo, error) {
	f, err := openForReading(c.path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errGone, err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errGone, err)
	}
	held, err := readContent(f, time.UnixMilli(c.now.Load()))
	switch {
	case err == nil && held.owners.was(c.id):
		return nil, errDisowned
	case !os.SameFile(info, c.info):
		return nil, errReplaced
	case err != nil:
		return nil, err
	case !held.owners.is(c.id) && !slices.Equal(held.owners, c.owners):
		return nil, fmt.Errorf("%w: it bears the ID of another owner", errForeign)
	case held.txid != c.seen.txid && held.txid != c.unconfirmed.txid:
		return nil, fmt.Errorf("%w: it holds the state of another time", errForeign)
	case held.last < c.lastNumber || held.last > max(c.lastNumber, c.unconfirmed.last):
		return nil, fmt.Errorf("%w: its last record is another one", errForeign)
	}
	if c.seen.sum != 0 && held.txid == c.seen.txid && c.touched {
		c.alarms++ // something moves its time that does not change it
	}
	c.touched = false
	if held.txid == c.unconfirmed.txid || held.last > c.lastNumber { // it was written, though nobody was told so
		c.queue.markUnsure(c.unconfirmed.news)
	}
	c.unconfirmed, c.journal, c.lastNumber = unconfirmed{}, held.journal, held.last
	c.owners, c.reserved = held.owners, held.reserve
	c.seen = version{txid: held.txid}
	return info, nil
}

// unconfirmed is a transaction, or a frame of the journal, that may be in the file or not.
// last is the number of its last record, txid 0 for a frame.
type unconfirmed struct {
	txid, last uint64
	news       map[backend.Key]news
}

// takeOver makes the file that was just opened this process's. Where it has no room
// for that, the committer makes some.
func (c *committer) takeOver() error {
	c.grow(c.data.db)
	err := c.claim()
	if err == nil {
		return c.look(c.seen.txid, true)
	}
	c.drop()
	if !noRoom(err) {
		return fmt.Errorf("writing the data file: %w", err)
	}
	c.full.set()
	c.log.Error("the volume is full: sessions can end, and nothing else can be changed until there is room",
		"path", c.path, "volumeBytes", c.volume.bytes, "freeBytes", c.volume.free)
	return nil
}

// claim writes this process's ownerID to the file, makes the journal, moves what that
// holds to the log, and takes or gives back the reserve.
func (c *committer) claim() error {
	full := c.full.isOn()
	owned, reserved := c.owners.is(c.id), c.reserved > 0
	if owned && reserved != full && (full || len(c.journal.records) == 0 && c.journal.size > 0) {
		return nil
	}
	next := c.owners
	if !owned {
		next = next.with(c.id)
	}
	size := int64(0)
	err := c.update(func(tx *bbolt.Tx, meta *bbolt.Bucket) error {
		if !full {
			if err := makeJournal(tx, c.journalSize()); err != nil {
				return err
			}
		}
		if err := meta.Put([]byte(ownersKey), next.value()); err != nil {
			return err
		}
		if err := meta.Put([]byte(formatKey), formatValue()); err != nil {
			return err
		}
		if full {
			return dropReserve(meta)
		}
		if size = c.reserved; size > 0 {
			return nil
		}
		size = c.reserveSize()
		return putReserve(meta, size)
	})
	if err != nil {
		return err
	}
	c.owners, c.reserved = next, size
	if c.journal.size == 0 {
		c.journal, err = c.data.journal()
	}
	return err
}

// update changes what is in meta, and moves what the journal holds to the log.
func (c *committer) update(change func(tx *bbolt.Tx, meta *bbolt.Bucket) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = asError(p)
		}
	}()
	tx, err := c.data.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		return errForeign
	}
	if err := change(tx, meta); err != nil {
		return err
	}
	// On a full volume this transaction has little room until it has freed the reserve.
	absorb := !c.full.isOn()
	if absorb && len(c.journal.records) > 0 {
		w := newWriter(c.lastNumber, nil, nil, nil, nil)
		if err := w.use(tx, c.journal.records); err != nil {
			return err
		}
		if err := w.noteTally(); err != nil {
			return err
		}
	}
	id := number(tx)
	if id != c.seen.txid+1 {
		return errForeign
	}
	c.unconfirmed = unconfirmed{txid: id}
	if err := tx.Commit(); err != nil {
		return err
	}
	c.unconfirmed = unconfirmed{}
	if err := c.look(id, true); err != nil {
		return err
	}
	if absorb {
		c.journal.absorbed()
	}
	return nil
}

// number is that of a transaction.
func number(tx *bbolt.Tx) uint64 { return uint64(tx.ID()) } //nolint:gosec // positive

// isOwn reports whether this process was the last to take the file that a
// transaction is about.
func (c *committer) isOwn(tx *bbolt.Tx) bool {
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		return false
	}
	content, err := unseal([]byte(ownersKey), meta.Get([]byte(ownersKey)))
	if err != nil {
		return false
	}
	found, err := parseOwners(content)
	return err == nil && found.is(c.id)
}
