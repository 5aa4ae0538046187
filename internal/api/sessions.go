package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// createSessionFor stores a new session for somebody, and answers it with what
// opens it.
func (s *Server) createSessionFor(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	space, err := namespace(q)
	if err != nil {
		return err
	}
	in, err := s.readInput(w, r)
	if err != nil {
		return err
	}
	sess, err := s.services.Create(r.Context(), s.Now(), space, in, nil)
	if err != nil {
		return err
	}
	noteSession(r, sess.ID)
	w.Header().Set("Location", location(&sess))
	return writeHandOver(w, http.StatusCreated, &sess, s.handOver(&sess))
}

// location is where a service reads the session.
func location(sess *schema.Session) string {
	at := "/api/sessions/" + sess.ID
	if sess.Namespace != schema.DefaultNamespace {
		at += "?namespace=" + sess.Namespace
	}
	return at
}

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

func listQuery(r *http.Request) (out store.Query, err error) {
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
	if out.Limit, err = number(q, "limit", defaultPage, 1, maxPage); err != nil {
		return out, err
	}
	if out.Cursor, err = one(q, "cursor", ""); err == nil && out.Cursor == "" && q.Has("cursor") {
		err = store.ErrBadCursor
	}
	return out, err
}

// appendPage appends the documents of a page to dst, commas between them, and
// returns the cursor of the page after it.
func (s *Server) appendPage(ctx context.Context, dst []byte, q store.Query) (_ []byte, next string, err error) {
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
					return dst, store.EncodeCursor(q, last.CreatedAt.UnixMilli(), last.ID), nil
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
	var f store.Filter
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

// clearTimeout is how long ending many sessions may take.
const clearTimeout = 5 * time.Minute

// deleteSessions ends the sessions of a user, or all of a namespace. It goes on
// if its caller does not wait for it.
func (s *Server) deleteSessions(w http.ResponseWriter, r *http.Request) error {
	f, err := clearFilter(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), clearTimeout)
	defer cancel()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(clearTimeout)) // where it is not to be had, the write timeout remains
	if f.Except, err = s.successor(ctx, f.Namespace, f.Except); err != nil {
		return err
	}
	n, err := s.Sessions.Clear(ctx, s.Now(), f)
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]int{"deleted": n})
}

// clearFilter reads which sessions are to be ended. What contradicts itself is
// refused rather than guessed.
func clearFilter(r *http.Request) (f store.Filter, err error) {
	q, err := query(r)
	if err != nil {
		return f, err
	}
	if f.Namespace, err = namespace(q); err != nil {
		return f, err
	}
	if f.UserID, err = userID(q); err != nil {
		return f, err
	}
	if f.Except, err = one(q, "except", ""); err != nil {
		return f, err
	}
	all, err := flag(r, "all", false)
	switch {
	case err != nil:
		return f, err
	case all == (f.UserID != ""):
		return f, &problem{codeInvalidQuery, "Send either userId or all=true."}
	case !q.Has("except"):
		return f, nil
	case all:
		return f, &problem{codeInvalidQuery, "except goes with userId, not with all=true."}
	case !schema.ValidForeignID(f.Except):
		return f, &problem{codeInvalidQuery, "except is the id of a session."}
	}
	return f, nil
}

// successor returns the id that the session has now: within the grace of a
// regenerate, a caller may still know the old one.
func (s *Server) successor(ctx context.Context, space, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	sess, err := s.Sessions.Peek(ctx, s.Now(), store.Key{Namespace: space, ID: id})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return id, nil
	case err != nil:
		return "", err
	}
	return sess.ID, nil
}
