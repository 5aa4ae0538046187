package api

import (
	"net/http"
	"slices"

	"session-api/internal/schema"
	"session-api/internal/token"
)

// access is what a route asks of a service token.
type access struct {
	scope token.Scope
	// everywhere: without the parameter namespace, the route is about all of them, and
	// not about the default one.
	everywhere bool
}

// What routes ask. Only the caller's own routes and those about the service are for
// anybody.
var (
	anybody        = access{}
	reads          = access{scope: token.ScopeRead}
	writes         = access{scope: token.ScopeWrite}
	administers    = access{scope: token.ScopeAdmin}
	administersAll = access{scope: token.ScopeAdmin, everywhere: true}
)

// insufficientScope is the error for a service token that does not allow what was asked.
type insufficientScope struct{ missing token.Scope }

func (e *insufficientScope) Error() string {
	return "the service token lacks the scope " + e.missing.String()
}

// challenge is the value of WWW-Authenticate (RFC 6750 section 3.1).
func (e *insufficientScope) challenge() string {
	return `Bearer error="insufficient_scope", scope="` + e.missing.String() + `"`
}

// serviceToken returns the service token with a secret if it is valid now, for a client
// at the request's address; nil otherwise. It counts as a use.
func (s *Server) serviceToken(r *http.Request, k *keys, secret string) *token.Service {
	found := k.services.Find(secret)
	if found == nil {
		if k.services.Len() > 0 {
			s.recordRefusal(r, refusedUnknown, "")
		}
		return nil
	}
	if why := s.invalidity(r, found); why != "" {
		if now := s.Now(); s.hints.allow("service token "+found.Name+" "+why, now) {
			s.Logger.WarnContext(r.Context(), "service token refused", "name", found.Name, "reason", why)
		}
		s.recordRefusal(r, why, found.Name)
		return nil
	}
	if setCaller(r, found) { // a request with an Idempotency-Key is looked at twice
		k.uses[found.Name].add(s.Now())
	}
	return found
}

// invalidity returns why a service token is not valid for a request, or "". It is the
// same 401 for its caller as a secret of no token.
func (s *Server) invalidity(r *http.Request, t *token.Service) string {
	switch {
	case t.IsExpired(s.Now()):
		return "expired"
	case len(t.Networks) > 0:
		if addr, ok := s.proxies.Known(r); !ok || !t.AllowsAddress(addr) {
			return "address"
		}
	}
	return ""
}

// caller returns the service token that came with a request; nil for none.
func caller(r *http.Request) *token.Service {
	c, ok := r.Context().Value(stateKey{}).(*requestState)
	if !ok { // an authorization request has no state
		return nil
	}
	return c.caller
}

// permit returns nil if a service token allows what a request asks of the endpoint.
// Outside its namespaces nothing is there, whatever its scope: a 403 would tell that
// there is something.
func (e *Endpoint) permit(r *http.Request, t *token.Service) error {
	if t.IsRestricted() {
		if err := e.permitNamespace(r, t); err != nil {
			return err
		}
	}
	return permitScope(t, e.access.scope)
}

// permitScope returns nil if a service token, or nil where none is needed, has the scope.
func permitScope(t *token.Service, scope token.Scope) error {
	if t != nil && t.Scope < scope {
		return &insufficientScope{scope}
	}
	return nil
}

func (e *Endpoint) permitNamespace(r *http.Request, t *token.Service) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	if e.access.everywhere && (!q.Has("namespace") || !slices.Contains(e.query, "namespace")) {
		return errAllNamespaces
	}
	name, err := namespace(q)
	if err == nil && !t.AllowsNamespace(name) {
		err = errSessionNotFound
	}
	return err
}

// permitOwn returns nil if a service token, or nil for none, may come with a request for
// a session that a cookie opens. It gives rights that its visitor does not have, such as
// writing the user.
func permitOwn(t *token.Service) error {
	if t != nil && !t.AllowsNamespace(schema.DefaultNamespace) {
		return errSessionNotFound
	}
	return permitScope(t, token.ScopeWrite)
}
