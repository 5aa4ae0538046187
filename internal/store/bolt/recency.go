package bolt

import (
	"encoding/binary"

	"go.etcd.io/bbolt"
)

// recencyKey is the key in meta of the order of uses, as it was when the file was
// last closed: the numbers of the sessions' last entries, each times two, plus one
// where the session was used since it was created. Reads are not written, so this
// is all that is known of them. What was written later was used later.
const recencyKey = "uses"

// servedKey is the key in meta of the sessions that services made and that have no
// user: the numbers of their last entries, as they were when the file was last
// closed.
const servedKey = "served"

// writeRecency writes the order of uses, and which sessions services made. Without it the next start goes by deadlines.
func (c *committer) writeRecency() (err error) {
	defer func() { // a fault in bbolt's memory map, as in commit
		if p := recover(); p != nil {
			err = asError(p)
		}
	}()
	value, served := []byte{format}, []byte{format}
	for _, use := range c.mem.Uses() {
		c.progress.Add(1)
		p := c.index.of(use.Key)
		if !p.live() {
			continue
		}
		n := p.number() << 1
		if use.Again {
			n++
		}
		value = binary.AppendUvarint(value, n)
		if use.Served {
			served = binary.AppendUvarint(served, p.number())
		}
	}
	value, served = seal(value, 0, []byte(recencyKey)), seal(served, 0, []byte(servedKey))
	return c.update(func(_ *bbolt.Tx, meta *bbolt.Bucket) error {
		if err := meta.Put([]byte(servedKey), served); err != nil {
			return err
		}
		return meta.Put([]byte(recencyKey), value)
	})
}

// parseServed reads what writeRecency writes of the sessions that services made.
func parseServed(content []byte) ([]uint64, error) {
	var numbers []uint64
	for len(content) > 0 {
		n, size := binary.Uvarint(content)
		if size <= 0 {
			return nil, errContent
		}
		content, numbers = content[size:], append(numbers, n)
	}
	return numbers, nil
}

// applyServed notes which sessions services made: those with these last entries.
func applyServed(numbers []uint64, sessions []place) {
	known := make(map[uint64]struct{}, len(numbers))
	for _, n := range numbers {
		known[n] = struct{}{}
	}
	for i := range sessions {
		_, sessions[i].served = known[sessions[i].number]
	}
}

// uses is an order of uses: the place of the session with that last entry, from 1
// on, and whether it was used since it was created.
type recency map[uint64]use

type use struct {
	place int64
	again bool
}

// parseRecency is the reverse of what writeRecency writes.
func parseRecency(content []byte) (recency, error) {
	ends := 0 // of numbers: their last bytes are below 0x80
	for _, b := range content {
		if b < 0x80 {
			ends++
		}
	}
	known := make(recency, ends)
	for len(content) > 0 {
		n, size := binary.Uvarint(content)
		if size <= 0 {
			return nil, errContent
		}
		content = content[size:]
		known[n>>1] = use{int64(len(known)) + 1, n&1 != 0}
	}
	return known, nil
}

// apply notes the places of sessions that have one. The others come after them.
func (r recency) apply(sessions []place) {
	for i := range sessions {
		if use, ok := r[sessions[i].number]; ok {
			sessions[i].rank, sessions[i].again = use.place, use.again
		}
	}
}
