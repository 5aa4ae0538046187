package historytest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// client does one thing after the other.
type client struct {
	run      *Run
	number   int
	instance int
	reader   bool
	rand     *rand.Rand
}

// What clients do, of a hundred operations.
var habits = []struct {
	kind  kind
	share int
}{
	{get, 15},
	{peek, 10},
	{create, 7},
	{revive, 8},
	{swap, 22},
	{touch, 8},
	{remove, 5},
	{regenerate, 11},
	{begin, 8},
	{answer, 2},
	{abandon, 4},
}

// together is how many keys a batch has at most.
const together = 3

// life is the idle life of all sessions. Deadlines are far from the time of the
// run, whatever is done.
const life = time.Hour

func (c *client) draw() kind {
	if c.reader {
		return []kind{get, get, get, peek}[c.rand.IntN(4)]
	}
	n := c.rand.IntN(100)
	for _, habit := range habits {
		if n -= habit.share; n < 0 {
			return habit.kind
		}
	}
	return get
}

// act does something to a family.
func (c *client) act(ctx context.Context, f *family) {
	if c.run.load.Hasty > 0 && c.rand.IntN(c.run.load.Hasty) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(c.rand.IntN(2000))*time.Microsecond)
		defer cancel()
	}
	key := c.pick(f)
	switch k := c.draw(); k {
	case get, peek:
		c.read(ctx, f, k, key)
	case create, revive:
		c.create(ctx, f, k, key)
	case begin, answer, abandon:
		c.request(ctx, f, k)
	case touch:
		c.touch(ctx, f, key)
	case remove:
		c.remove(ctx, f, key)
	case swap:
		c.swap(ctx, f, key)
	default:
		c.regenerate(ctx, f, key)
	}
}

// pick returns a known key, the latest more often than others.
func (c *client) pick(f *family) int8 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.rand.IntN(2) == 0 {
		return f.known[len(f.known)-1]
	}
	return f.known[c.rand.IntN(len(f.known))]
}

// pickSeen returns a state that the session of the key has, or had; often it
// looks first.
func (c *client) pickSeen(ctx context.Context, f *family, key int8) (schema.Session, bool) {
	if c.rand.IntN(2) == 0 {
		c.read(ctx, f, peek, key)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := f.seen[key]
	switch {
	case len(seen) == 0:
		return schema.Session{}, false
	case c.rand.IntN(4) > 0:
		return seen[len(seen)-1], true
	}
	return seen[c.rand.IntN(len(seen))], true
}

// expiry returns a deadline: that of Touch may be too late.
func (c *client) expiry(most time.Duration) time.Time {
	return c.run.now.Add(life/2 + time.Duration(c.rand.IntN(int((most-life/2)/time.Second)))*time.Second)
}

func (c *client) create(ctx context.Context, f *family, k kind, key int8) {
	at := c.run.now.Add(-time.Duration(f.born.Add(1)) * time.Millisecond) // no two sessions are as old
	name := f.key(key)
	sess := f.content(schema.Session{
		Namespace: name.Namespace, ID: name.ID, Life: schema.NewLife(), CreatedAt: at, UpdatedAt: at, ExpiresAt: c.expiry(life), Revision: 1, TTL: life,
	})
	_, v := f.version(sess)
	c.do(f, call{kind: k, key: key, new: v}, func(s backend.Store) (schema.Session, error) {
		var opts []backend.CreateOption
		if k == revive {
			opts = append(opts, backend.Revive)
		}
		return schema.Session{}, s.Create(ctx, c.run.now, sess, opts...)
	})
}

// batch returns a few known keys, each once, as often as not only that one.
func (c *client) batch(f *family, key int8) []int8 {
	keys := []int8{key}
	for c.rand.IntN(2) == 0 && len(keys) < together {
		if other := c.pick(f); !slices.Contains(keys, other) {
			keys = append(keys, other)
		}
	}
	return keys
}

// ids returns the ids of the keys.
func (f *family) named(keys []int8) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = f.key(key).ID
	}
	return names
}

// readSeveral reads keys by one call. What it answers of each is as if that alone had
// been read.
func (c *client) readSeveral(ctx context.Context, f *family, k kind, keys []int8) {
	b := backend.Batch{Namespace: schema.DefaultNamespace, IDs: f.named(keys), Budget: math.MaxInt64, Peek: k == peek}
	calls := make([]call, len(keys))
	for i, key := range keys {
		calls[i] = call{kind: k, key: key}
	}
	c.doSeveral(f, calls, func(s backend.Store) ([]backend.Found[schema.Session], error) {
		return s.GetAll(ctx, c.run.now, b)
	})
}

// removeSeveral is remove of several.
func (c *client) removeSeveral(ctx context.Context, f *family, keys []int8) {
	names := f.named(keys)
	calls := make([]call, len(keys))
	for i, key := range keys {
		calls[i] = call{kind: remove, key: key}
	}
	c.doSeveral(f, calls, func(s backend.Store) ([]backend.Found[schema.Session], error) {
		ended, err := s.DeleteAll(ctx, c.run.now, schema.DefaultNamespace, names)
		if err != nil && len(ended) < len(keys) {
			return nil, err
		}
		found := make([]backend.Found[schema.Session], len(ended))
		for i := range ended {
			if !ended[i] {
				found[i].Err = cmp.Or(err, backend.ErrNotFound) // it may have been ended where there is an error
			}
		}
		return found, nil
	})
}

// request makes an attempt at the family's request, or ends the last one, or the one before.
func (c *client) request(ctx context.Context, f *family, k kind) {
	cl := call{kind: k}
	if k == begin {
		cl.attempt = f.attempts.Add(1)
	} else {
		cl.attempt, cl.forget = max(1, f.begun.Load()-int32(c.rand.IntN(4)/3)), c.rand.IntN(2) == 0
	}
	key := backend.RequestKey(sha256.Sum256([]byte(f.key(0).ID)))
	lease := func(attempt int32) time.Time { return c.run.now.Add(life/2 + time.Duration(attempt)*time.Millisecond) }
	r := backend.Request{Plan: strconv.Itoa(int(cl.attempt)), Lease: lease(cl.attempt), ExpiresAt: c.run.now.Add(life)}
	s, leave := c.run.instances[c.instance].enter()
	called := c.run.since()
	res, err := attempt(ctx, s, c.run.now, key, r, cl, lease(0))
	returned := c.run.since()
	if res.failure = failureOf(err); !leave() {
		res.failure = lost
	}
	if res.failure == absurd {
		c.run.complain(err)
	}
	if res.failure != success {
		res = result{failure: res.failure}
	}
	if res.begun {
		f.begun.Store(cl.attempt)
	}
	f.record(c.number, cl, called, res, returned)
	c.run.count(res.failure)
}

// attempt asks the store what the call says. Leases are counted in ms from first on.
func attempt(ctx context.Context, s backend.Store, now time.Time, key backend.RequestKey, r backend.Request, cl call, first time.Time) (result, error) {
	switch cl.kind {
	case answer:
		r.Answer = []byte(r.Plan)
		return result{}, s.AnswerRequest(ctx, now, key, r)
	case abandon:
		return result{}, s.AbandonRequest(ctx, now, key, r.Lease, cl.forget)
	default:
	}
	got, begun, err := s.BeginRequest(ctx, now, key, r)
	number := func(text string) int32 {
		n, _ := strconv.Atoi(text) // what is none is 0
		return int32(n)
	}
	res := result{begun: begun, request: request{plan: number(got.Plan), answer: number(string(got.Answer))}}
	if got.Lease.After(now) {
		res.request.lease = int32(got.Lease.Sub(first) / time.Millisecond)
	}
	return res, err
}

func (c *client) read(ctx context.Context, f *family, k kind, key int8) {
	if keys := c.batch(f, key); len(keys) > 1 {
		c.readSeveral(ctx, f, k, keys)
		return
	}
	name := f.key(key)
	c.do(f, call{kind: k, key: key}, func(s backend.Store) (schema.Session, error) {
		if k == peek {
			return s.Peek(ctx, c.run.now, name)
		}
		return s.Get(ctx, c.run.now, name)
	})
}

func (c *client) touch(ctx context.Context, f *family, key int8) {
	name, until := f.key(key), c.expiry(life+10*time.Minute)
	c.do(f, call{kind: touch, key: key, until: c.run.offset(until)}, func(s backend.Store) (schema.Session, error) {
		return s.Touch(ctx, c.run.now, name, until)
	})
}

func (c *client) remove(ctx context.Context, f *family, key int8) {
	name := f.key(key)
	if keys := c.batch(f, key); len(keys) > 1 {
		c.removeSeveral(ctx, f, keys)
		return
	}
	var revision int64
	if sess, ok := c.pickSeen(ctx, f, key); ok && c.rand.IntN(2) == 0 {
		revision = sess.Revision
	}
	c.do(f, call{kind: remove, key: key, revision: int32(revision)},
		func(s backend.Store) (schema.Session, error) {
			return schema.Session{}, s.Delete(ctx, c.run.now, name, revision)
		})
}

func (c *client) swap(ctx context.Context, f *family, key int8) {
	old, ok := c.pickSeen(ctx, f, key)
	if !ok {
		c.read(ctx, f, peek, key)
		return
	}
	next := old
	next.Revision++
	next.UpdatedAt = c.run.now
	next.ExpiresAt = c.expiry(life)
	next = f.content(next)
	_, was := f.version(old)
	_, v := f.version(next)
	c.do(f, call{kind: swap, key: key, old: was, new: v}, func(s backend.Store) (schema.Session, error) {
		return s.Swap(ctx, c.run.now, old, next)
	})
}

func (c *client) regenerate(ctx context.Context, f *family, key int8) {
	old, ok := c.pickSeen(ctx, f, key)
	if !ok {
		c.read(ctx, f, peek, key)
		return
	}
	to, ok := f.newKey()
	if !ok {
		c.read(ctx, f, get, key)
		return
	}
	next := old.WithID(f.key(to).ID)
	next.ExpiresAt = c.expiry(life)
	_, was := f.version(old)
	_, v := f.version(next)
	var graceUntil time.Time
	grace := c.rand.IntN(3) > 0
	if grace {
		graceUntil = c.run.now.Add(life)
	}
	res := c.do(f, call{kind: regenerate, key: key, old: was, new: v, to: to, grace: grace}, func(s backend.Store) (schema.Session, error) {
		return schema.Session{}, s.Regenerate(ctx, c.run.now, old, next, graceUntil)
	})
	if res.failure == success {
		f.learn(to)
		f.look(to, next)
	}
}

// do does something, and records it.
func (c *client) do(f *family, cl call, ask func(backend.Store) (schema.Session, error)) result {
	return c.doSeveral(f, []call{cl}, func(s backend.Store) ([]backend.Found[schema.Session], error) {
		sess, err := ask(s)
		return []backend.Found[schema.Session]{{Value: sess, Err: err}}, nil
	})[0]
}

// doSeveral does several things by one call of the store, and records each. The error is
// that of all.
func (c *client) doSeveral(f *family, calls []call, ask func(backend.Store) ([]backend.Found[schema.Session], error)) []result {
	s, leave := c.run.instances[c.instance].enter()
	called := make([]time.Duration, len(calls))
	for i, cl := range calls {
		called[i] = c.run.since()
		if cl.kind == get {
			called[i] = f.oldest(c.instance, cl.key, called[i])
		} else if !cl.kind.reads() {
			f.beginWrite(c.instance, called[i], cl.key, cl.to)
		}
	}
	found, err := ask(s)
	returned := c.run.since()
	answered := leave()
	results := make([]result, len(calls))
	for i, cl := range calls {
		one := backend.Found[schema.Session]{Err: err}
		if err == nil {
			one = found[i]
		}
		res := result{failure: failureOf(one.Err)}
		if !answered {
			res.failure = lost
		}
		if res.failure == absurd {
			c.run.complain(one.Err)
		}
		if res.failure == success && one.Value.ID != "" {
			if res.key, res.got = f.version(one.Value); res.key >= 0 {
				f.learn(res.key)
				f.look(res.key, one.Value)
			}
		}
		f.record(c.number, cl, called[i], res, returned)
		c.run.count(res.failure)
		results[i] = res
	}
	return results
}

func failureOf(err error) failure {
	switch {
	case err == nil:
		return success
	case errors.Is(err, backend.ErrUnavailable):
		return lost
	case errors.Is(err, backend.ErrNotFound):
		return notFound
	case errors.Is(err, backend.ErrExists):
		return exists
	case errors.Is(err, backend.ErrConflict):
		return conflict
	case errors.Is(err, backend.ErrEnded):
		return ended
	}
	return absurd
}
