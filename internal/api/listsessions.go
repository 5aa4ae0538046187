package api

import (
	"context"
	"net/http"

	"session-api/internal/schema"
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

// listSessions answers a page of sessions, newest first.
func (s *Server) listSessions(w http.ResponseWriter, r *http.Request) error {
	q, err := listQuery(r)
	if err != nil {
		return err
	}
	withBuffer(func(b []byte) []byte {
		var body []byte
		var next string
		if body, next, err = s.appendPage(r.Context(), append(b, `{"sessions":[`...), q); err != nil {
			return b
		}
		body = append(body, ']')
		if next != "" {
			body = append(body, `,"nextCursor":"`...)
			body = append(body, next...) // base64url: nothing in it needs escaping
			body = append(body, '"')
		}
		body = append(body, '}')
		writeBody(w, body)
		return body
	})
	return err
}

func listQuery(r *http.Request) (out backend.Query, err error) {
	q, err := query(r)
	if err != nil {
		return out, err
	}
	if out.Namespace, err = namespace(q); err != nil {
		return out, err
	}
	if out.UserID, err = userID(q); err != nil {
		return out, err
	}
	if out.Limit, err = intParameter(q, "limit", defaultPage, 1, maxPage); err != nil {
		return out, err
	}
	if out.Cursor, err = singleValue(q, "cursor", ""); err == nil && out.Cursor == "" && q.Has("cursor") {
		err = backend.ErrBadCursor
	}
	return out, err
}

// appendPage appends the documents of a page to dst, commas between them, and
// returns the cursor of the page after it.
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
	var f backend.Filter
	if f.Namespace, err = namespace(q); err != nil {
		return err
	}
	if f.UserID, err = userID(q); err != nil {
		return err
	}
	n, err := s.Sessions.Count(r.Context(), s.Now(), f)
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]int{"count": n})
}
