package bolt

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"session-api/internal/store/backend"
)

// volume is what a file system holds.
type volume struct {
	bytes, free int64
	// kind is its name, where its locks may not reach everybody who mounts it.
	kind string
}

const (
	// maxSpare is how much the file may hold beside twice what is live, spareShare
	// the share of the volume that this is at most.
	maxSpare   = 16 << 20
	spareShare = 16
	// The reserve is what lets sessions end on a full volume.
	minReserve   = 128 << 10
	maxReserve   = 512 << 10
	reserveShare = 64
	// tightShare is the share of a volume that is to be free.
	tightShare = 32
	// endsPerPass is how many sessions end on a full volume until their entries are
	// collected.
	endsPerPass = 64
	// entryCost is about what a session takes in the file beside what memory counts,
	// before that is known.
	entryCost = 160
	// requestCost is about what a request takes in the file beside its plan and answer.
	requestCost = 120
	// quiet is how long nothing was written when the file is made smaller than it
	// would have to be.
	quiet = 5 * time.Second
	// growth is by how much a file grows at a time at least.
	growth = 64 << 10
)

// noRoom reports whether an error says that the volume is full, or as good as.
func noRoom(err error) bool {
	if err == nil {
		return false
	}
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) || strings.Contains(err.Error(), full.Error()) { // bbolt does not wrap all
			return true
		}
	}
	return false
}

// spare is how much the file may hold beside twice what is live.
func (c *committer) spare() int64 { return min(maxSpare, c.volume.bytes/spareShare) }

func (c *committer) reserveSize() int64 {
	return min(max(c.volume.bytes/reserveShare, minReserve), c.maxReserve)
}

// askVolume brings up to date what is known of the volume.
func (c *committer) askVolume() {
	v, err := volumeOf(c.dir.path)
	if err != nil {
		return // what was known will do
	}
	c.volume, c.askedVolume = v, c.queue.clock.now()
	c.health.volumeFree.Store(v.free)
}

// keepUp brings it up to date now and then.
func (c *committer) keepUp() {
	if c.queue.clock.now() >= c.askedVolume+lookEvery {
		c.askVolume()
	}
}

// grow lets the file grow in steps that fit the volume.
func (c *committer) grow(db *bbolt.DB) { db.AllocSize = int(max(growth, c.spare()/4)) }

// counted is what memory counts of what is live, tombstones and requests.
func (c *committer) counted() int64 {
	st, err := c.mem.Stats(context.Background(), time.Time{})
	if err != nil {
		return 0
	}
	return st.Bytes + entryCost*st.Entries + c.tombstones.bytes + st.RequestBytes - (backend.RequestOverhead-requestCost)*st.Requests
}

// calibrate notes that so many bytes of the log are what counts now, in a file of
// that size.
func (c *committer) calibrate(log, file int64) {
	c.share, c.fill = 1, 1
	if counted := c.counted(); counted > 0 && log > 0 {
		c.share = float64(log) / float64(counted)
		c.fill = max(1, float64(file)/float64(log))
	}
	if log < growth { // too little to judge by
		c.share, c.fill = 1, 1.2
	}
}

// liveLog is about what of the log counts, liveFile what a file takes that holds
// nothing else.
func (c *committer) liveLog() int64 { return int64(c.share * float64(c.counted())) }

func (c *committer) liveFile() int64 { return int64(c.fill*float64(c.liveLog())) + c.fixed() + growth }

// fixed is what of the file is neither log nor free.
func (c *committer) fixed() int64 { return c.reserved + c.journal.size }

// bound is how large the file may be: less while nothing is written.
func (c *committer) bound() int64 {
	live := c.liveFile()
	if c.queue.clock.now() >= c.wrote+quiet {
		return live + live/2 + c.spare()
	}
	return 2*live + c.spare()
}

// freeInFile is what of the file can be written again.
func (c *committer) freeInFile() int64 {
	st := c.data.db.Stats()
	return int64(st.FreePageN+st.PendingPageN) * c.data.pageSize
}

// fitsTwice reports whether the volume has room for a second file, and more.
func (c *committer) fitsTwice() bool {
	return c.volume.free > c.liveFile()+c.liveFile()/4+c.reserveSize()+c.spare()
}

// tight reports whether the volume has so little room left that what is dead
// should go before it is full.
func (c *committer) tight() bool {
	return c.volume.free+c.freeInFile() < 2*c.reserveSize()+2*max(growth, c.spare()/4)+c.volume.bytes/tightShare
}

// mustCompact reports whether what is dead has to go, in place or with the file,
// before more is written.
func (c *committer) mustCompact() bool {
	if !c.compacting() && c.rewriting == nil || c.full.isOn() || c.data == nil || c.failed.isOn() {
		return false
	}
	c.askVolume()
	if c.rewriting != nil { // which needs what is left
		return c.volume.free < c.liveFile()+c.reserveSize()
	}
	return c.tight()
}

// dead is about how much of the log does not count.
func (c *committer) dead() int64 {
	live := c.liveLog()
	if n := int64(len(c.deferred)); n > 0 { // memory has them, and the file has not
		if st, err := c.mem.Stats(context.Background(), time.Time{}); err == nil && st.Entries > 0 {
			live -= live * min(n, st.Entries) / st.Entries
		}
	}
	return c.logBytes - live
}

// startPass begins to compact the log in place, up to where it ends now.
func (c *committer) startPass() { c.passEnd, c.ended = c.lastNumber+1, 0 }

// compacting reports whether the log is compacted in place.
func (c *committer) compacting() bool { return c.passEnd > 0 }

// endPass notes that what is left of the log counts.
func (c *committer) endPass() {
	c.passEnd = 0
	fill := c.fill
	c.calibrate(c.logBytes, 0)
	c.fill = max(fill, 1)
}

// portion is how much is collected with one transaction: what counts of it must fit
// into pages that are free.
func (c *committer) portion() int64 {
	return min(2*c.fresh+compactStep, compactBytes, max(compactLeast, c.freeInFile()/3))
}

// makeRoom does some of what makes the file smaller. It reports whether there is
// more of that to do at once.
func (c *committer) makeRoom() bool {
	if c.data == nil || c.failed.isOn() {
		return false
	}
	switch {
	case c.rewriting != nil:
		return c.continueRewrite()
	case c.full.isOn():
		return c.makeRoomInFull()
	case c.compacting() || len(c.retract) > 0:
		return false // the log is collected with transactions
	}
	c.askVolume()
	switch tight := c.tight(); {
	case c.seen.size <= c.bound() && !tight:
		return false
	case tight && c.dead() < c.liveLog()/8+growth: // it would gain little
		return false
	case c.queue.clock.now() >= c.noRewriteBefore && c.fitsTwice():
		return c.startRewrite()
	case tight || c.dead() > c.liveLog()/2+growth:
		c.startPass()
		return true
	}
	return false
}

// makeRoomInFull does so while the volume is full, and tries whether it still is.
func (c *committer) makeRoomInFull() bool {
	c.askVolume()
	switch {
	case c.compacting():
		return false
	case !c.worthAPass():
	case c.queue.clock.now() >= c.noRewriteBefore && c.fitsTwice():
		return c.startRewrite()
	default:
		c.startPass()
		return true
	}
	if c.queue.clock.now() < c.triedFull+retryDelay {
		return false
	}
	c.triedFull = c.queue.clock.now()
	c.log.Debug("the volume is still full", "volumeFree", c.volume.free, "freeInFile", c.freeInFile(), "dead", c.dead(),
		"logBytes", c.logBytes, "liveLog", c.liveLog(), "deferred", len(c.deferred), "backlog", len(c.backlog), "ended", c.ended)
	if need := c.reserveSize() + growth; c.volume.free+c.freeInFile() < need {
		return false
	}
	c.full.clear()
	if err := c.claim(); err != nil {
		c.full.set()
		c.dropAfter(err)
		return false
	}
	c.backlog, c.deferred = append(c.backlog, c.deferred...), nil
	c.log.Info("the volume has room again: anything can be changed")
	return true
}

// worthAPass reports whether enough is dead to compact it on a full volume: what
// brings the service back, or sessions could not end any more.
func (c *committer) worthAPass() bool {
	return c.dead() >= max(growth/4, min(c.liveLog()/8, 2*c.reserveSize())) ||
		c.ended >= endsPerPass && c.freeInFile() < c.reserveSize()/2
}

// squeeze is called when a transaction has found no room. From then on only what
// ends sessions is written, and into pages that were kept for that.
func (c *committer) squeeze(b *batch, cause error) error {
	c.cause, c.squeezed = cause, c.queue.clock.now()
	c.abandon()
	if c.full.set() {
		c.askVolume()
		c.log.Error("the volume is full: sessions can end, and nothing else can be changed until there is room",
			"path", c.path, "volumeBytes", c.volume.bytes, "freeBytes", c.volume.free)
	}
	ends := b.ops[:0:0]
	var others []*operation
	for _, op := range b.ops {
		if op.ends {
			ends = append(ends, op)
		} else {
			others = append(others, op)
		}
	}
	c.refuse(others)
	*b = batch{ops: ends}
	return c.commit(b)
}
