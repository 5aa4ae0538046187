package api

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// verifyPath is where gateways ask whether a request may pass. Some append the
// path and the query of that request to it: ruleOf says what counts.
const verifyPath = "/api/session/verify"

// DefaultVerifyTimeout is how long reading may keep a gateway waiting. Envoy
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
	// A visitor without a session is every other visitor: what comes of it is
	// logged by whoever lets them in or not.
	quiet := errors.Is(v.err, errNoCredential)
	if s.lines.wanted(counted) && (!quiet || s.Logger.Enabled(r.Context(), slog.LevelDebug)) {
		c := &scope{
			Context: r.Context(), requestID: q.requestID, start: q.start, took: took, session: v.sess.ID,
			answer: answer{status: counted}, quiet: quiet,
		}
		if v.err != nil {
			c.code, _, _ = describe(v.err)
		}
		s.logVerify(w, r, c)
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
	now := s.Now()
	asked, unclear, ruleErr := ruleOf(r.URL)
	if unclear || ruleErr != nil {
		s.reportRule(r, q, now, ruleErr)
	}
	cred, err := s.verifyCredential(r, q)
	if err != nil {
		*v = s.refuseCredential(err)
		return
	}
	if ruleErr != nil && !unclear {
		v.status, v.err = http.StatusServiceUnavailable, ruleErr
		return
	}
	var moved bool
	if v.sess, moved, err = s.look(r, q, now, cred.ID, s.TouchOnAccess && !isPrefetch(r)); err == nil {
		v.user, err = v.sess.User()
	}
	if err != nil {
		*v = refuse(err)
		return
	}
	v.status = http.StatusOK
	if ruleErr == nil && !asked.allows(v.user) {
		ruleErr = errRoleRequired
	}
	if ruleErr != nil {
		v.status, v.err = http.StatusForbidden, ruleErr
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
// waits. Once it is read, that is the answer: what becomes of the deadline keeps
// no visitor out, and the answer waits for it a third of that time at most.
func (s *Server) look(r *http.Request, q *question, now time.Time, id string, touch bool) (sess schema.Session, moved bool, err error) {
	end := q.start.Add(s.VerifyTimeout)
	ctx := &q.late
	ctx.Context, ctx.At = r.Context(), end
	sess, err = s.Sessions.Get(ctx, now, key(id))
	ctx.Release()
	if err != nil || !touch {
		return sess, false, err
	}
	return s.touchLate(r, schema.Now(now), id, sess, end)
}

// reportRule says in the log, at most once a minute, that a gateway's rule is
// not what it should be. err is nil where it could be read all the same.
func (s *Server) reportRule(r *http.Request, q *question, now time.Time, err error) {
	detail := errUnclearRule.detail
	var parameter string
	if e, ok := errors.AsType[*ruleError](err); ok {
		detail, parameter = e.detail, e.parameter
	}
	if !s.notices.due(now, detail) {
		return
	}
	fields := []any{"detail", detail, "requestId", q.requestID[0]}
	if parameter != "" {
		fields = append(fields, "parameter", parameter)
	}
	s.Logger.WarnContext(r.Context(), "a gateway's rule is wrong or unclear", fields...)
}
