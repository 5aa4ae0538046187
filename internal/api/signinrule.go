package api

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"session-api/internal/schema"
)

// insufficientSignIn is a session that is good, of a user whose sign-in is not good
// enough: too long ago, or too weak. It tells the client what is asked for, as RFC 9470
// section 3 has it.
type insufficientSignIn struct {
	maxAge time.Duration // 0 if the age does not matter
	levels []string
}

func (*insufficientSignIn) Error() string { return "the sign-in is not good enough" }

// Unwrap returns the problem that the gateway gets.
func (*insufficientSignIn) Unwrap() error { return errInsufficientSignIn }

// challenge is the value of WWW-Authenticate. The levels are such that they need no
// escape.
func (e *insufficientSignIn) challenge() string {
	value := `Bearer error="insufficient_user_authentication"`
	if e.maxAge > 0 {
		value += `, max_age="` + strconv.FormatInt(int64(e.maxAge/time.Second), 10) + `"`
	}
	if len(e.levels) > 0 {
		value += `, acr_values="` + strings.Join(e.levels, " ") + `"`
	}
	return value
}

// challenge is the value of WWW-Authenticate in a 401 because of err.
func challenge(err error) string {
	if e, ok := errors.AsType[*insufficientSignIn](err); ok {
		return e.challenge()
	}
	return `Bearer realm="session-api"`
}

// permits returns nil if the rule lets the session's user pass at now, and the problem
// otherwise. A user who lacks the role gains nothing by signing in anew, so that comes
// first; nobody knows it of a session without a user.
func (s *Server) permits(asked *verifyRule, sess *schema.Session, user *schema.User, now time.Time) error {
	if user != nil || !asked.asksForSignIn() {
		switch {
		case !asked.allows(user):
			return errRoleRequired
		case user == nil || s.signInSuffices(asked, sess, user, now):
			return nil
		}
	}
	return &insufficientSignIn{maxAge: s.maxAuthAge(asked, user), levels: asked.levels}
}

// asksForSignIn reports whether the rule asks for when or how the user signed in.
func (r *verifyRule) asksForSignIn() bool {
	return r.maxAuthAge > 0 || len(r.levels) > 0 || len(r.methods) > 0
}

// maxAuthAge is how long ago the user may have signed in, by the rule and the settings;
// 0 for any time.
func (s *Server) maxAuthAge(asked *verifyRule, user *schema.User) time.Duration {
	if asked.maxAuthAge == 0 || user != nil && s.ReauthAfter > 0 && s.ReauthAfter < asked.maxAuthAge {
		return s.ReauthAfter
	}
	return asked.maxAuthAge
}

// signInSkew is how far the clock of who signs users in may be ahead of the service's.
const signInSkew = time.Minute

// signInSuffices reports whether the user signed in recently and well enough. Where it is
// not known when, the settings alone, not a rule, go by the session's creation: it was not
// before that. One that lies in the future would count for longer than is asked for, so it
// counts for nothing.
func (s *Server) signInSuffices(asked *verifyRule, sess *schema.Session, user *schema.User, now time.Time) bool {
	auth := user.Auth
	if s.ReauthAfter > 0 {
		signedIn := sess.CreatedAt
		if auth != nil {
			signedIn = auth.Time
		}
		if !within(now, signedIn, s.ReauthAfter) {
			return false
		}
	}
	switch {
	case !asked.asksForSignIn():
		return true
	case auth == nil:
		return false
	case asked.maxAuthAge > 0 && !within(now, auth.Time, asked.maxAuthAge):
		return false
	case len(asked.levels) > 0 && !slices.ContainsFunc(asked.levels, auth.Reaches):
		return false
	}
	return len(asked.methods) == 0 || slices.ContainsFunc(asked.methods, func(method string) bool {
		return slices.Contains(auth.Methods, method)
	})
}

// within reports whether a sign-in at signedIn is not older than most at now, nor of the
// future.
func within(now, signedIn time.Time, most time.Duration) bool {
	age := now.Sub(signedIn)
	return age <= most && age >= -signInSkew
}

// The headers that say when and how the user signed in.
const (
	headerAuthTime    = "X-Auth-Time"
	headerAuthLevel   = "X-Auth-Level"
	headerAuthMethods = "X-Auth-Methods"
)

// setSignIn sets the headers about the user's sign-in, empty where nothing is known of
// it. Neither methods nor levels hold anything that a header cannot.
func setSignIn(h http.Header, user *schema.User) {
	if user == nil || user.Auth == nil {
		h[headerAuthTime], h[headerAuthLevel], h[headerAuthMethods] = noUser, noUser, noUser
		return
	}
	auth := user.Auth
	values := []string{auth.Time.Format(schema.TimeLayout), headerValue(auth.Level), roleList(auth.Methods)}
	h[headerAuthTime], h[headerAuthLevel], h[headerAuthMethods] = values[0:1:1], values[1:2:2], values[2:3:3]
}
