package historytest

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"session-api/internal/schema"
)

// family is one session, with all that Regenerate makes of it, and the history
// of what was done to it. Nothing that is done to another family concerns it.
type family struct {
	run *Run

	// born counts the sessions that were to be created.
	born atomic.Int64
	// attempts counts those at the family's request, begun is the last that has begun.
	attempts, begun atomic.Int32

	mu   sync.Mutex
	ids  []string // by key
	keys map[string]int8
	// known are keys that somebody has been told of, by the end of a
	// Regenerate or by a read. Others are not used for more than a last look.
	known []int8
	// writes are the contents that there are, by number. They start with 1.
	writes []schema.Session
	// seen are the last states that were read or written, by key.
	seen [maxKeys][]schema.Session
	// wrote is when an instance last began to write a key.
	wrote map[place]time.Duration
	// lost is how many changes got no answer.
	lost int
	// halfway: a Regenerate may have taken only the first of two steps.
	halfway bool
	history []porcupine.Operation
}

type place struct {
	instance int
	key      int8
}

// seenKept is how many states of a key are kept: the more, the more conflicts.
const seenKept = 3

func newFamily(r *Run) *family {
	f := &family{run: r, keys: map[string]int8{}, writes: make([]schema.Session, 1), wrote: map[place]time.Duration{}}
	key, _ := f.newKey()
	f.learn(key)
	return f
}

// newKey makes another key. ok is false where there are enough.
func (f *family) newKey() (key int8, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ids) == maxKeys {
		return 0, false
	}
	key = int8(len(f.ids))
	id := schema.NewID()
	f.ids = append(f.ids, id)
	f.keys[id] = key
	return key, true
}

// learn makes a key known.
func (f *family) learn(key int8) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.known, key) {
		f.known = append(f.known, key)
	}
}

func (f *family) key(key int8) schema.Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	return schema.Key{Namespace: schema.DefaultNamespace, ID: f.ids[key]}
}

// worn reports whether the family has a history that is long enough, or too
// uncertain to add to it.
func (f *family) worn() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.history) >= f.run.load.Operations || f.lost >= maxLost
}

// maxLost is how many changes without an answer a history may have: for each,
// the checker looks at every moment from its call on.
const maxLost = 6

// content makes a session one of a new content, as a write.
func (f *family) content(sess schema.Session) schema.Session {
	f.mu.Lock()
	defer f.mu.Unlock()
	number := len(f.writes)
	sections := schema.EmptySections()
	var err error
	if sections.Inputs, err = json.Marshal(content{number}); err == nil {
		sections.Results = f.files(number)
		sess, err = new(schema.Rules).Build(sess, sections)
	}
	if err != nil {
		panic(err) // nothing in it can be refused
	}
	f.writes = append(f.writes, sess)
	return sess
}

// files are the results of a content: as many references as the load asks for,
// one of them its own.
func (f *family) files(number int) []byte {
	if f.run.load.Files == 0 {
		return []byte("{}")
	}
	list := []string{f.ids[0] + "/" + strconv.Itoa(number)}
	for n := 1; n < f.run.load.Files; n++ {
		list = append(list, f.ids[0]+"/steady-"+strconv.Itoa(n))
	}
	results, err := json.Marshal(map[string]any{"analysis": map[string]any{"files": list}})
	if err != nil {
		panic(err) // they are plain strings
	}
	return results
}

type content struct {
	Write int `json:"write"`
}

// version tells what a session is that a store answered, down to the last byte.
func (f *family) version(sess schema.Session) (int8, version) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := version{
		created:  f.run.offset(sess.CreatedAt),
		revision: int32(sess.Revision),
		write:    garbled,
		expires:  f.run.offset(sess.ExpiresAt),
	}
	key, ok := f.keys[sess.ID]
	if !ok {
		return garbled, v
	}
	var c content
	sections, err := sess.Sections()
	if err != nil || json.Unmarshal(sections.Inputs, &c) != nil || c.Write <= 0 || c.Write >= len(f.writes) {
		return key, v
	}
	want := f.writes[c.Write].WithID(sess.ID)
	want.ExpiresAt = sess.ExpiresAt
	if bytes.Equal(want.AppendJSON(nil), sess.AppendJSON(nil)) && want.Revision == sess.Revision &&
		want.CreatedAt.Equal(sess.CreatedAt) && want.TTL == sess.TTL && want.OwnTTL == sess.OwnTTL {
		v.write = int32(c.Write)
	}
	return key, v
}

// look notes a state of a session for those who are going to change it.
func (f *family) look(key int8, sess schema.Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[key] = append(f.seen[key], sess)
	if len(f.seen[key]) > seenKept {
		f.seen[key] = f.seen[key][1:]
	}
}

// never is after everything.
const never = time.Duration(math.MaxInt64)

// record adds an operation to the history.
func (f *family) record(client int, c call, called time.Duration, res result, returned time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if res.failure == lost {
		if c.kind.reads() {
			return // it has told nobody anything
		}
		f.lost++
		returned = never
		if c.kind == regenerate && f.run.load.TwoSteps {
			f.halfway = true
			c.kind = leave
			f.add(client, c, called, res, returned)
			c.kind = arrive
		}
	}
	f.add(client, c, called, res, returned)
}

func (f *family) add(client int, c call, called time.Duration, res result, returned time.Duration) {
	f.history = append(f.history, porcupine.Operation{
		ClientId: client, Input: c, Call: int64(called), Output: res, Return: int64(returned),
	})
}

// beginWrite notes that an instance is going to write a key.
func (f *family) beginWrite(instance int, at time.Duration, keys ...int8) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range keys {
		f.wrote[place{instance, key}] = at
	}
}

// ownWrites is for how long an instance that wrote a key sees it as it is,
// whatever else it remembers.
const ownWrites = 3 * time.Second

// oldest returns the earliest moment of which a Get that is called at that time
// may tell.
func (f *family) oldest(instance int, key int8, called time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, ok := f.wrote[place{instance, key}]; ok && called-at < ownWrites {
		return called
	}
	return max(0, called-f.run.load.Stale)
}
