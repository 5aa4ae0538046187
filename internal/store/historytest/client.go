package historytest

import (
	"context"
	"errors"
	"math/rand/v2"
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
	{get, 20},
	{peek, 10},
	{create, 8},
	{revive, 10},
	{swap, 25},
	{touch, 10},
	{remove, 5},
	{regenerate, 12},
}

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

func (c *client) read(ctx context.Context, f *family, k kind, key int8) {
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
	s, leave := c.run.instances[c.instance].enter()
	called := c.run.since()
	if cl.kind == get {
		called = f.oldest(c.instance, cl.key, called)
	} else if !cl.kind.reads() {
		f.beginWrite(c.instance, called, cl.key, cl.to)
	}
	sess, err := ask(s)
	returned := c.run.since()
	res := result{failure: failureOf(err)}
	if !leave() {
		res.failure = lost
	}
	if res.failure == absurd {
		c.run.complain(err)
	}
	if res.failure == success && sess.ID != "" {
		if res.key, res.got = f.version(sess); res.key >= 0 {
			f.learn(res.key)
			f.look(res.key, sess)
		}
	}
	f.record(c.number, cl, called, res, returned)
	c.run.count(res.failure)
	return res
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
