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
	space := s.namespaces.find(q.Namespace)
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
