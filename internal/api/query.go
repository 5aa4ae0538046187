package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"unicode/utf8"

	"session-api/internal/jsonscan"
	"session-api/internal/schema"
)

// query returns the request's query parameters, those that the route does not
// know among them.
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
func checkQuery(r *http.Request) error {
	_, err := query(r)
	return err
}

// singleValue returns the parameter's value, or def where it is absent.
func singleValue(q url.Values, name, def string) (string, error) {
	switch values := q[name]; len(values) {
	case 0:
		return def, nil
	case 1:
		return values[0], nil
	default:
		return "", &problem{codeInvalidQuery, "Send " + name + " once."}
	}
}

// boolParameter returns the value of a parameter that is true or false.
func boolParameter(r *http.Request, name string, def bool) (bool, error) {
	q, err := query(r)
	if err != nil {
		return false, err
	}
	value, err := singleValue(q, name, "")
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

// namespace returns the namespace that a service route acts on.
func namespace(q url.Values) (string, error) {
	name, err := singleValue(q, "namespace", schema.DefaultNamespace)
	if err == nil && !schema.ValidNamespace(name) {
		err = &problem{codeInvalidQuery, "namespace is 1 to 32 characters of a-z, 0-9 and -."}
	}
	return name, err
}

// requestedNamespace returns the parameter namespace of a service route.
func requestedNamespace(r *http.Request) (string, error) {
	q, err := query(r)
	if err != nil {
		return "", err
	}
	return namespace(q)
}

// maxUserID is how long the id of a user can be, in bytes.
const maxUserID = 256

// userID returns the parameter userId, or "" if it is absent. An empty value is an error:
// a request for one user must not act on all.
func userID(q url.Values) (string, error) {
	id, err := singleValue(q, "userId", "")
	if err == nil && q.Has("userId") && (id == "" || len(id) > maxUserID || !utf8.ValidString(id)) {
		err = &problem{codeInvalidQuery, "userId is 1 to 256 bytes of UTF-8."}
	}
	return id, err
}

// intParameter returns the value of a parameter that is a whole number from low to
// high, in whatever spelling JSON has for it.
func intParameter(q url.Values, name string, def, low, high int) (int, error) {
	value, err := singleValue(q, name, strconv.Itoa(def))
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		var ok bool
		if n, ok = jsonscan.WholeNumber(value); !ok {
			n = -1
		}
	}
	if n < int64(low) || n > int64(high) || value[0] == '+' {
		return 0, &problem{codeInvalidQuery, fmt.Sprintf("%s is a whole number from %d to %d.", name, low, high)}
	}
	return int(n), nil
}
