package api

import (
	"net/http"
	"net/url"
)

// query returns the request's query parameters, each at most once. Parameters
// that a route does not know are left alone: gateways and browsers add theirs.
func query(r *http.Request) (url.Values, error) {
	if r.URL.RawQuery == "" {
		return nil, nil
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &problem{codeInvalidQuery, "The query is not well-formed."}
	}
	return q, nil
}

// checkQuery refuses a malformed query on every route, also where none is read:
// net/url would silently drop the part that it cannot read.
func (s *Server) checkQuery(next http.Handler) http.Handler {
	return s.handle(func(w http.ResponseWriter, r *http.Request) error {
		if _, err := query(r); err != nil {
			return err
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// one returns the parameter's value, or def where it is absent.
func one(q url.Values, name, def string) (string, error) {
	switch values := q[name]; len(values) {
	case 0:
		return def, nil
	case 1:
		return values[0], nil
	default:
		return "", &problem{codeInvalidQuery, "Send " + name + " once."}
	}
}

// flag returns the value of a parameter that is true or false.
func flag(r *http.Request, name string, def bool) (bool, error) {
	q, err := query(r)
	if err != nil {
		return false, err
	}
	value, err := one(q, name, "")
	if err != nil {
		return false, err
	}
	switch value {
	case "":
		if q.Has(name) {
			break
		}
		return def, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, &problem{codeInvalidQuery, name + " is true or false."}
}
