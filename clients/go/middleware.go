package sessionapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Rule is what a request's session has to be like. The zero Rule asks for a live
// session and nothing else.
type Rule struct {
	// Roles: the user has one of them, if there are any.
	Roles []string
	// MaxAuthAge is how long ago the user signed in at most, in whole seconds; 0 for
	// any time.
	MaxAuthAge time.Duration
	// Levels and Methods: the user's sign-in reached one of the levels, and used one of
	// the methods, as far as there are any.
	Levels, Methods []string
}

// Middleware lets only requests with a session pass that satisfies a rule, and puts who
// they are from into their context. It asks the service once for each request, with the
// request's cookies and Authorization header, and hands cookies of the answer on, so that
// the browser's lives as long as the session.
type Middleware struct {
	Client *ClientWithResponses
	Rule   Rule
	// Optional lets requests without a live session pass as well: [IdentityOf] returns
	// false for them.
	Optional bool
	// ReadsSession reads the document too, for [SessionOf]. With a Rule this is a second
	// request to the service.
	ReadsSession bool
	// Refuse answers a request that does not pass. By default, that is what the service
	// said: 401, with a challenge that says what is missing (RFC 9470), 403 or 503.
	Refuse func(w http.ResponseWriter, r *http.Request, why *Problem)
}

// Identity is who a request is from.
type Identity struct {
	SessionID string
	// User is nil if the session has none.
	User *User
	// RolesIncomplete: the user has more roles than the service tells a gateway, so User
	// has none of them. The Rule was held against all.
	RolesIncomplete bool
}

type contextKey int

const (
	identityKey contextKey = iota
	sessionKey
)

// IdentityOf returns who the request of the context is from. It is false in a handler that
// no [Middleware] protects, and for a request without a session that an optional one let
// pass.
func IdentityOf(ctx context.Context) (*Identity, bool) {
	identity, ok := ctx.Value(identityKey).(*Identity)
	return identity, ok
}

// SessionOf returns the session of the request of the context, if its [Middleware] reads
// it.
func SessionOf(ctx context.Context) (*Session, bool) {
	session, ok := ctx.Value(sessionKey).(*Session)
	return session, ok
}

// Handler returns a handler that passes requests to next.
func (m *Middleware) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, why := m.identify(w, r)
		switch {
		case why == nil:
			next.ServeHTTP(w, r.WithContext(ctx))
		case m.Optional && why.isNoSession():
			next.ServeHTTP(w, r)
		case m.Refuse != nil:
			m.Refuse(w, r, why)
		default:
			refuse(w, why)
		}
	})
}

// isNoSession reports whether the request has no live session, and nothing is wrong with
// one that it has.
func (p *Problem) isNoSession() bool {
	return p.Code == ProblemCodeUnauthorized || p.Code == ProblemCodeNoCredential
}

// identify returns the request's context with who it is from.
func (m *Middleware) identify(w http.ResponseWriter, r *http.Request) (context.Context, *Problem) {
	ctx := r.Context()
	if m.ReadsSession && m.Rule.isZero() {
		session, why := m.read(w, r)
		if why != nil {
			return nil, why
		}
		ctx = context.WithValue(ctx, identityKey, &Identity{SessionID: session.ID, User: session.User})
		return context.WithValue(ctx, sessionKey, session), nil
	}
	answer, err := m.Client.VerifySessionWithResponse(ctx, m.Rule.parameters(), credentialsOf(r))
	if err != nil {
		return nil, unreachable
	}
	passCookies(w, answer.HTTPResponse)
	if why := problemOf(answer, answer.HTTPResponse, w); why != nil {
		return nil, why
	}
	identity, ok := identityOf(answer.HTTPResponse.Header)
	if !ok {
		return nil, unreachable
	}
	ctx = context.WithValue(ctx, identityKey, identity)
	if m.ReadsSession {
		session, why := m.read(w, r)
		if why != nil {
			return nil, why
		}
		ctx = context.WithValue(ctx, sessionKey, session)
	}
	return ctx, nil
}

// read reads the request's session.
func (m *Middleware) read(w http.ResponseWriter, r *http.Request) (*Session, *Problem) {
	answer, err := m.Client.GetSessionWithResponse(r.Context(), nil, credentialsOf(r))
	if err != nil {
		return nil, unreachable
	}
	passCookies(w, answer.HTTPResponse)
	if why := problemOf(answer, answer.HTTPResponse, w); why != nil {
		return nil, why
	}
	if answer.JSON200 == nil {
		return nil, unreachable
	}
	return answer.JSON200, nil
}

// unreachable is what a request gets when the service gives no answer, or none of its own.
var unreachable = &Problem{
	Type: "about:blank", Title: "The session service cannot be reached", Status: http.StatusServiceUnavailable,
	Detail: "Whether there is a session is not known. Try again.", Code: ProblemCodeStoreUnavailable,
}

// problemOf returns the problem of an answer, and hands on the challenge of a 401.
func problemOf(answer Answer, response *http.Response, w http.ResponseWriter) *Problem {
	why, _ := ProblemOf(answer).(*Problem) //nolint:errorlint // it is never wrapped
	if why == nil {
		return nil
	}
	if challenge := response.Header["Www-Authenticate"]; len(challenge) > 0 {
		w.Header()["Www-Authenticate"] = challenge
	}
	if why.Code == "" && why.Status != http.StatusUnauthorized && why.Status != http.StatusForbidden {
		return unreachable
	}
	return why
}

// refuse answers with the problem.
func refuse(w http.ResponseWriter, why *Problem) {
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	if why.Status == http.StatusServiceUnavailable {
		header.Set("Retry-After", "1")
	}
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(why); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(why.Status)
	_, _ = w.Write(body.Bytes()) // a client that left gets nothing more
}

// isZero reports whether the rule asks for nothing but a session.
func (r *Rule) isZero() bool {
	return len(r.Roles) == 0 && r.MaxAuthAge == 0 && len(r.Levels) == 0 && len(r.Methods) == 0
}

// parameters returns the rule as the service takes it. Part of a second counts as a whole
// one: the rule is never stricter than it says.
func (r *Rule) parameters() *VerifySessionParams {
	params := new(VerifySessionParams)
	if len(r.Roles) > 0 {
		params.Role = &r.Roles
	}
	if len(r.Levels) > 0 {
		params.Level = &r.Levels
	}
	if len(r.Methods) > 0 {
		params.Method = &r.Methods
	}
	if r.MaxAuthAge > 0 {
		seconds := int64((r.MaxAuthAge + time.Second - 1) / time.Second)
		params.MaxAuthAge = &seconds
	}
	return params
}

// credentialsOf sends what the request has to say about who it is from.
func credentialsOf(r *http.Request) RequestEditorFn {
	return func(_ context.Context, req *http.Request) error {
		for _, name := range []string{"Cookie", "Authorization"} {
			if values := r.Header[name]; len(values) > 0 {
				req.Header[name] = slices.Clone(values)
			}
		}
		return nil
	}
}

// passCookies hands the cookies of an answer on.
func passCookies(w http.ResponseWriter, answer *http.Response) {
	for _, cookie := range answer.Header["Set-Cookie"] {
		w.Header().Add("Set-Cookie", cookie)
	}
}

// identityOf reads the headers of a verification. It is false if they are not the
// service's.
func identityOf(header http.Header) (*Identity, bool) {
	identity := &Identity{SessionID: header.Get("X-Session-Id"), RolesIncomplete: header.Get("X-User-Incomplete") == "roles"}
	if identity.SessionID == "" {
		return nil, false
	}
	id, ok := unescape(header.Get("X-User-Id"))
	if !ok || id == "" {
		return identity, ok
	}
	email, emailOK := unescape(header.Get("X-User-Email"))
	roles, rolesOK := unescapeList(header.Get("X-User-Roles"))
	identity.User = &User{ID: id, Email: email, Roles: roles}
	if !emailOK || !rolesOK {
		return nil, false
	}
	if signedIn := header.Get("X-Auth-Time"); signedIn != "" {
		when, err := time.Parse(time.RFC3339, signedIn)
		level, levelOK := unescape(header.Get("X-Auth-Level"))
		methods, methodsOK := unescapeList(header.Get("X-Auth-Methods"))
		if err != nil || !levelOK || !methodsOK {
			return nil, false
		}
		identity.User.Auth = &Authentication{Time: when, Level: level, Methods: methods}
	}
	return identity, true
}

func unescape(value string) (string, bool) {
	text, err := url.PathUnescape(value)
	return text, err == nil
}

func unescapeList(value string) ([]string, bool) {
	list := []string{}
	if value == "" {
		return list, true
	}
	for one := range strings.SplitSeq(value, ",") {
		text, ok := unescape(one)
		if !ok {
			return nil, false
		}
		list = append(list, text)
	}
	return list, true
}
