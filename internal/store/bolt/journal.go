package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"go.etcd.io/bbolt"

	"session-api/internal/store/bolt/datafile"
)

// A transaction of bbolt writes each page on the way from the changed leaf to the
// root, and a head, and waits for the disk twice. For a small batch of records that
// is mostly overhead. The journal is an area of the data file that is overwritten in
// place instead: such a batch becomes one frame after the frames before it, and one
// wait for the disk. The next transaction of bbolt moves the records of all frames to
// the log, and the journal starts again at its beginning.
//
// The area is the one value of a bucket of its own, so that bbolt allocates it and
// never writes to it again. Its records have the numbers that follow those of the
// log: a frame whose numbers the log has is stale. A frame is valid as a whole or not
// at all, so that a batch is atomic.

const (
	journalBucket = "journal"
	journalKey    = "journal"

	// The size of the journal is a share of the volume within bounds.
	minJournal   = 16 << 10
	maxJournal   = 256 << 10
	journalShare = 256
	// maxFrame is the size of a batch from which on a transaction costs no more.
	maxFrame = 16 << 10
	// journalPause is how long the journal is not used after a failure to write it.
	journalPause = 30 * time.Second

	// A frame begins with the length of its payload (4 bytes), the number of its
	// records (4), the number of the first one (8), and the checksum of the owner's
	// ID and all but itself (4). In the payload each record has its length (4) in
	// front. Numbers are big endian.
	frameHeader  = 20
	recordHeader = 4
	// lengthBytes are the first of a header, which are never all zero.
	lengthBytes = 4
)

// zeros are what most of a journal is that has not been full yet.
var zeros [512]byte

// journal is the area of the open data file, and what it holds.
type journal struct {
	// off and size are where the area is in the file; size is 0 if there is none.
	off, size int64
	// end is the length of the valid frames.
	end int64
	// records are those of the frames, which the log does not have.
	records [][]byte
}

// fits reports whether a frame of the records is small and fits into the journal.
func (j *journal) fits(records [][]byte) bool {
	n := int64(frameHeader)
	for _, record := range records {
		n += recordHeader + int64(len(record))
	}
	return n <= maxFrame && j.end+n <= j.size
}

// absorbed notes that the log has all records.
func (j *journal) absorbed() { j.end, j.records = 0, nil }

// appendFrame appends a frame of records, the first of which has that number.
func appendFrame(b []byte, owner ownerID, first uint64, records [][]byte) []byte {
	from := len(b)
	b = append(b, make([]byte, frameHeader)...)
	for _, record := range records {
		b = binary.BigEndian.AppendUint32(b, uint32(len(record))) //nolint:gosec // at most maxFrame
		b = append(b, record...)
	}
	header := b[from:]
	binary.BigEndian.PutUint32(header, uint32(len(header)-frameHeader)) //nolint:gosec // as above
	binary.BigEndian.PutUint32(header[4:], uint32(len(records)))        //nolint:gosec // as above
	binary.BigEndian.PutUint64(header[8:], first)
	binary.BigEndian.PutUint32(header[16:], frameSum(owner, header))
	return b
}

func frameSum(owner ownerID, frame []byte) uint32 {
	sum := crc32.Checksum(owner[:], castagnoli)
	sum = crc32.Update(sum, castagnoli, frame[:16])
	return crc32.Update(sum, castagnoli, frame[frameHeader:])
}

// parseFrame returns the number of the first record of the frame at the beginning of
// b, and its length; 0 where there is no valid one.
func parseFrame(b []byte, owner ownerID) (first uint64, length int) {
	if len(b) < frameHeader {
		return 0, 0
	}
	payload := binary.BigEndian.Uint32(b)
	if payload == 0 || uint64(payload) > uint64(len(b)-frameHeader) { //nolint:gosec // positive
		return 0, 0
	}
	frame := b[:frameHeader+int(payload)]
	if binary.BigEndian.Uint32(frame[16:]) != frameSum(owner, frame) {
		return 0, 0
	}
	return binary.BigEndian.Uint64(frame[8:]), len(frame)
}

// eachRecord calls yield with the records of a frame, and with their offsets in it. It
// returns errContent where the frame does not hold as many as it says.
func eachRecord(frame []byte, yield func(n uint64, record []byte, off int) error) error {
	first, count := binary.BigEndian.Uint64(frame[8:]), binary.BigEndian.Uint32(frame[4:])
	off := frameHeader
	for i := range count {
		if len(frame)-off < recordHeader {
			return errContent
		}
		size := binary.BigEndian.Uint32(frame[off:])
		off += recordHeader
		if uint64(size) > uint64(len(frame)-off) { //nolint:gosec // positive
			return errContent
		}
		record := frame[off : off+int(size)]
		if err := yield(first+uint64(i), record, off); err != nil {
			return err
		}
		off += int(size)
	}
	return nil
}

// parseJournal calls yield with the records of the valid frames that follow the record
// with the number last, and returns where these frames end. What follows them is
// stale, or of a write that did not finish. If a frame with a later number is found
// there, one was lost, and the journal is damaged.
func parseJournal(area []byte, owner ownerID, last uint64, yield func(n uint64, record []byte, off int) error) (end int, err error) {
	for {
		first, length := parseFrame(area[end:], owner)
		if length == 0 {
			break
		}
		if first <= last { // nothing was written here since the log has these records
			return end, nil
		}
		if first != last+1 {
			return end, datafile.Damaged("%d records are missing before the journal; it may have been copied while it was written", first-last-1)
		}
		if err := eachRecord(area[end:end+length], func(n uint64, record []byte, off int) error {
			last = n
			return yield(n, record, end+off)
		}); err != nil {
			return end, err
		}
		end += length
	}
	for at := end; at+frameHeader <= len(area); at++ {
		if rest := area[at:]; len(rest) > len(zeros) && bytes.Equal(rest[:len(zeros)], zeros[:]) {
			at += len(zeros) - lengthBytes
			continue
		}
		if n := binary.BigEndian.Uint64(area[at+8:]); n <= last || n > last+uint64(len(area)) {
			continue
		}
		if first, length := parseFrame(area[at:], owner); length > 0 {
			return end, datafile.Damaged("records of the journal before the one with the number %d are missing", first)
		}
	}
	return end, nil
}

func (c *committer) journalSize() int64 {
	return min(max(c.volume.bytes/journalShare, minJournal), maxJournal)
}

// makeJournal makes an empty journal, if the file has none.
func makeJournal(tx *bbolt.Tx, size int64) error {
	if tx.Bucket([]byte(journalBucket)) != nil {
		return nil
	}
	bucket, err := tx.CreateBucket([]byte(journalBucket))
	if err != nil {
		return err
	}
	return bucket.Put([]byte(journalKey), make([]byte, size))
}

// journal finds the area of the journal in the file, which must be an empty one.
func (d *data) journal() (j journal, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = asError(p)
		}
	}()
	root := uint64(0)
	if err := d.db.View(func(tx *bbolt.Tx) error {
		if bucket := tx.Bucket([]byte(journalBucket)); bucket != nil {
			root = uint64(bucket.Root())
		}
		return nil
	}); err != nil || root == 0 {
		return j, err
	}
	info, err := d.file.Stat()
	if err != nil {
		return j, err
	}
	p, ok := datafile.ReadPage(d.file, info.Size(), d.pageSize, root)
	if !ok {
		return j, datafile.Damaged("the page of the journal is another one")
	}
	if e, ok := p.Element(0); ok && string(e.Key) == journalKey {
		j.off, j.size = e.Off, int64(len(e.Value))
	}
	return j, nil
}

// journals reports whether a batch may go to the journal.
func (c *committer) journals(w *writer) bool {
	return w.log == nil && !c.failed.isOn() && !c.full.isOn() && c.owners.is(c.id) &&
		c.queue.clock.now() >= c.noJournalBefore && c.journal.fits(w.pending)
}

// writeJournal writes a batch to the journal.
func (c *committer) writeJournal(w *writer) error {
	frame := appendFrame(nil, c.id, c.lastNumber+1, w.pending)
	c.unconfirmed = unconfirmed{last: w.next - 1, news: w.news}
	taking := startClock()
	_, err := c.data.file.WriteAt(frame, c.journal.off+c.journal.end)
	if err == nil {
		err = c.data.db.Sync() // fdatasync
	}
	if err != nil {
		c.noJournalBefore = c.queue.clock.now() + journalPause
		return err
	}
	c.committed(taking.now())
	if err := c.look(c.seen.txid, true); err != nil {
		return err
	}
	c.journal.end += int64(len(frame))
	return eachRecord(frame, func(_ uint64, record []byte, _ int) error {
		c.journal.records = append(c.journal.records, record)
		return nil
	})
}

// committed notes how long the disk has taken for a batch.
func (c *committer) committed(took time.Duration) {
	c.usually(took)
	c.wrote = c.queue.clock.now()
	c.health.took(took)
}

// journal reads the records of the journal, which follow the last one of the log.
func (c *contentReader) journal() error {
	var area []byte
	var owner ownerID
	last := c.tally.last()
	for _, p := range c.parts {
		if p.area != nil {
			area, c.found = p.area, p.found
		}
		if len(p.owners) > 0 {
			owner = p.owners[0]
		}
		if n := len(p.places); n > 0 {
			last = max(last, p.places[n-1].number)
		}
	}
	if area == nil {
		return nil
	}
	records := &section{of: c}
	end, err := parseJournal(area, owner, last, func(n uint64, record []byte, off int) error {
		c.found.records = append(c.found.records, bytes.Clone(record))
		return records.entry(appendNumber(nil, n), record, c.found.off+int64(off))
	})
	c.found.end = int64(end)
	if len(records.places) > 0 {
		c.parts = append(c.parts, records)
	}
	if errors.Is(err, errSum) || errors.Is(err, errContent) {
		err = datafile.Damaged("journal: %v", err)
	}
	return err
}

// journal notes where the journal is.
func (p *section) journal(key, value []byte, at int64) error {
	if string(key) != journalKey {
		return errContent
	}
	p.area, p.found = bytes.Clone(value), journal{off: at, size: int64(len(value))}
	return nil
}
