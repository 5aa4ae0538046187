package redis

import (
	"context"
	"time"

	"session-api/internal/store/backend"
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
	writer, err := s.using(ctx, q.Namespace)
	if err != nil {
		return backend.Page{}, err
	}
	client, err := s.reader()
	if err != nil {
		return backend.Page{}, err
	}
	var in *ageScan
	if q.UserID != "" {
		in = s.scanUser(client, q.Namespace, q.UserID, after, q.Limit+1)
	} else {
		in = s.scanNamespace(client, q.Namespace, after, q.Limit+1)
	}
	defer func() { s.removeStale(ctx, writer, in.broken) }()
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
func (c *candidate) check(now time.Time, found *format.Value, user string, gone staleMembers) bool {
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
