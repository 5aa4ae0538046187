package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// deleteSession ends every session that the request opens, and all cookies. That
// there is none is no error: signing out twice is signing out.
func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request) error {
	cred, err := s.credentials(r)
	if err != nil {
		return err
	}
	if cred.ID != "" {
		cond, err := s.ifMatch(r)
		if err != nil {
			return err
		}
		var room [maxOpeners]string
		if err := s.signOut(r, cred.ids(room[:0]), cond); err != nil {
			return err
		}
		setLogSession(r, cred.ID)
	}
	s.clearBrowser(w)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// clearBrowser expires all cookies of a visitor who has signed out, and lets the browser
// forget what the settings say.
func (s *Server) clearBrowser(w http.ResponseWriter) {
	s.clearCookies(w)
	if s.ClearSiteData != "" {
		w.Header().Set("Clear-Site-Data", s.ClearSiteData)
	}
}

// signOut ends the sessions of the ids. Of several, the condition must hold for
// one that is live: it is the one that the caller has seen.
func (s *Server) signOut(r *http.Request, ids []string, cond func(schema.Session) error) error {
	if cond != nil {
		var refused error
		held := false
		for _, id := range ids {
			switch err := s.end(r, defaultKey(id), cond); {
			case err == nil:
				held = true
			case errors.Is(err, errPreconditionFailed):
				refused = err
			case !errors.Is(err, backend.ErrNotFound):
				return err
			}
		}
		if refused != nil && !held {
			return refused
		}
	}
	return s.endAll(r, ids)
}

// deleteSessionByID ends a session. That there is none is no error.
func (s *Server) deleteSessionByID(w http.ResponseWriter, r *http.Request) error {
	key, err := sessionKey(r)
	if err != nil {
		return err
	}
	cond, err := s.ifMatch(r)
	if err != nil {
		return err
	}
	if err := s.end(r, key, cond); err != nil && !errors.Is(err, backend.ErrNotFound) {
		return err
	}
	setLogSession(r, key.ID)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// endAll ends the sessions of the ids, as far as there are any.
func (s *Server) endAll(r *http.Request, ids []string) error {
	for _, id := range ids {
		if err := s.end(r, defaultKey(id), nil); err != nil && !errors.Is(err, backend.ErrNotFound) {
			return err
		}
	}
	return nil
}

// end ends a session even if its caller does not wait for it.
func (s *Server) end(r *http.Request, key backend.Key, cond func(schema.Session) error) error {
	ctx, cancel := outliving(r, revokeTimeout)
	defer cancel()
	return s.Sessions.End(ctx, s.Now(), key, cond)
}

// clearTimeout is how long ending many sessions may take.
const clearTimeout = 5 * time.Minute

// clearing is for what ends many sessions, and goes on if its caller does not wait.
func clearing(w http.ResponseWriter, r *http.Request) (context.Context, context.CancelFunc) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(clearTimeout)) // where it is not to be had, the write timeout remains
	return outliving(r, clearTimeout)
}

// deleteSessions ends the sessions of a user, or all of a namespace. It goes on
// if its caller does not wait for it.
func (s *Server) deleteSessions(w http.ResponseWriter, r *http.Request) error {
	f, err := clearFilter(r)
	if err != nil {
		return err
	}
	ctx, cancel := clearing(w, r)
	defer cancel()
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
func clearFilter(r *http.Request) (f backend.Filter, err error) {
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
	if f.Except, err = singleValue(q, "except", ""); err != nil {
		return f, err
	}
	all, err := boolParameter(r, "all", false)
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
	sess, err := s.Sessions.Peek(ctx, s.Now(), backend.Key{Namespace: space, ID: id})
	switch {
	case errors.Is(err, backend.ErrNotFound):
		return id, nil
	case err != nil:
		return "", err
	}
	return sess.ID, nil
}
