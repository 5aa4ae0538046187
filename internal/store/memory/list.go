package memory

import (
	"context"
	"fmt"
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

// start is before every session, and end after all of them.
var (
	start = position{created: math.MaxInt64}
	end   = position{created: math.MinInt64, id: afterIDs}
)

// afterIDs comes after every id.
const afterIDs = "~"

// record returns a record that stands at the position in the indexes, with as
// much of a document as they look at.
func (p position) record(user string) *record {
	return &record{created: p.created, user: user, doc: []byte(`{"id":"` + p.id + `"`)}
}

// List implements backend.Store.
func (s *Store) List(ctx context.Context, now time.Time, q backend.Query) (backend.Page, error) {
	found, next, err := s.page(ctx, now, q)
	if len(found) == 0 {
		return backend.Page{}, err
	}
	page := backend.Page{Sessions: make([]schema.Session, len(found)), Next: next}
	for i, rec := range found {
		page.Sessions[i] = rec.session(string(rec.id()))
	}
	return page, nil
}

// Summaries implements backend.Store.
func (s *Store) Summaries(ctx context.Context, now time.Time, q backend.Query) (backend.SummaryPage, error) {
	found, next, err := s.page(ctx, now, q)
	if len(found) == 0 {
		return backend.SummaryPage{}, err
	}
	page := backend.SummaryPage{Summaries: make([]schema.Summary, len(found)), Next: next}
	for i, rec := range found {
		sess := rec.session(string(rec.id()))
		if page.Summaries[i], err = sess.Summary(); err != nil {
			return backend.SummaryPage{}, fmt.Errorf("%w: %w", backend.ErrUnavailable, err)
		}
	}
	return page, nil
}

// page returns the records of a page, and the cursor of the next one.
func (s *Store) page(ctx context.Context, now time.Time, q backend.Query) (found []*record, next string, err error) {
	r := rangeOf(q.UserID, q.Created, q.OldestFirst)
	limit := max(q.Limit, 1)
	if q.Cursor != "" {
		created, id, err := backend.DecodeCursor(q)
		if err != nil {
			return nil, "", err
		}
		r.after(position{created, id})
	}
	if _, err := s.expireAll(ctx, now.UnixMilli()); err != nil { // as read does
		return nil, "", err
	}
	space := s.namespaces.find(q.Namespace)
	if space == nil {
		return nil, "", nil
	}
	found = make([]*record, 0, min(limit, batch/8))
	for {
		if err := cancelled(ctx); err != nil {
			return nil, "", err
		}
		var last *record
		looked, more := 0, false
		space.scan(r, func(_ *entry, rec *record) bool {
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
		if more {
			end := found[len(found)-1]
			return found, backend.EncodeCursor(q, end.created, string(end.id())), nil
		}
		if looked < batch {
			return found, "", nil
		}
		r.after(position{last.created, string(last.id())})
	}
}
