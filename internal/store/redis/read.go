package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
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
	client, err := s.using(ctx, key.Namespace)
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
// that tells nothing: if the deadline is not one that the session can have by
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
		return s.fetchAtOnce(ctx, client, now, key, name) // the slot is moving
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
		return s.fetchAtOnce(ctx, client, now, key, name)
	}
	st, torn, err := s.live(now, key, deadline, value, s.known)
	if torn || err != nil || st == nil && missing == nil {
		return s.fetchAtOnce(ctx, client, now, key, name)
	}
	return st, to, nil
}

// damaged returns err, and notes the session if that is damaged.
func (s *Store) damaged(ctx context.Context, key backend.Key, err error) error {
	if errors.Is(err, backend.ErrDamaged) {
		s.damage.note(ctx, s.log, key, err)
	}
	return err
}

// fetchAtOnce is fetch with everything read in one step, unless the session's
// slot is moving.
func (s *Store) fetchAtOnce(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key, name string) (*format.Value, string, error) {
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
func (s *Store) live(now time.Time, key backend.Key, deadline int64, value string, k *known) (st *format.Value, torn bool, err error) {
	if deadline == isAbsent || deadline <= now.UnixMilli() && deadline != noExpiry {
		return nil, false, nil
	}
	st = new(format.Value)
	if k == nil || deadline == noExpiry || !k.find(key, value, st) {
		if err := s.decode(now, key, deadline, value, st); err != nil {
			return nil, false, err
		}
		if k != nil && !st.Pending && !st.External {
			k.add(key, value, st)
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

// What a grace's key holds: the successor's id, its birth and the end of the
// grace.
func graceValue(id string, life schema.Life, until time.Time) string {
	return id + " " + life.String() + " " + millis(until)
}

// follow returns the successor that the grace of the old key leads to, if that
// is still the one that it was made for. What the key leads to is looked at once
// more afterwards: if that is still the same, it led there when the successor
// was read. A successor that is pending is published, because whoever is told of
// it may use it at once, and who made it may be slow, or dead.
func (s *Store) follow(ctx context.Context, client rueidis.Client, now time.Time, old backend.Key, to string) (schema.Session, error) {
	for {
		key, birth, ok := parseGrace(now, old.Namespace, to)
		if !ok {
			return schema.Session{}, backend.ErrNotFound // as a rule: no grace
		}
		next, _, err := s.fetch(ctx, client, now, key, s.keys.Session(key))
		if err != nil {
			return schema.Session{}, err
		}
		begun := next != nil && next.Pending && next.Life.String() == birth
		if begun {
			err := s.publishOnce(ctx, client, now, old.ID, key, birth)
			if err != nil && !errors.Is(err, backend.ErrNotFound) {
				return schema.Session{}, err
			}
		}
		was, still, err := s.fetch(ctx, client, now, old, s.keys.Session(old))
		switch {
		case err != nil:
			return schema.Session{}, err
		case was != nil && !was.Pending:
			return was.Session, nil
		case begun || still != to:
			to = still
		case next == nil || next.Pending || next.Life.String() != birth:
			return schema.Session{}, backend.ErrNotFound
		default:
			return next.Session, nil
		}
	}
}

// parseGrace returns where a grace leads at now: the key, and the birth of its
// session.
func parseGrace(now time.Time, namespace, value string) (key backend.Key, birth string, ok bool) {
	parts := strings.Split(value, " ")
	if len(parts) != 3 {
		return backend.Key{}, "", false
	}
	until, err := strconv.ParseInt(parts[2], 10, 64)
	return backend.Key{Namespace: namespace, ID: parts[0]}, parts[1], err == nil && until > now.UnixMilli()
}
