package redis

import (
	"context"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
)

// List implements backend.Store. Every session that is listed was read: the index
// only says where to look.
func (s *Store) List(ctx context.Context, now time.Time, q backend.Query) (page backend.Page, err error) {
	err = s.list(ctx, now, &q, s.fetchAll, func(v *format.Value) error {
		page.Sessions = append(page.Sessions, v.Session)
		return nil
	}, &page.Next)
	if err != nil {
		return backend.Page{}, err
	}
	return page, nil
}

// Summaries implements backend.Store. Of large documents it reads the beginning.
func (s *Store) Summaries(ctx context.Context, now time.Time, q backend.Query) (page backend.SummaryPage, err error) {
	lengths := map[*format.Value]int{}
	read := func(ctx context.Context, client rueidis.Client, now time.Time, keys []backend.Key) ([]*format.Value, error) {
		parts, err := s.readSummaries(ctx, client, now, keys)
		values := make([]*format.Value, len(parts))
		for i, p := range parts {
			values[i] = p.value
			if p.value != nil {
				lengths[p.value] = p.document
			}
		}
		return values, err
	}
	err = s.list(ctx, now, &q, read, func(v *format.Value) error {
		sum, err := v.Session.SummaryWithin(lengths[v])
		page.Summaries = append(page.Summaries, sum)
		return failed("listing sessions", err)
	}, &page.Next)
	if err != nil {
		return backend.SummaryPage{}, err
	}
	return page, nil
}

// fetcher reads sessions, live or pending, nil for those that are not there.
type fetcher func(ctx context.Context, client rueidis.Client, now time.Time, keys []backend.Key) ([]*format.Value, error)

// list calls add with the sessions of a page, and sets the cursor of the next one.
func (s *Store) list(ctx context.Context, now time.Time, q *backend.Query, read fetcher, add func(*format.Value) error, next *string) error {
	writer, err := s.using(ctx, q.Namespace)
	if err != nil {
		return err
	}
	client, err := s.reader()
	if err != nil {
		return err
	}
	in, err := s.scan(client, q, q.Limit+1)
	if err != nil {
		return err
	}
	defer func() { s.removeStale(ctx, writer, in.broken) }()
	var last format.Position
	for n := 0; ; {
		candidates, err := in.next(ctx, min(q.Limit+1-n, maxBatch))
		if err != nil || len(candidates) == 0 {
			return err
		}
		keys := make([]backend.Key, len(candidates))
		for i, c := range candidates {
			keys[i] = c.entries[0].Key
		}
		found, err := read(ctx, client, now, keys)
		if err != nil {
			return err
		}
		for i, c := range candidates {
			if !c.check(now, found[i], q.UserID, in.broken) || !q.Created.Contains(found[i].Session.CreatedAt) {
				continue
			}
			if n == q.Limit {
				*next = encodeCursor(*q, last)
				return nil
			}
			if err := add(found[i]); err != nil {
				return err
			}
			n, last = n+1, c.Position
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
