package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// verifyPath is where gateways ask whether a request may pass. What they append
// to it is the path of that request, and no business of this route.
const verifyPath = "/api/session/verify"

// DefaultVerifyTimeout is how long the store may keep a gateway waiting. Envoy
// itself waits for 200 ms unless it is told otherwise.
const DefaultVerifyTimeout = 150 * time.Millisecond

// isVerify reports whether the request is a gateway's question. Such requests
// go past the router, which does not know every method, and past all that
// would give answers that gateways do not understand.
func isVerify(r *http.Request) bool {
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	return strings.HasPrefix(path, verifyPath)
}

// question is what others may keep of a gateway's question, in one piece.
type question struct {
	start     time.Time
	requestID [1]string // the header's value
	late      store.LateContext
	identity  [4]string // the headers' values
}

// verdict is the answer to a gateway.
type verdict struct {
	status  int
	err     error // why it is not 200
	sess    schema.Session
	user    *schema.User // nil where the session has none
	cookies []string     // the values of Set-Cookie
}

// verify answers a gateway: 200 with the identity, 401, 403 or 503, whatever
// was sent.
func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	q := &question{start: time.Now()}
	s.begin(w, r, false, &q.requestID)
	var v verdict
	s.decide(r, q, &v)
	if v.cookies != nil {
		w.Header()["Set-Cookie"] = v.cookies
	}
	counted := v.status
	switch {
	case v.err == nil:
		setIdentity(w.Header(), q, &v)
		w.WriteHeader(v.status)
	case v.status == http.StatusServiceUnavailable && r.Context().Err() != nil:
		counted = statusClientClosed // whoever listens all the same must not read a success
		w.WriteHeader(v.status)
	default:
		s.writeProblem(w, r, v.err)
	}
	took := time.Since(q.start)
	s.metrics.observe(verifyPath, r.Method, counted, took)
	if s.lines.wanted(counted) {
		s.logVerify(w, r, &scope{
			Context: r.Context(), requestID: q.requestID, start: q.start, took: took, session: v.sess.ID, answer: answer{status: counted},
		})
	}
}

// decide finds the verdict, and writes nothing. What goes wrong is a 503: a
// gateway must not take it for a session, nor for a visitor who has none.
func (s *Server) decide(r *http.Request, q *question, v *verdict) {
	defer func() {
		if rec := recover(); rec != nil {
			s.Logger.ErrorContext(r.Context(), "panic", "value", rec, "stack", string(debug.Stack()))
			*v = refuse(errors.New("panic"))
		}
	}()
	cred, err := s.verifyCredential(r, q)
	if err != nil {
		*v = s.refuseCredential(err)
		return
	}
	now := s.Now()
	var moved bool
	if v.sess, moved, err = s.look(r.Context(), q, now, cred.id, s.TouchOnAccess && !isPrefetch(r)); err == nil {
		v.user, err = v.sess.User()
	}
	if err != nil {
		*v = refuse(err)
		return
	}
	v.status = http.StatusOK
	if err := checkRoles(r.URL.RawQuery, v.user); err != nil {
		v.status, v.err = http.StatusForbidden, err
	}
	v.cookies = s.verifiedCookie(&cred, now, &v.sess, moved)
}

// refuse is the verdict on an error of the store.
func refuse(err error) verdict {
	if errors.Is(err, store.ErrNotFound) {
		return verdict{status: http.StatusUnauthorized, err: errUnauthorized}
	}
	return verdict{status: http.StatusServiceUnavailable, err: unverifiedError{err}}
}

// unverifiedError is a store that cannot be asked, whatever the cause is.
type unverifiedError struct{ cause error }

func (e unverifiedError) Error() string { return "verifying: " + e.cause.Error() }
func (unverifiedError) Unwrap() error   { return store.ErrUnavailable }

// look reads the session as its user does, within the time that a gateway
// waits. That the deadline cannot be moved, or not in time, is no reason to
// keep a visitor out: the last third of the time is for reading alone.
func (s *Server) look(parent context.Context, q *question, now time.Time, id string, touch bool) (sess schema.Session, moved bool, err error) {
	end := q.start.Add(s.VerifyTimeout)
	read := s.Sessions.Get
	if touch {
		ctx := &q.late
		ctx.Context, ctx.At = parent, end.Add(-s.VerifyTimeout/3)
		sess, moved, err = s.Sessions.Access(ctx, now, key(id))
		ctx.Release()
		if err == nil || errors.Is(err, store.ErrNotFound) {
			return sess, moved, err
		}
		read = s.Sessions.Peek // it was counted as a use
	}
	ctx := &store.LateContext{Context: parent, At: end}
	defer ctx.Release()
	sess, err = read(ctx, now, key(id))
	return sess, false, err
}

// checkRoles refuses a user who has none of the roles that the query asks for.
// Parameters other than role are the gateway's, or its client's.
func checkRoles(rawQuery string, user *schema.User) error {
	if rawQuery == "" {
		return nil
	}
	asked, err := url.ParseQuery(rawQuery)
	switch {
	case err != nil:
		return &problem{codeRoleRequired, "The query is not well-formed, and may ask for a role."}
	case !asked.Has("role"):
		return nil
	case strings.Contains(rawQuery, "/"):
		// A gateway's ...?role=admin, to which it has appended the path and the
		// query of its client, who could add any role to it.
		return &problem{codeRoleRequired, "The query asks for a role and holds a path, which a gateway may have appended. Write / as %2F."}
	}
	if user != nil && slices.ContainsFunc(user.Roles, func(role string) bool {
		return role != "" && slices.Contains(asked["role"], role)
	}) {
		return nil
	}
	return errRoleRequired
}
