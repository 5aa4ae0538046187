package memory

import (
	"context"
	"math"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// batch is how many entries a long operation handles before it lets go of its
// lock and looks at its context.
const batch = 256

// position is a place in the order of a list: that of a session of this age.
// The session need not exist any more.
type position struct {
	created int64
	id      string
}

// start is before every session.
var start = position{created: math.MaxInt64}

// record returns a record that stands at the position in the indexes, with as
// much of a document as they look at.
func (p position) record(user string) *record {
	return &record{created: p.created, user: user, doc: []byte(`{"id":"` + p.id + `"`)}
}

// List implements backend.Store.
func (s *Store) List(ctx context.Context, now time.Time, q backend.Query) (backend.Page, error) {
	after, limit := start, max(q.Limit, 1)
	if q.Cursor != "" {
		var err error
		if after.created, after.id, err = backend.DecodeCursor(q); err != nil {
			return backend.Page{}, err
		}
	}
	if _, err := s.expireAll(ctx, now.UnixMilli()); err != nil { // as read does
		return backend.Page{}, err
	}
	space := s.spaces.find(q.Namespace)
	if space == nil {
		return backend.Page{}, nil
	}
	found := make([]*record, 0, min(limit, batch/8))
	for {
		if err := cancelled(ctx); err != nil {
			return backend.Page{}, err
		}
		var last *record
		looked, more := 0, false
		space.scan(q.UserID, after, func(_ *entry, rec *record) bool {
			if rec.live(now.UnixMilli()) {
				if more = len(found) == limit; more {
					return false
				}
				found = append(found, rec)
			}
			last = rec
			looked++
			return looked < batch
		})
		if looked < batch || more {
			return pageOf(found, more, q), nil
		}
		after = position{last.created, string(last.id())}
	}
}

// pageOf returns the page with the records that were found for the query, and
// whether there are more.
func pageOf(found []*record, more bool, q backend.Query) (page backend.Page) {
	if len(found) == 0 {
		return page
	}
	page.Sessions = make([]schema.Session, len(found))
	for i, rec := range found {
		page.Sessions[i] = rec.session(string(rec.id()))
	}
	if more {
		end := found[len(found)-1]
		page.Next = backend.EncodeCursor(q, end.created, string(end.id()))
	}
	return page
}

// Namespaces implements backend.Store. Among those that it names are some whose
// last session has expired, or is just being created.
func (s *Store) Namespaces(context.Context, time.Time) ([]string, error) {
	return s.spaces.names(), nil
}

// Clear implements backend.Store. It takes the first sessions that match until
// there are none, rather than going through the list once: a session that is
// regenerated meanwhile changes its place in the list, but does not escape.
func (s *Store) Clear(ctx context.Context, now time.Time, f backend.Filter) (int, error) {
	space := s.spaces.find(f.Namespace)
	if space == nil {
		return 0, nil
	}
	ended := 0
	for {
		if err := cancelled(ctx); err != nil {
			return ended, err
		}
		keys := make([]backend.Key, 0, batch)
		space.scan(f.UserID, start, func(_ *entry, rec *record) bool {
			if string(rec.id()) != f.Except {
				keys = append(keys, rec.key())
			}
			return len(keys) < batch
		})
		if len(keys) == 0 {
			return ended, nil
		}
		for _, key := range keys {
			if s.clear(now.UnixMilli(), key, f.UserID) {
				ended++
			}
		}
	}
}

// clear frees the session of the key if it belongs to the user, or to whomever
// where user is empty. It reports whether that ended a live one.
func (s *Store) clear(now int64, key backend.Key, user string) bool {
	hash := s.hash(key)
	sh := s.shardOf(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.table.find(hash, key)
	if e == nil {
		return false
	}
	rec := e.rec.Load()
	if user != "" && rec.user != user {
		return false
	}
	if !rec.live(now) {
		s.end(sh, hash, key, e, backend.EventExpired, now)
		return false
	}
	s.end(sh, hash, key, e, backend.EventDeleted, now)
	return true
}
