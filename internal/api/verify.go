package api

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"session-api/internal/lazydeadline"
	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// verifyPath is the endpoint of forward auth: gateways ask there whether a
// request may pass. Some append the path and the query of that request to it:
// parseVerifyRule says what counts.
const verifyPath = "/api/session/verify"

// verifyURL is the URL in the access log's lines of authorization requests. What a
// gateway appended to the path is left out: the paths of other services can hold
// anything.
var verifyURL = &url.URL{Path: verifyPath}

// DefaultVerifyTimeout bounds how long a read may keep a gateway waiting. Envoy
// itself waits for 200 ms by default.
const DefaultVerifyTimeout = 150 * time.Millisecond

// isVerify reports whether r is an authorization request of a gateway. Those
// bypass the router, which does not know every method, and all middleware that
// would answer with what gateways do not understand.
func isVerify(r *http.Request) bool {
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	return strings.HasPrefix(path, verifyPath)
}

// authRequest is the state of an authorization request, allocated at once.
type authRequest struct {
	start     time.Time
	requestID [1]string // the header's value
	late      lazydeadline.Context
	identity  [4]string // the headers' values
}

// authDecision is the answer to an authorization request.
type authDecision struct {
	status  int
	err     error // why it is not 200
	sess    schema.Session
	user    *schema.User // nil where the session has none
	jwt     string       // empty where none is sent
	cookies []string     // the values of Set-Cookie
}

// verify answers a gateway: 200 with the identity, 401, 403 or 503, whatever
// was sent.
func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	ar := &authRequest{start: time.Now()}
	s.setCommonHeaders(w, r, false, &ar.requestID)
	var d authDecision
	s.decide(r, ar, &d)
	if d.cookies != nil {
		w.Header()["Set-Cookie"] = d.cookies
	}
	counted := d.status
	switch {
	case d.err == nil:
		setIdentity(w.Header(), ar, &d)
		if d.jwt != "" {
			w.Header()[headerSessionJWT] = []string{d.jwt}
		}
		w.WriteHeader(d.status)
	case d.status == http.StatusServiceUnavailable && r.Context().Err() != nil:
		counted = statusClientClosed // a client that is still there must not get a success
		w.WriteHeader(d.status)
	default:
		s.writeProblem(w, r, d.err)
	}
	took := time.Since(ar.start)
	s.verified.observe(s.metrics, r.Method, counted, took)
	// Visitors without a session are frequent, and the gateway logs what becomes of
	// their requests.
	quiet := errors.Is(d.err, errNoCredential)
	if s.lines.wanted(counted) && (!quiet || s.Logger.Enabled(r.Context(), slog.LevelDebug)) {
		c := &requestState{
			Context: r.Context(), requestID: ar.requestID, start: ar.start, took: took, session: d.sess.ID,
			response: responseWriter{status: counted}, quiet: quiet,
		}
		if d.err != nil {
			c.code, _, _ = describe(d.err)
		}
		if r.Method != http.MethodHead {
			c.response.bytes, _ = strconv.Atoi(w.Header().Get("Content-Length")) // 0 where there is no body
		}
		s.logAccess(r, verifyURL, c)
	}
}

// decide makes the decision, and writes nothing. A failure is a 503: a gateway
// must not take it for a session, nor for a visitor without one.
func (s *Server) decide(r *http.Request, ar *authRequest, d *authDecision) {
	defer func() {
		if rec := recover(); rec != nil {
			s.Logger.ErrorContext(r.Context(), "panic", "value", rec, "stack", string(debug.Stack()))
			*d = refuse(errors.New("panic"))
		}
	}()
	now := s.Now()
	asked, unclear, ruleErr := parseVerifyRule(r.URL)
	if unclear || ruleErr != nil {
		s.reportRule(r, ar, now, ruleErr)
	}
	cred, err := s.verifyCredential(r, ar)
	if err != nil {
		*d = s.refuseCredential(err)
		return
	}
	if ruleErr != nil && !unclear {
		d.status, d.err = http.StatusServiceUnavailable, ruleErr
		return
	}
	var moved bool
	if d.sess, moved, err = s.fetchVerified(r, ar, now, cred.ID, s.TouchOnAccess && !isPrefetch(r)); err == nil {
		d.user, err = d.sess.User()
	}
	if err != nil {
		*d = refuse(err)
		return
	}
	d.status = http.StatusOK
	if ruleErr == nil {
		ruleErr = s.permits(&asked, &d.sess, d.user, now)
	}
	if ruleErr != nil {
		code, _, _ := describe(ruleErr)
		d.status, d.err = problemTypes[code].status, ruleErr
	}
	if ruleErr == nil && s.JWT.Verify && s.jwt != nil {
		if err = s.signVerified(r, ar, now, d); err != nil {
			*d = refuse(err)
			return
		}
	}
	d.cookies = s.verifiedCookie(&cred, now, &d.sess, moved)
}

// signVerified adds a JWT of the session to the decision, within VerifyTimeout.
func (s *Server) signVerified(r *http.Request, ar *authRequest, now time.Time, d *authDecision) error {
	ctx := &lazydeadline.Context{Context: r.Context(), At: ar.start.Add(s.VerifyTimeout)}
	defer ctx.Release()
	token, err := s.jwt.IssueCached(ctx, now, &d.sess)
	d.jwt = token.Text
	return err
}

// verifyCredential is credential for an authorization request: it reads from the
// store within the time that a gateway waits. The error is for refuseCredential.
func (s *Server) verifyCredential(r *http.Request, ar *authRequest) (credential, error) {
	cred, err := s.readCredential(r)
	if err == nil && len(cred.more) > 0 {
		ctx := &lazydeadline.Context{Context: r.Context(), At: ar.start.Add(s.VerifyTimeout)}
		defer ctx.Release()
		err = s.resolveCredential(ctx, &cred)
	}
	if err == nil && cred.ID == "" {
		err = cred.missing()
	}
	return cred, err
}

// refuseCredential is the decision on credentials that open no one session. A
// gateway knows no 400: contradictory credentials are a 401, and two cookies that
// contradict each other are expired as on the caller's own routes.
func (s *Server) refuseCredential(err error) authDecision {
	d := authDecision{status: http.StatusUnauthorized, err: errUnauthorized}
	said, ok := errors.AsType[*problem](err)
	switch {
	case !ok:
		return refuse(err)
	case said == errNoCredential:
		d.err = errNoCredential
	case said == errTwinCookies:
		d.cookies = s.cookieTemplate.expiries
	}
	return d
}

// refuse is the decision where the store failed with err.
func refuse(err error) authDecision {
	if errors.Is(err, backend.ErrNotFound) {
		return authDecision{status: http.StatusUnauthorized, err: errUnauthorized}
	}
	return authDecision{status: http.StatusServiceUnavailable, err: unverifiedError{err}}
}

// unverifiedError is a store that cannot be asked, whatever the cause is.
type unverifiedError struct{ cause error }

func (e unverifiedError) Error() string { return "verifying: " + e.cause.Error() }
func (unverifiedError) Unwrap() error   { return backend.ErrUnavailable }

// fetchVerified reads the session, and slides its deadline as a read by the user does,
// within VerifyTimeout. Once the session is read, the answer no longer depends on the
// touch, and waits for it for a third of that time at most.
func (s *Server) fetchVerified(r *http.Request, ar *authRequest, now time.Time, id string, touch bool) (sess schema.Session, moved bool, err error) {
	end := ar.start.Add(s.VerifyTimeout)
	ctx := &ar.late
	ctx.Context, ctx.At = r.Context(), end
	sess, err = s.Sessions.Get(ctx, now, defaultKey(id))
	ctx.Release()
	if err != nil || !touch {
		return sess, false, err
	}
	return s.touchInBackground(r, schema.Now(now), id, sess, end)
}

// reportRule says in the log, at most once a minute, that a gateway's rule is
// not what it should be. err is nil where it could be read all the same.
func (s *Server) reportRule(r *http.Request, ar *authRequest, now time.Time, err error) {
	detail := errAmbiguousRule.detail
	var parameter string
	if e, ok := errors.AsType[*ruleError](err); ok {
		detail, parameter = e.detail, e.parameter
	}
	if !s.notices.allow(detail, now) {
		return
	}
	fields := []any{"detail", detail, "requestId", ar.requestID[0]}
	if parameter != "" {
		fields = append(fields, "parameter", parameter)
	}
	s.Logger.WarnContext(r.Context(), "a gateway's rule is wrong or unclear", fields...)
}
