package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// How much a page of a list holds.
const (
	defaultPage = 50
	maxPage     = 1000
	// pageBytes is how much of documents a page holds, if that is more than one.
	pageBytes = 4 << 20
	// stepBytes bounds what is fetched at once for a page: as many documents as
	// are no more than that even if each is as large as one may be.
	stepBytes = 32 << 20
)

// listParameters are the query parameters of a list, and countParameters those of a
// count.
var (
	listParameters  = append([]string{"namespace", "limit", "cursor", "view", "sort"}, schema.FilterMembers...)
	countParameters = append([]string{"namespace", schema.ActiveWithinMember}, schema.FilterMembers...)
)

// listRequest is what a list is asked for.
type listRequest struct {
	store.Selection
	sort      store.Sort
	limit     int
	cursor    string
	summaries bool // in place of documents
}

// listSessions answers a page of sessions.
func (s *Server) listSessions(w http.ResponseWriter, r *http.Request) error {
	q, err := readListRequest(r)
	if err != nil {
		return err
	}
	if q.summaries {
		page, err := s.Sessions.SummariesOf(r.Context(), s.Now(), q.Selection, q.sort, q.limit, q.cursor)
		if err != nil {
			return err
		}
		withBuffer(func(b []byte) []byte {
			b = s.appendSummaries(append(b, `{"sessions":[],"summaries":`...), page.Summaries)
			b = append(appendNext(b, page.Next), '}')
			writeBody(w, b)
			return b
		})
		return nil
	}
	withBuffer(func(b []byte) []byte {
		var body []byte
		var next string
		if body, next, err = s.appendDocuments(r.Context(), append(b, `{"sessions":[`...), q); err != nil {
			return b
		}
		body = append(appendNext(append(body, ']'), next), '}')
		writeBody(w, body)
		return body
	})
	return err
}

func readListRequest(r *http.Request) (out listRequest, err error) {
	q, err := query(r)
	if err != nil {
		return out, err
	}
	if out.Selection, err = selection(q, schema.FilterMembers); err != nil {
		return out, err
	}
	if out.limit, out.cursor, err = pageParameters(q); err != nil {
		return out, err
	}
	sort, err := singleValue(q, "sort", string(store.NewestFirst))
	if err != nil {
		return out, err
	}
	if out.sort = store.Sort(sort); !slices.Contains(store.Sorts, out.sort) {
		return out, &problem{codeInvalidQuery, "sort is -createdAt, createdAt, -lastSeenAt or expiresAt."}
	}
	view, err := singleValue(q, "view", "full")
	if err != nil {
		return out, err
	}
	if out.summaries = view == "summary"; !out.summaries && view != "full" {
		return out, &problem{codeInvalidQuery, "view is full or summary."}
	}
	return out, nil
}

// selection reads which sessions a request is about. members are those of the filter
// that it may have.
func selection(q url.Values, members []string) (sel store.Selection, err error) {
	if sel.Namespace, err = namespace(q); err != nil {
		return sel, err
	}
	if _, err = userID(q); err != nil {
		return sel, err
	}
	for _, name := range members {
		value, err := singleValue(q, name, "")
		if err != nil {
			return sel, err
		}
		if !q.Has(name) {
			continue
		}
		if wrong, _ := sel.Set(name, value); wrong != "" {
			return sel, &problem{codeInvalidQuery, name + " " + wrong + "."}
		}
	}
	if wrong := sel.Contradiction(); wrong != "" {
		return sel, &problem{codeInvalidQuery, wrong}
	}
	return sel, nil
}

// pageParameters reads how long a page is, and which.
func pageParameters(q url.Values) (limit int, cursor string, err error) {
	if limit, err = intParameter(q, "limit", defaultPage, 1, maxPage); err != nil {
		return 0, "", err
	}
	if cursor, err = singleValue(q, "cursor", ""); err == nil && cursor == "" && q.Has("cursor") {
		err = backend.ErrBadCursor
	}
	return limit, cursor, err
}

// appendDocuments appends the documents of a page to dst, commas between them, and
// returns the cursor of the page after it.
func (s *Server) appendDocuments(ctx context.Context, dst []byte, q listRequest) (_ []byte, next string, err error) {
	if list, ok := q.Query(q.sort, q.limit); ok {
		list.Cursor = q.cursor
		return s.appendPage(ctx, dst, list)
	}
	now, begin := s.Now(), len(dst)
	page, err := s.Sessions.SummariesOf(ctx, now, q.Selection, q.sort, q.limit, q.cursor)
	if err != nil {
		return nil, "", err
	}
	ids := make([]string, len(page.Summaries))
	for i := range page.Summaries {
		ids[i] = page.Summaries[i].ID
	}
	found, err := s.Sessions.GetAll(ctx, now, backend.Batch{Namespace: q.Namespace, IDs: ids, Budget: pageBytes, Peek: true})
	if err != nil {
		return nil, "", err
	}
	for i := range found {
		switch err := found[i].Err; {
		case errors.Is(err, backend.ErrOverBudget): // the page ends before it
			page, err = s.Sessions.SummariesOf(ctx, now, q.Selection, q.sort, i, q.cursor)
			return dst, page.Next, err
		case err != nil: // it has ended since
			continue
		}
		if len(dst) > begin {
			dst = append(dst, ',')
		}
		dst = found[i].Value.AppendJSON(dst)
	}
	return dst, page.Next, nil
}

// appendPage is appendDocuments for a list that an index has.
func (s *Server) appendPage(ctx context.Context, dst []byte, q backend.Query) (_ []byte, next string, err error) {
	now, left, begin := s.Now(), q.Limit, len(dst)
	step := max(1, stepBytes/max(1, s.Rules.MaxBytes))
	var last *schema.Session
	for {
		q.Limit = min(left, step)
		page, err := s.Sessions.List(ctx, now, q)
		if err != nil {
			return nil, "", err
		}
		for i := range page.Sessions {
			sess := &page.Sessions[i]
			if last != nil {
				if len(dst)-begin+len(sess.Doc) > pageBytes {
					return dst, backend.EncodeCursor(q, last.CreatedAt.UnixMilli(), last.ID), nil
				}
				dst = append(dst, ',')
			}
			dst = sess.AppendJSON(dst)
			last = sess
		}
		if left -= len(page.Sessions); left <= 0 || page.Next == "" {
			return dst, page.Next, nil
		}
		q.Cursor = page.Next
	}
}

// countSessions answers how many live sessions there are.
func (s *Server) countSessions(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	sel, err := selection(q, append([]string{schema.ActiveWithinMember}, schema.FilterMembers...))
	if err != nil {
		return err
	}
	n, err := s.Sessions.CountSelected(r.Context(), s.Now(), sel)
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]int{"count": n})
}
