package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/lazydeadline"
	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// Get implements backend.Store.
func (s *Store) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	sess, err := s.read(ctx, now, key, s.opts.ClientCache)
	if err == nil {
		s.hits.Add(1)
	} else if errors.Is(err, backend.ErrNotFound) {
		s.misses.Add(1)
	}
	return sess, err
}

// Peek implements backend.Store. It always asks the server: it is what changes
// start with.
func (s *Store) Peek(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	return s.read(ctx, now, key, false)
}

// read returns the live session of the key, or the one that its grace leads to.
func (s *Store) read(ctx context.Context, now time.Time, key backend.Key, cached bool) (schema.Session, error) {
	client, err := s.reading(ctx, key.Namespace)
	if err != nil {
		return schema.Session{}, err
	}
	name := s.keys.Session(key)
	if !cached {
		return s.ask(ctx, client, now, key, name)
	}
	late := &lazydeadline.Context{Context: ctx, Timeout: s.opts.Timeout}
	defer late.Release()
	if sess, ok := s.readCached(late, client, now, key, name); ok {
		return sess, nil
	}
	return s.ask(late, client, now, key, name)
}

// ask is read without the cache.
func (s *Store) ask(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key, name string) (schema.Session, error) {
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	st, to, err := s.fetch(ctx, client, now, key, name)
	switch {
	case err != nil:
		return schema.Session{}, err
	case st != nil && !st.Pending:
		return st.Session, nil
	}
	return s.follow(ctx, client, now, key, to)
}

// fetch reads a session that is live or pending, nil if there is none, and
// where the key's grace leads to. That is one round trip.
//
// The commands are cheaper than a script, but no single step: what they return
// may be of two moments. The deadline is read first. So a session that is
// returned was there afterwards. Everything is read again, in one step, where
// that is inconclusive: if the deadline is not one that the session can have by
// itself, or if there was no live session when the deadline was read and there is
// a value now. (It may have been made in the place of a grace.)
func (s *Store) fetch(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key, name string) (*format.Value, string, error) {
	const doing = "reading a session"
	results := client.DoMulti(ctx,
		client.B().Pexpiretime().Key(name).Build().Pin(),
		client.B().Mget().Key(name, format.Grace(name)).Build().Pin())
	deadline, err := results[0].AsInt64()
	if err != nil {
		return nil, "", failed(doing, err)
	}
	values, err := results[1].ToArray()
	if conn.Answered(err, "TRYAGAIN ") {
		return s.fetchAtomically(ctx, client, now, key, name) // the slot is moving
	}
	if err != nil {
		return nil, "", failed(doing, err)
	}
	if len(values) != 2 {
		return nil, "", failed(doing, errors.New("half an answer"))
	}
	value, missing := values[0].ToString() // what is there but no string is missing, too
	to, _ := values[1].ToString()
	if missing != nil && deadline != isAbsent {
		return s.fetchAtomically(ctx, client, now, key, name)
	}
	st, torn, err := s.live(now, key, deadline, value, s.values)
	if torn || err != nil || st == nil && missing == nil {
		return s.fetchAtomically(ctx, client, now, key, name)
	}
	return st, to, nil
}

// fetchAtomically is fetch with everything read in one step, unless the session's
// slot is moving.
func (s *Store) fetchAtomically(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key, name string) (*format.Value, string, error) {
	const doing = "reading a session"
	a, err := s.eval(ctx, client, doing, lua.Call{Script: lua.Read, Keys: []string{name, format.Grace(name)}, Args: []string{millis(now)}})
	if err != nil {
		return nil, "", s.damaged(ctx, key, err)
	}
	// What is still not as it would come about was stored so.
	st, _, err := s.live(now, key, a.Deadline(), a.Text(1), nil)
	return st, a.Text(2), s.damaged(ctx, key, failed(doing, err))
}

// live returns the session of a value, if it is live by its deadline; nil if it
// is not. torn says that the two may not belong together. Where many sessions
// are read once, k is nil.
func (s *Store) live(now time.Time, key backend.Key, deadline int64, value string, k *valueCache) (st *format.Value, torn bool, err error) {
	if deadline == isAbsent || deadline <= now.UnixMilli() && deadline != noExpiry {
		return nil, false, nil
	}
	st = new(format.Value)
	var cached *cachedValue
	if k != nil && deadline != noExpiry {
		cached = k.get(key, value)
	}
	if cached != nil {
		*st = cached.st
	} else {
		if err := s.decode(now, key, deadline, value, st); err != nil {
			return nil, false, err
		}
		if k != nil && !st.Pending && !st.External {
			cached = k.put(key, value, st)
		}
	}
	switch {
	case st.Pending:
		return st, false, nil
	case !st.External:
	case st.Session.Live(now):
		return st, false, nil
	default:
		return nil, false, nil
	}
	end := s.within(st.Session.CreatedAt.UnixMilli(), deadline)
	st.Session.ExpiresAt = time.UnixMilli(end).UTC()
	// A deadline is what it was when the document was written, or what a touch
	// made of it since: now and the idle life at most.
	latest := max(st.Written, now.Add(st.Session.TTL+clockSkew).UnixMilli())
	torn = deadline < st.Written || deadline > latest
	if cached != nil && !torn && cached.deadline.Load() != end {
		cached.deadline.Store(end)
	}
	if end <= now.UnixMilli() && !torn {
		return nil, false, nil
	}
	return st, torn, nil
}

const (
	// isAbsent is what PEXPIRETIME answers for a key that is not there.
	isAbsent = -2
	// noExpiry is what PEXPIRETIME answers for a key that stays.
	noExpiry = -1
	// clockSkew is how far the clocks of instances may be apart without costing
	// a second look.
	clockSkew = time.Second
)

// fetchAll reads sessions, live or pending, nil for those that are not there.
func (s *Store) fetchAll(ctx context.Context, client rueidis.Client, now time.Time, keys []backend.Key) ([]*format.Value, error) {
	const doing = "reading sessions"
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	cmds := make([]rueidis.Completed, 0, 2*len(keys))
	for _, key := range keys {
		name := s.keys.Session(key)
		cmds = append(cmds, client.B().Pexpiretime().Key(name).Build().Pin(), client.B().Get().Key(name).Build().Pin())
	}
	results := client.DoMulti(ctx, cmds...)
	found := make([]*format.Value, len(keys))
	for i, key := range keys {
		deadline, err := results[2*i].AsInt64()
		if err != nil {
			return nil, failed(doing, err)
		}
		value, err := results[2*i+1].ToString()
		if err != nil && !rueidis.IsRedisNil(err) {
			if conn.Answered(err, "WRONGTYPE ") {
				found[i] = &format.Value{Damaged: true}
				continue
			}
			return nil, failed(doing, err)
		}
		if err != nil && deadline != isAbsent {
			continue // it has just expired
		}
		var torn bool
		if found[i], torn, err = s.live(now, key, deadline, value, nil); torn {
			found[i], _, err = s.fetchAtomically(ctx, client, now, key, s.keys.Session(key))
		}
		// What is no session is none to list, and no failure: its entries stay.
		if err = failed(doing, err); errors.Is(err, backend.ErrDamaged) {
			found[i], err = &format.Value{Damaged: true}, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}
