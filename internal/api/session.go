package api

import (
	"errors"
	"net/http"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/token"
)

// sessionHandlers are the handlers of a session, wherever it is found: the caller's
// own by its credential, others by their ids.
type sessionHandlers struct {
	*Server
	own bool
}

// find finds the session of a request.
func (h sessionHandlers) find(w http.ResponseWriter, r *http.Request) (target, error) {
	if h.own {
		return h.findOwn(w, r)
	}
	return h.findNamed(w, r)
}

// mustFind is find for routes that do nothing without a session.
func (h sessionHandlers) mustFind(w http.ResponseWriter, r *http.Request) (target, error) {
	sub, err := h.find(w, r)
	if err == nil && sub.key.ID == "" {
		err = sub.missing()
	}
	return sub, err
}

// fail returns the error with which the route answers err.
func (h sessionHandlers) fail(err error) error {
	if h.own {
		return err
	}
	return notFoundByID(err)
}

// touches returns the default of the parameter touch.
func (h sessionHandlers) touches() bool { return h.own && h.TouchOnAccess }

// finish sets the session in the access log, and renews the caller's cookie if that is
// due. moved reports that the request has moved the deadline.
func (h sessionHandlers) finish(w http.ResponseWriter, r *http.Request, sub *target, sess *schema.Session, moved bool) {
	setLogSession(r, sess.ID)
	if h.own {
		h.refreshCredential(w, &sub.credential, sess, moved)
	}
}

// get answers the session, and moves its deadline.
func (h sessionHandlers) get(w http.ResponseWriter, r *http.Request) error {
	touch, err := boolParameter(r, "touch", h.touches())
	if err == nil && touch && !h.own {
		err = permitScope(caller(r), token.ScopeWrite)
		h.recordForbidden(r, caller(r), err)
	}
	if err != nil {
		return err
	}
	match, err := parseETags(r, "If-None-Match")
	if err != nil {
		return err
	}
	sub, err := h.find(w, r)
	if err != nil {
		return err
	}
	sess, moved, err := h.read(w, r, &sub, touch && (!h.own || !isPrefetch(r)))
	if err != nil {
		return h.fail(err)
	}
	h.finish(w, r, &sub, &sess, moved)
	writeUnlessKnown(w, &sess, match)
	return nil
}

// read returns the session, or a new one with its cookie. moved reports whether its
// deadline did.
func (h sessionHandlers) read(w http.ResponseWriter, r *http.Request, sub *target, touch bool) (sess schema.Session, moved bool, err error) {
	if sub.key.ID == "" {
		err = sub.missing()
	} else {
		sess, moved, err = h.fetch(r, sub.key, touch)
	}
	if h.own && isAbsent(err) && h.autoCreates(r, &sub.credential) {
		sess, err = h.autoCreate(w, r, &sub.credential, nil)
	}
	if err != nil {
		return schema.Session{}, false, err
	}
	return sess, moved, nil
}

// isAbsent reports whether the request has no live session.
func isAbsent(err error) bool {
	return errors.Is(err, backend.ErrNotFound) || errors.Is(err, errNoCredential) || errors.Is(err, errUnauthorized)
}

// fetch reads the session of the key, as a use that moves its deadline or not.
func (s *Server) fetch(r *http.Request, key backend.Key, touch bool) (sess schema.Session, moved bool, err error) {
	if touch {
		return s.Sessions.Access(r.Context(), s.Now(), key)
	}
	sess, err = s.Sessions.Get(r.Context(), s.Now(), key)
	return sess, false, err
}

// head answers whether there is a session, and touches nothing.
func (h sessionHandlers) head(w http.ResponseWriter, r *http.Request) error {
	sub, err := h.mustFind(w, r)
	if err != nil {
		return err
	}
	sess, err := h.Sessions.Peek(r.Context(), h.Now(), sub.key)
	if err != nil {
		return h.fail(err)
	}
	h.finish(w, r, &sub, &sess, false)
	writeSessionHead(w, http.StatusOK, &sess, len(sess.Doc))
	return nil
}

// replace replaces the sections that the body names.
func (h sessionHandlers) replace(w http.ResponseWriter, r *http.Request) error {
	return h.change(w, r, jsonTypes, true, h.decodeInput)
}

// patch applies a JSON Merge Patch (RFC 7396).
func (h sessionHandlers) patch(w http.ResponseWriter, r *http.Request) error {
	return h.change(w, r, mergePatchTypes, true, h.decodeMergePatch)
}

// jsonPatch applies a JSON Patch (RFC 6902). It creates nothing: a patch edits what
// is there.
func (h sessionHandlers) jsonPatch(w http.ResponseWriter, r *http.Request) error {
	return h.change(w, r, jsonPatchTypes, false, h.decodeOperations)
}

// change is what replace, patch and operate have in common. creates says whether a
// session may be created on the caller's own routes, where the settings say so.
func (h sessionHandlers) change(w http.ResponseWriter, r *http.Request, types []string, creates bool, decode decoder) error {
	sub, err := h.find(w, r)
	if err != nil {
		return err
	}
	creates = creates && h.own && h.autoCreates(r, &sub.credential)
	if sub.key.ID == "" && !creates {
		return sub.missing()
	}
	touch, err := boolParameter(r, "touch", h.touches())
	if err != nil {
		return err
	}
	cond, err := h.ifMatch(r)
	if err != nil {
		return err
	}
	change, err := h.readChange(w, r, types, decode)
	if err != nil {
		return err
	}
	var sess schema.Session
	var moved bool
	err = backend.ErrNotFound
	if sub.key.ID != "" {
		sess, moved, err = h.sessionsOf(&sub.credential).Update(r.Context(), h.Now(), sub.key, store.Update{
			Change: sub.bounded(change), If: cond, Allow: h.limitCreatedBytes(w, r, &sub.credential, allowUser(&sub.credential)), Slide: touch,
		})
	}
	status := http.StatusOK
	if errors.Is(err, backend.ErrNotFound) && creates {
		if cond != nil { // If-Match cannot hold of what is not there
			return errPreconditionFailed
		}
		if sess, err = h.autoCreate(w, r, &sub.credential, change); err == nil {
			status = http.StatusCreated
			w.Header()["Location"] = ownLocation
		}
	}
	if err != nil {
		return h.fail(err)
	}
	h.finish(w, r, &sub, &sess, moved)
	writeSession(w, status, &sess)
	return nil
}

// touch moves the deadline.
func (h sessionHandlers) touch(w http.ResponseWriter, r *http.Request) error {
	sub, err := h.mustFind(w, r)
	if err != nil {
		return err
	}
	ttl, err := h.readTTL(w, r)
	if err != nil {
		return err
	}
	sess, err := h.extend(r, &sub, ttl)
	if err != nil {
		return h.fail(err)
	}
	h.finish(w, r, &sub, &sess, true)
	writeSession(w, http.StatusOK, &sess)
	return nil
}

// extend moves the deadline, and gives the session the idle timeout ttl as far as
// the caller may, 0 for none.
func (h sessionHandlers) extend(r *http.Request, sub *target, ttl time.Duration) (schema.Session, error) {
	switch {
	case !h.own:
		return h.services.Extend(r.Context(), h.Now(), sub.key, ttl)
	case sub.mayWriteUser():
		return h.Sessions.Extend(r.Context(), h.Now(), sub.key, ttl)
	}
	return h.Sessions.Shorten(r.Context(), h.Now(), sub.key, ttl)
}
