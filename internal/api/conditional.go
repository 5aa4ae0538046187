package api

import (
	"net/http"
	"slices"
	"strings"

	"session-api/internal/schema"
)

// etags is an If-Match or If-None-Match header (RFC 9110 section 13.1).
type etags struct {
	present bool
	any     bool // *
	tags    []string
}

// parseETags reads the header's entity tags, weak ones with their W/. Elements of
// the list may be empty (RFC 9110 section 5.6.1.2).
func parseETags(r *http.Request, name string) (etags, error) {
	values := r.Header[name]
	if len(values) == 0 {
		return etags{}, nil
	}
	malformed := &problem{codeInvalidHeader, name + ` takes * or quoted entity tags, as the ETag header gave them.`}
	e := etags{present: true}
	rest := strings.Trim(strings.Join(values, ","), " \t")
	if rest == "*" {
		e.any = true
		return e, nil
	}
	for rest = strings.TrimLeft(rest, ", \t"); rest != ""; rest = strings.TrimLeft(rest, ", \t") {
		tag, after, ok := cutETag(rest)
		if !ok {
			return etags{}, malformed
		}
		e.tags = append(e.tags, tag)
		if rest = strings.TrimLeft(after, " \t"); rest != "" && rest[0] != ',' {
			return etags{}, malformed
		}
	}
	if len(e.tags) == 0 {
		return etags{}, malformed
	}
	return e, nil
}

// cutETag cuts one entity tag (RFC 9110 section 8.8.3) off the front of s.
func cutETag(s string) (tag, rest string, ok bool) {
	start := 0
	if strings.HasPrefix(s, "W/") {
		start = 2
	}
	if len(s) <= start || s[start] != '"' {
		return "", "", false
	}
	for i := start + 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[:i+1], s[i+1:], true
		case c < 0x21 || c == 0x7f:
			return "", "", false
		}
	}
	return "", "", false
}

// matchStrong compares as If-Match does: a weak tag matches nothing.
func (e etags) matchStrong(etag string) bool {
	if e.any {
		return true
	}
	return slices.Contains(e.tags, etag)
}

// matchWeak compares as If-None-Match does: W/ makes no difference.
func (e etags) matchWeak(etag string) bool {
	if e.any {
		return true
	}
	return slices.ContainsFunc(e.tags, func(tag string) bool { return strings.TrimPrefix(tag, "W/") == etag })
}

// ifMatch returns the condition that the request's If-Match puts on a session,
// nil for none.
func (s *Server) ifMatch(r *http.Request) (func(schema.Session) error, error) {
	match, err := parseETags(r, "If-Match")
	switch {
	case err != nil:
		return nil, err
	case !match.present && s.RequireIfMatch:
		return nil, errPreconditionRequired
	case !match.present:
		return nil, nil //nolint:nilnil // no header, no condition
	}
	return func(sess schema.Session) error {
		if !match.matchStrong(sess.ETag()) {
			return errPreconditionFailed
		}
		return nil
	}, nil
}

// putConditions returns what If-Match and If-None-Match ask of a session that
// is there, and whether one may be created where there is none.
func (s *Server) putConditions(r *http.Request) (cond func(schema.Session) error, creates bool, err error) {
	match, err := parseETags(r, "If-Match")
	if err != nil {
		return nil, false, err
	}
	none, err := parseETags(r, "If-None-Match")
	if err != nil {
		return nil, false, err
	}
	if s.RequireIfMatch && !match.present && !none.any {
		return nil, false, errPreconditionRequired
	}
	if !match.present && !none.present {
		return nil, true, nil
	}
	cond = func(sess schema.Session) error {
		switch tag := sess.ETag(); {
		case match.present && !match.matchStrong(tag):
			return errPreconditionFailed
		case none.present && none.matchWeak(tag):
			return errSessionExists
		}
		return nil
	}
	return cond, !match.present, nil
}
