package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Selection says which sessions of a namespace are meant.
//
// A store has indexes by creation and by user. What else a filter says is looked up
// in the summaries of what these leave, if they leave little: see maxLooked.
type Selection struct {
	Namespace string
	schema.Filter
}

// Sort is the order of a list.
type Sort string

// The orders, as queries spell them. Sessions of one time are in the order of their
// ids, in the reverse order for OldestFirst.
const (
	NewestFirst    Sort = "-createdAt"
	OldestFirst    Sort = "createdAt"
	LastSeenFirst  Sort = "-lastSeenAt"
	ExpiresSoonest Sort = "expiresAt"
)

// Sorts are all of them.
var Sorts = []Sort{NewestFirst, OldestFirst, LastSeenFirst, ExpiresSoonest}

// maxLooked is how many sessions may be looked at for a filter or an order that no
// index has.
const maxLooked = 10_000

// UnsupportedError is returned for a selection that would look at more sessions than
// it selects, and is not limited to few.
type UnsupportedError struct{ Detail string }

func (e *UnsupportedError) Error() string { return "unsupported filter: " + e.Detail }

var (
	errUnbounded  = &UnsupportedError{"Only userId, createdAfter, createdBefore and the orders createdAt and -createdAt are answered from an index. Anything else needs userId, createdAfter or createdBefore beside it."}
	errLooksAtAll = &UnsupportedError{fmt.Sprintf("More than %d sessions match userId, createdAfter and createdBefore, and all of them would have to be looked at for the rest. Narrow these, or leave the rest out.", maxLooked)}
)

// CountError is returned if a selection has not as many sessions as its caller
// expects.
type CountError struct {
	// Count is how many there are, or, if AtLeast is set, how many were found before
	// the search ended.
	Count   int
	AtLeast bool
}

func (e *CountError) Error() string { return fmt.Sprintf("%d sessions match", e.Count) }

// created returns when the selected sessions were created.
func (s *Selection) created() backend.Span {
	return backend.Span{After: s.CreatedAfter, Before: s.CreatedBefore}
}

// isIndexed reports whether indexes say which sessions are selected.
func (s *Selection) isIndexed() bool {
	anyUser := s.Anonymous == nil || !*s.Anonymous && s.UserID != ""
	return s.Role == "" && s.ClientLabel == "" && s.SeenBefore.IsZero() && s.IdleFor == 0 && s.ActiveWithin == 0 && anyUser
}

// bounded returns errUnbounded if sessions may have to be looked at that no index
// limits.
func (s *Selection) bounded(sort Sort) error {
	limited := s.UserID != "" || s.created() != (backend.Span{})
	if limited || s.isIndexed() && (sort == NewestFirst || sort == OldestFirst) {
		return nil
	}
	return errUnbounded
}

// filter is the selection as far as it is indexed.
func (s *Selection) filter() backend.Filter {
	return backend.Filter{Namespace: s.Namespace, UserID: s.UserID, Created: s.created()}
}

// query is a list of what the indexes leave, in one of the orders that they have.
func (s *Selection) query(sort Sort, limit int) backend.Query {
	return backend.Query{
		Namespace: s.Namespace, UserID: s.UserID, Created: s.created(), OldestFirst: sort == OldestFirst, Limit: limit,
	}
}

// Query returns the list that an index has of the selected sessions in that order;
// ok is false if there is none.
func (s *Selection) Query(sort Sort, limit int) (q backend.Query, ok bool) {
	return s.query(sort, limit), s.isIndexed() && (sort == NewestFirst || sort == OldestFirst)
}

// CountSelected returns how many live sessions are selected. Returns an
// *UnsupportedError.
func (s *Sessions) CountSelected(ctx context.Context, now time.Time, sel Selection) (int, error) {
	if sel.isIndexed() {
		return s.backend.Count(ctx, now, sel.filter())
	}
	n := 0
	err := s.eachSelected(ctx, now, sel, sel.query(NewestFirst, schema.MaxBatch), func(*schema.Summary) bool { n++; return true })
	return n, err
}

// SummariesOf returns a page of the summaries of selected sessions. Returns
// backend.ErrBadCursor and an *UnsupportedError. Where the order is that of a time
// that uses move, a session that is used between two pages may be on both, or on
// neither.
func (s *Sessions) SummariesOf(ctx context.Context, now time.Time, sel Selection, sort Sort, limit int, cursor string) (backend.SummaryPage, error) {
	if err := sel.bounded(sort); err != nil {
		return backend.SummaryPage{}, err
	}
	q := sel.query(sort, limit)
	q.Cursor = cursor
	switch {
	case sort == LastSeenFirst || sort == ExpiresSoonest:
		return s.sorted(ctx, now, sel, sort, limit, cursor)
	case sel.isIndexed():
		return s.backend.Summaries(ctx, now, q)
	}
	var page backend.SummaryPage
	q.Limit = schema.MaxBatch
	err := s.eachSelected(ctx, now, sel, q, func(sum *schema.Summary) bool {
		if len(page.Summaries) == limit {
			last := &page.Summaries[limit-1]
			page.Next = backend.EncodeCursor(q, last.CreatedAt.UnixMilli(), last.ID)
			return false
		}
		page.Summaries = append(page.Summaries, *sum)
		return true
	})
	if err != nil {
		return backend.SummaryPage{}, err
	}
	return page, nil
}

// sorted is SummariesOf in an order that no index has.
func (s *Sessions) sorted(ctx context.Context, now time.Time, sel Selection, sort Sort, limit int, cursor string) (backend.SummaryPage, error) {
	at := func(sum *schema.Summary) int64 { // what is smaller comes first
		if sort == LastSeenFirst {
			return -sum.LastSeenAt(now).UnixMilli()
		}
		return sum.ExpiresAt.UnixMilli()
	}
	type place struct {
		at int64
		id string
	}
	compare := func(a, b place) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id)) }
	// The cursor is that of a query which no index answers: no user has such an id.
	own := sel.query(NewestFirst, limit)
	own.UserID, own.Cursor = sel.UserID+"\x00"+string(sort), cursor
	after, begins := place{}, cursor == ""
	if !begins {
		var err error
		if after.at, after.id, err = backend.DecodeCursor(own); err != nil {
			return backend.SummaryPage{}, err
		}
	}
	var all []schema.Summary
	err := s.eachSelected(ctx, now, sel, sel.query(NewestFirst, schema.MaxBatch), func(sum *schema.Summary) bool {
		if begins || compare(place{at(sum), sum.ID}, after) > 0 {
			all = append(all, *sum)
		}
		return true
	})
	if err != nil {
		return backend.SummaryPage{}, err
	}
	slices.SortFunc(all, func(a, b schema.Summary) int { return compare(place{at(&a), a.ID}, place{at(&b), b.ID}) })
	page := backend.SummaryPage{Summaries: all}
	if len(all) > limit {
		page.Summaries = all[:limit]
		page.Next = backend.EncodeCursor(own, at(&all[limit-1]), all[limit-1].ID)
	}
	return page, nil
}

// eachSelected calls yield with the sessions that the query lists and that are
// selected, until it returns false. Returns an *UnsupportedError if it would have to
// look at more than maxLooked, and they are not all selected anyway.
func (s *Sessions) eachSelected(ctx context.Context, now time.Time, sel Selection, q backend.Query, yield func(*schema.Summary) bool) error {
	if err := sel.bounded(NewestFirst); err != nil {
		return err
	}
	return s.eachListed(ctx, now, q, maxLooked, func(sum *schema.Summary) bool { return !sel.Matches(now, sum) || yield(sum) })
}

// eachListed calls yield with the sessions that the query lists, until it returns
// false. Returns errLooksAtAll if there are more after so many.
func (s *Sessions) eachListed(ctx context.Context, now time.Time, q backend.Query, most int, yield func(*schema.Summary) bool) error {
	for looked := 0; ; {
		page, err := s.backend.Summaries(ctx, now, q)
		if err != nil {
			return err
		}
		for i := range page.Summaries {
			if !yield(&page.Summaries[i]) {
				return nil
			}
		}
		if page.Next == "" {
			return nil
		}
		if looked += len(page.Summaries); looked >= most {
			return errLooksAtAll
		}
		q.Cursor = page.Next
	}
}

// FirstSelected returns how many sessions are selected, and the summaries of the
// newest of them, limit at most. Returns an *UnsupportedError.
func (s *Sessions) FirstSelected(ctx context.Context, now time.Time, sel Selection, limit int) (n int, first []schema.Summary, err error) {
	if sel.isIndexed() {
		exact := sel.filter() // what is shown may be what a caller expects to end
		exact.Exact = true
		if n, err = s.backend.Count(ctx, now, exact); err != nil {
			return 0, nil, err
		}
		page, err := s.backend.Summaries(ctx, now, sel.query(NewestFirst, limit))
		return n, page.Summaries, err
	}
	err = s.eachSelected(ctx, now, sel, sel.query(NewestFirst, schema.MaxBatch), func(sum *schema.Summary) bool {
		if n++; n <= limit {
			first = append(first, *sum)
		}
		return true
	})
	return n, first, err
}
