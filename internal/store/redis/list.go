package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
)

// List implements backend.Store. Every session that is listed was read: the index
// only says where to look.
func (s *Store) List(ctx context.Context, now time.Time, q backend.Query) (backend.Page, error) {
	after := format.Start
	if q.Cursor != "" {
		var err error
		if after, err = decodeCursor(q); err != nil {
			return backend.Page{}, err
		}
	}
	client, err := s.using(ctx, q.Namespace)
	if err != nil {
		return backend.Page{}, err
	}
	var in *ages
	if q.UserID != "" {
		in = s.agesOfUser(client, q.Namespace, q.UserID, after, q.Limit+1)
	} else {
		in = s.agesOfAll(client, q.Namespace, after, q.Limit+1)
	}
	defer func() { s.heal(ctx, client, in.broken) }()
	var page backend.Page
	for {
		candidates, err := in.next(ctx, min(q.Limit+1-len(page.Sessions), maxBatch))
		if err != nil || len(candidates) == 0 {
			return page, err
		}
		keys := make([]backend.Key, len(candidates))
		for i, c := range candidates {
			keys[i] = c.entries[0].Key
		}
		found, err := s.fetchAll(ctx, client, now, keys)
		if err != nil {
			return backend.Page{}, err
		}
		for i, c := range candidates {
			if !c.check(now, found[i], q.UserID, in.broken) {
				continue
			}
			if len(page.Sessions) == q.Limit {
				last := &page.Sessions[q.Limit-1]
				page.Next = encodeCursor(q, format.Position{Created: clampAge(last.CreatedAt), ID: last.ID})
				return page, nil
			}
			page.Sessions = append(page.Sessions, found[i].Session)
		}
	}
}

// clampAge is a time as an index by age has it.
func clampAge(t time.Time) int64 { return min(max(t.UnixMilli(), 0), format.MaxAge) }

// check reports whether the session that was found, nil for none, is the one
// that the candidate stands for: live, of the user where one is given, of that
// age. Members that lead nowhere go to gone.
func (c *candidate) check(now time.Time, found *format.Value, user string, gone stale) bool {
	if found != nil && (found.Pending || found.Damaged) {
		return false
	}
	fits := found != nil && clampAge(found.Session.CreatedAt) == c.Created && (user == "" || found.Session.UserID == user)
	if found != nil && found.External {
		return fits // whatever its entries are, it has no others
	}
	for _, e := range c.entries {
		own := found != nil && found.Index == e.Version
		if own && !fits || !own && e.Version.Settled(now) {
			gone.add(e.index, e.member)
		}
	}
	return fits
}

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
			found[i], _, err = s.fetchAtOnce(ctx, client, now, key, s.keys.Session(key))
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

func encodeCursor(q backend.Query, last format.Position) string {
	return backend.EncodeCursor(q, last.Created, last.ID)
}

func decodeCursor(q backend.Query) (format.Position, error) {
	created, id, err := backend.DecodeCursor(q)
	if err == nil && (created < 0 || created > format.MaxAge) {
		err = backend.ErrBadCursor
	}
	return format.Position{Created: created, ID: id}, err
}
