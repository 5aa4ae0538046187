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

// keepUses writes the order of uses. Without it the next start goes by deadlines.
func (c *committer) keepUses() (err error) {
	defer func() { // a fault in bbolt's memory map, as in commit
		if p := recover(); p != nil {
			err = asError(p)
		}
	}()
	value := []byte{format}
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
	}
	value = seal(value, 0, []byte(usesKey))
	return c.update(func(meta *bbolt.Bucket) error { return meta.Put([]byte(usesKey), value) })
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
