package bolt

import (
	"encoding/binary"

	"go.etcd.io/bbolt"
)

// usesKey is the key in meta of the order of uses, as it was when the file was
// last closed: the numbers of the sessions' last entries, each times two, plus one
// where the session was used since it was created. Reads are not written, so this
// is all that is known of them. What was written later was used later.
const usesKey = "uses"

// servedKey is the key in meta of the sessions that services made and that have no
// user: the numbers of their last entries, as they were when the file was last
// closed.
const servedKey = "served"

// keepUses writes the order of uses, and which sessions services made. Without it the next start goes by deadlines.
func (c *committer) keepUses() (err error) {
	defer func() { // a fault in bbolt's memory map, as in commit
		if p := recover(); p != nil {
			err = asError(p)
		}
	}()
	value, served := []byte{format}, []byte{format}
	for _, use := range c.mem.Uses() {
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
	value, served = seal(value, 0, []byte(usesKey)), seal(served, 0, []byte(servedKey))
	return c.update(func(_ *bbolt.Tx, meta *bbolt.Bucket) error {
		if err := meta.Put([]byte(servedKey), served); err != nil {
			return err
		}
		return meta.Put([]byte(usesKey), value)
	})
}

// parseServed reads what keepUses writes of the sessions that services made.
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
type uses map[uint64]used

type used struct {
	place int64
	again bool
}

// parseUses is the reverse of what keepUses writes.
func parseUses(content []byte) (uses, error) {
	known := make(uses)
	for len(content) > 0 {
		n, size := binary.Uvarint(content)
		if size <= 0 {
			return nil, errContent
		}
		content = content[size:]
		known[n>>1] = used{int64(len(known)) + 1, n&1 != 0}
	}
	return known, nil
}

// apply notes the places of sessions that have one. The others come after them.
func (u uses) apply(sessions []place) {
	for i := range sessions {
		if use, ok := u[sessions[i].number]; ok {
			sessions[i].rank, sessions[i].again = use.place, use.again
		}
	}
}
