package bolt

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	// dirtyDelay is how long marked keys may wait where there is no interval.
	dirtyDelay = 100 * time.Millisecond
	// retryDelay is the time between two tries to write, or the time that a try
	// takes, times retryShare, where that is longer.
	retryDelay = 500 * time.Millisecond
	retryShare = 4
	// maxGather bounds the wait for more operations.
	maxGather = 10 * time.Millisecond
)

// committer is what writes the file. All but the signals belongs to the one
// goroutine that runs it.
type committer struct {
	queue  *queue
	mem    *overlay
	graces *graces
	locks  *keyLocks
	log    *slog.Logger

	// data is the open file; nil while there is none.
	data *data
	path string
	dir  *directory
	info os.FileInfo
	// id is this process's, owners and reserved are what the file has of them.
	id       ownerID
	owners   owners
	reserved int64
	// seen is how the file was last, touched that its time is another, and alarms how
	// often that meant nothing.
	seen        version
	touched     bool
	alarms      int
	unconfirmed unconfirmed
	// disowned: another process has taken the file.
	disowned atomic.Bool
	// journal is that of the open file. It is not used before noJournalBefore.
	journal         journal
	noJournalBefore time.Duration
	// renamed: the file's name may not be on the disk.
	renamed bool

	index      *index
	tombstones *tombstones
	retract    []uint64 // entries that are to be taken back, see retract
	logBytes   int64
	// lastNumber is that of the last entry.
	lastNumber uint64
	// passEnd is the number below which the log is compacted in place; 0: it is not.
	passEnd uint64
	// rewriting is the file that is to take the place of this one; nil for none.
	rewriting       *rewriting
	rewriteReserve  int64
	noRewriteBefore time.Duration
	// volume is what is known of it. share and fill are what of the counted bytes
	// the log has, and how much longer than that a file is.
	volume      volume
	askedVolume time.Duration
	share, fill float64
	// maxReserve is the most that reserveSize returns.
	maxReserve int64
	// full: the volume is. triedFull is when it was last tried whether it still is.
	full      signal
	triedFull time.Duration
	// squeezed is when there was no room last, ended how many sessions have ended
	// since what is dead was collected.
	squeezed time.Duration
	ended    int
	// wrote is when a transaction was written last.
	wrote    time.Duration
	deferred []dirtyKey
	closing  bool
	health   health

	// tombstone is how long keys stay taken.
	tombstoneTTL time.Duration
	fresh        int64 // what the last transaction has added that is not collected
	// now is a time that has come, in ms.
	now atomic.Int64

	// delay is how long marked keys wait; waits says whether they do so even
	// while operations are written.
	delay time.Duration
	waits bool
	// maxUnwritten is how old a mark may be that is not written; from then on
	// nobody may mark more.
	maxUnwritten time.Duration

	// backlog are keys that were marked, and are not written yet.
	backlog []dirtyKey
	values  []byte
	expect  int           // how many operations may come at once
	took    time.Duration // the last commit
	// least is how long the disk may take at least, usual how long it does.
	least, usual time.Duration

	// What writers look at. failed: the last commit has failed; stuck: the
	// present one takes too long.
	failed, stuck signal

	// progress changes with each batch that is written, and while others are prepared.
	progress atomic.Int64

	cause   error // of the last failure
	err     error // of all
	stopped chan struct{}
}

// run writes until the queue is closed and all is written.
func (c *committer) run() {
	defer close(c.stopped)
	debug.SetPanicOnFault(true) // as far as bbolt does its work on this goroutine
	written := true
	for written && c.wait() {
		var b batch
		if !c.mustCompact() {
			b.ops = c.queue.takeOps()
		}
		taking := startClock()
		err := c.commit(&b)
		if noRoom(err) {
			err = c.squeeze(&b, err)
		}
		c.took = taking.now()
		if written = c.settle(&b, err); written {
			c.makeRoom()
		}
	}
	c.finish(written)
}

// finish closes the file, once more the right one.
func (c *committer) finish(written bool) {
	c.abandon()
	if !written {
		c.drop()
		return
	}
	if c.data != nil {
		if err := c.look(c.seen.txid, false); err != nil {
			c.dropBecause(err)
		}
	}
	if c.data == nil {
		if err := c.reopen(); err != nil {
			c.drop()
			c.err = fmt.Errorf("closing the data file: %w", err)
			return
		}
	}
	if err := c.writeRecency(); err != nil {
		c.log.Warn("which sessions were used last could not be written", "error", err)
	}
	if c.data != nil {
		c.err = errors.Join(c.err, c.data.db.Close())
	}
}

// wait returns true when there is something to write, false at the end.
func (c *committer) wait() bool {
	for {
		now := c.queue.look()
		switch {
		case now.closed:
			c.closing = true
			c.takeDirty()
			c.backlog, c.deferred = append(c.backlog, c.deferred...), nil
			return now.ops > 0 || len(c.backlog) > 0 || len(c.retract) > 0
		case c.failed.isOn():
			if c.pause(max(retryDelay, retryShare*c.took)) {
				c.takeDirty()
				return true
			}
			continue
		case c.due(now) == 0, now.marks > 0 && now.ops > 0 && !c.waits:
			c.takeDirty()
		}
		if now.ops > 0 {
			c.gather()
			return true
		}
		if len(c.backlog) > 0 || len(c.retract) > 0 || c.compacting() {
			return true
		}
		if c.makeRoom() || c.failed.isOn() || c.compacting() || len(c.backlog) > 0 {
			continue
		}
		if c.data == nil || !c.sleep(c.due(now)) {
			return true
		}
	}
}

// never is when there is nothing to flush.
const never = time.Duration(-1)

// due returns in what time marked keys have waited for long enough, 0 if they
// have. They wait for those that were taken before, so that each in its turn
// is known to be written.
func (c *committer) due(now state) time.Duration {
	if now.marks == 0 || len(c.backlog) > 0 {
		return never
	}
	return max(0, now.since+c.delay-c.queue.clock.now())
}

// lookEvery is how often the file is looked at while there is nothing to write.
const lookEvery = time.Second

// sleep waits for that long, or until there may be something new. It reports false
// if the file is not as it should be.
func (c *committer) sleep(d time.Duration) bool {
	if d == never || d > lookEvery {
		d = lookEvery
	}
	over := time.NewTimer(d)
	defer over.Stop()
	select {
	case <-c.queue.ready:
		return true
	case <-over.C:
	}
	if d < lookEvery {
		return true
	}
	c.keepUp()
	if err := c.look(c.seen.txid, false); err != nil {
		c.dropBecause(err)
		return false
	}
	return true
}

// dropBecause closes the file so that it is looked at more closely.
func (c *committer) dropBecause(err error) {
	c.log.Warn("the data file is looked at more closely", "path", c.path, "because", err)
	c.drop()
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

func (c *committer) takeDirty() { c.backlog = c.queue.takeDirty(c.backlog) }

// gather waits a little where more operations are likely to come: those whose
// last one has just been settled make their next one about now, and a
// transaction that starts with the first of them would leave out the others. It
// does not wait for the last of them: these have the processors to themselves
// while the disk is at work.
func (c *committer) gather() {
	goal := c.expect - c.expect/5
	if goal < 2 {
		return
	}
	over := time.NewTimer(min(4*c.took, maxGather))
	defer over.Stop()
	for !c.queue.await(goal) {
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
