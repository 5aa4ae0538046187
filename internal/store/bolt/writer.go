package bolt

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// writer appends to the log, in one transaction. After an error it does nothing
// more.
type writer struct {
	// log is nil until use is called: until then entries are kept in pending.
	log        *bbolt.Bucket
	pending    [][]byte
	index      *index
	graces     *graces
	tombstones *tombstones

	// next is the number of the next entry.
	next uint64
	// values holds what is put until the transaction is over.
	values  []byte
	scratch [8]byte
	// added and dropped are by how many bytes the log has grown and shrunk.
	added, dropped int64
	// news are what the index has to learn once all is committed.
	news map[backend.Key]news
	// leads are the keys of which it says where they lead.
	leads []backend.Key
	err   error
}

// news is a key's last entry, which the index does not know yet, and the
// tombstone that the key has if there is no session of it.
type news struct {
	at        position
	tombstone tombstone
}

func newWriter(last uint64, x *index, g *graces, t *tombstones, values []byte) *writer {
	return &writer{next: last + 1, index: x, graces: g, tombstones: t, values: values[:0], news: make(map[backend.Key]news)}
}

// use makes the writer write to the log in the transaction: first the records of the
// journal, then what was put before.
func (w *writer) use(tx *bbolt.Tx, journal [][]byte) error {
	log := tx.Bucket([]byte(logBucket))
	if log == nil {
		return errors.New("the data file has no log")
	}
	log.FillPercent = 1 // what is there stays as it is, until it goes
	number := w.next - uint64(len(w.pending)+len(journal))
	if last, _ := log.Cursor().Last(); last != nil {
		if n, ok := parseNumber(last); !ok || n != number-1 {
			return fmt.Errorf("%w: its log ends with another record", errForeign)
		}
	}
	for _, records := range [][][]byte{journal, w.pending} {
		for _, record := range records {
			if err := log.Put(appendNumber(w.scratch[:0], number), record); err != nil {
				return err
			}
			number++
		}
	}
	w.log, w.pending = log, nil
	return nil
}

// entryBytes is what an entry takes beside its value.
const entryBytes = 24

// put puts the entry that was appended to values from that place on.
func (w *writer) put(from int) {
	key := appendNumber(w.scratch[:0], w.next)
	w.values = seal(w.values, from, key)
	value := w.values[from:len(w.values):len(w.values)]
	w.added += int64(len(value)) + entryBytes
	w.next++
	if w.log == nil {
		w.pending = append(w.pending, value)
		return
	}
	if w.err == nil {
		w.err = w.log.Put(key, value)
	}
}

// session writes a session. What else was known of its key is over.
func (w *writer) session(s *schema.Session) {
	key := s.Key()
	if w.graces.leads(key) {
		w.leadNowhere(key)
	}
	w.news[key] = news{at(w.next, true), w.tombstone(key)}
	from := len(w.values)
	w.values = appendSession(w.values, s)
	w.put(from)
}

// setTombstone writes that there is no session of the key, nor may be as long as the
// tombstone says.
func (w *writer) setTombstone(key backend.Key, t tombstone) {
	w.news[key] = news{at(w.next, false), t}
	from := len(w.values)
	w.values = appendEnded(w.values, key, t)
	w.put(from)
}

// lead writes that the old key leads to another.
func (w *writer) lead(old backend.Key, to grace) {
	w.leads = append(w.leads, old)
	from := len(w.values)
	w.values = appendGrace(w.values, old, to.until, to.to.ID)
	w.put(from)
}

// leadNowhere writes that the key leads to no other any more.
func (w *writer) leadNowhere(old backend.Key) { w.lead(old, grace{}) }

// endLead writes that no key leads to the session of the key any more.
func (w *writer) endLead(key backend.Key) {
	if old, _, ok := w.graces.to(key); ok {
		w.leadNowhere(old)
	}
}

// tombstone returns how long the key must have no session.
func (w *writer) tombstone(key backend.Key) tombstone {
	if n, ok := w.news[key]; ok {
		if n.at.live() {
			return 0
		}
		return n.tombstone
	}
	return w.tombstones.of(key)
}

// compact takes the first entries below a number out of the log, up to about that
// many bytes and as long as there is time, and writes again what still counts. It
// comes first in a transaction: what that writes besides is later than what this
// one writes again. now is a time that has come. It reports whether there are none
// left.
func (w *writer) compact(bytes int64, below uint64, now int64, soon func() bool, write func(key backend.Key)) (all bool) {
	type entry struct {
		number []byte
		size   int64
	}
	var first []entry
	cursor := w.log.Cursor()
	all = true
	for number, value := cursor.First(); number != nil; number, value = cursor.Next() {
		if n, ok := parseNumber(number); !ok || n >= below {
			break
		}
		if bytes <= 0 {
			all = false
			break
		}
		e := entry{append([]byte(nil), number...), int64(len(value)) + entryBytes}
		first = append(first, e)
		bytes -= e.size
	}
	for _, e := range first { // a cursor skips entries when one is deleted under it
		if !soon() || w.err != nil {
			return false
		}
		w.again(e.number, now, write)
		w.dropped += e.size
		if w.err == nil {
			w.err = w.log.Delete(e.number)
		}
	}
	return all
}

// again writes an entry once more, if it still counts.
func (w *writer) again(number []byte, now int64, write func(key backend.Key)) {
	n, _ := parseNumber(number)
	e, err := openEntry(number, w.log.Get(number))
	if err != nil {
		w.fail(err)
		return
	}
	switch e.kind {
	case sessionKind:
		if w.index.of(e.key) == at(n, true) {
			write(e.key)
		}
	case endedKind:
		if w.index.of(e.key) != at(n, false) {
			return
		}
		if t := w.tombstones.of(e.key); t.until() > now {
			w.setTombstone(e.key, t)
		} else {
			w.news[e.key] = news{}
		}
	case requestKind:
		if w.index.of(e.key) == at(n, true) {
			write(e.key)
		}
	case forgottenKind:
		if w.index.of(e.key) == at(n, false) {
			w.news[e.key] = news{}
		}
	case graceKind:
		g, err := e.grace()
		if err == nil && g.until > now && w.graces.is(e.key, g) {
			w.lead(e.key, g)
		}
	}
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}
