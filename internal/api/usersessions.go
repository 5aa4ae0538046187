package api

import (
	"context"
	"errors"
	"net/http"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// The routes below /api/user/sessions are for whoever is signed in: about all
// sessions of the user whom the session of the request belongs to. A session without
// a user is about itself alone.

// listUserSessions answers a page of the summaries of the user's sessions, newest
// first. It is a use of the session of the request.
func (s *Server) listUserSessions(w http.ResponseWriter, r *http.Request) error {
	own := sessionHandlers{s, true}
	touch, err := boolParameter(r, "touch", own.touches())
	if err != nil {
		return err
	}
	q, err := query(r)
	if err != nil {
		return err
	}
	limit, cursor, err := pageParameters(q)
	if err != nil {
		return err
	}
	sub, err := own.mustFind(w, r)
	if err != nil {
		return err
	}
	sess, moved, err := s.fetch(r, sub.key, touch && r.Method != http.MethodHead && !isPrefetch(r))
	if err != nil {
		return err
	}
	own.finish(w, r, &sub, &sess, moved)
	page, err := s.userSessions(r.Context(), &sess, limit, cursor)
	if err != nil {
		return err
	}
	now := s.Now()
	writeList(w, "sessions", page.Next, len(page.Summaries), func(dst []byte, i int) []byte {
		sum := &page.Summaries[i]
		return sum.AppendJSON(dst, now, sum.ID == sess.ID)
	})
	return nil
}

// userSessions returns a page of the sessions of the user of sess.
func (s *Server) userSessions(ctx context.Context, sess *schema.Session, limit int, cursor string) (backend.SummaryPage, error) {
	if sess.UserID != "" {
		sel := store.Selection{Namespace: sess.Namespace, Filter: schema.Filter{UserID: sess.UserID}}
		return s.Sessions.SummariesOf(ctx, s.Now(), sel, store.NewestFirst, limit, cursor)
	}
	if cursor != "" {
		return backend.SummaryPage{}, backend.ErrBadCursor
	}
	sum, err := sess.Summary()
	return backend.SummaryPage{Summaries: []schema.Summary{sum}}, err
}

// deleteUserSession ends one of the user's sessions. Another user's is not to be told
// from one that does not exist.
func (s *Server) deleteUserSession(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	sess, err := s.ownSession(w, r)
	if err != nil {
		return err
	}
	var ended string
	err = s.end(r, defaultKey(id), func(one schema.Session) error {
		if one.ID != sess.ID && (sess.UserID == "" || one.UserID != sess.UserID) {
			return errSessionNotFound
		}
		ended = one.ID
		return nil
	})
	if errors.Is(err, backend.ErrNotFound) || errors.Is(err, backend.ErrDamaged) {
		return errSessionNotFound
	}
	if err != nil {
		return err
	}
	if ended == sess.ID {
		s.clearBrowser(w)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// deleteUserSessions ends all sessions of the user, or all but that of the request.
// It goes on if its caller does not wait for it.
func (s *Server) deleteUserSessions(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	except, err := singleValue(q, "except", "")
	if err != nil {
		return err
	}
	if q.Has("except") && except != "current" {
		return &problem{codeInvalidQuery, "except is current, or absent."}
	}
	sess, err := s.ownSession(w, r)
	if err != nil {
		return err
	}
	ctx, cancel := clearing(w, r)
	defer cancel()
	n, err := s.endUserSessions(ctx, &sess, except != "")
	if err != nil {
		return err
	}
	if except == "" {
		s.clearBrowser(w)
	}
	return writeJSON(w, map[string]int{"deleted": n})
}

// endUserSessions ends the sessions of the user of sess: the others first, so that a
// caller whose request fails half-way can repeat it.
func (s *Server) endUserSessions(ctx context.Context, sess *schema.Session, others bool) (n int, err error) {
	f := backend.Filter{Namespace: sess.Namespace, UserID: sess.UserID, Except: sess.ID}
	if f.UserID != "" {
		if n, err = s.Sessions.Clear(ctx, s.Now(), f); err != nil {
			return n, err
		}
	}
	if others {
		return n, nil
	}
	err = s.Sessions.End(ctx, s.Now(), sess.Key(), nil)
	switch {
	case err == nil:
		return n + 1, nil
	case !errors.Is(err, backend.ErrNotFound) || f.UserID == "":
		return n, ignoreNotFound(err)
	}
	// It may be there under another id.
	f.Except = ""
	more, err := s.Sessions.Clear(ctx, s.Now(), f)
	return n + more, err
}

func ignoreNotFound(err error) error {
	if errors.Is(err, backend.ErrNotFound) {
		return nil
	}
	return err
}

// ownSession returns the session of the request, without a use of it.
func (s *Server) ownSession(w http.ResponseWriter, r *http.Request) (schema.Session, error) {
	sub, err := sessionHandlers{s, true}.mustFind(w, r)
	if err != nil {
		return schema.Session{}, err
	}
	sess, err := s.Sessions.Peek(r.Context(), s.Now(), sub.key)
	if err == nil {
		setLogSession(r, sess.ID)
	}
	return sess, err
}
