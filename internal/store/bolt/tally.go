package bolt

import "session-api/internal/store/bolt/datafile"

// The numbers of the log's entries follow each other without a gap: each one is one
// more than the last, and entries go at the beginning only. Beside the log's root
// stands which number is the last, and how many there are. That shows what no
// checksum does: that the file was copied while it was written, so that its pages
// are of different moments, and some that are whole are not those that they should
// be.

// tally is what stands there, as the sequence number that bbolt keeps of a bucket:
// the last number in the upper 40 bits, and the lower 24 of how many there are. It is
// 0 where an earlier version has made the file.
type tally uint64

const tallyBits = 24

func tallyOf(last uint64, entries int64) tally {
	return tally(last<<tallyBits | uint64(entries)&(1<<tallyBits-1)) //nolint:gosec // it counts
}

func (t tally) last() uint64 { return uint64(t) >> tallyBits }

// first is the first number that there should be, where the log is not too long.
func (t tally) first() uint64 { return t.last() - uint64(t)&(1<<tallyBits-1) + 1 }

// noteTally notes what the log holds at the end of a transaction.
func (w *writer) noteTally() error {
	t := tallyOf(w.next-1, 0)
	if key, _ := w.log.Cursor().First(); key != nil {
		if first, ok := parseNumber(key); ok {
			t = tallyOf(w.next-1, int64(w.next-first)) //nolint:gosec // it counts
		}
	}
	return w.log.SetSequence(uint64(t))
}

// checkNumbers returns what is wrong with the numbers of the log's entries.
func (c *content) checkNumbers(t tally) error {
	log := content{entries: c.entries - int64(len(c.journal.records)), first: c.first, last: c.last - uint64(len(c.journal.records))}
	return log.check(t)
}

func (c *content) check(t tally) error {
	missing := int64(0)
	if c.entries > 0 {
		missing = int64(c.last-c.first+1) - c.entries //nolint:gosec // entries that there were
	}
	switch {
	case missing > 0:
	case t == 0, t.last() < c.last: // an earlier version has written since
		return nil
	case c.entries == 0 && t == tallyOf(t.last(), 0): // all of them were collected
		return nil
	case c.entries == 0, t.last() > c.last:
		missing = int64(t.last() - c.last) //nolint:gosec // as above
	case t != tallyOf(c.last, c.entries):
		missing = int64(c.first - t.first()) //nolint:gosec // as above
	default:
		return nil
	}
	return datafile.Damaged("%d records are missing; it may have been copied while it was written", missing)
}
