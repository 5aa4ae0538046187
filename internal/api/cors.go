package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// corsPolicy is CORS (https://fetch.spec.whatwg.org/#http-cors-protocol) with
// credentials, for exact origins. It says why it refuses a preflight, which
// handlers of CORS usually keep to themselves.
type corsPolicy struct {
	s       *Server
	origins map[string]bool
	headers map[string]bool // that requests may have, in lower case
}

// requestHeaders are those that frontends send: what the routes read, what
// libraries add to requests by themselves, and what tracers add.
var requestHeaders = []string{
	"Accept", "Accept-Language", "Authorization", "Cache-Control", "Content-Language", "Content-Type", "Expires",
	"Idempotency-Key", "If-Match", "If-Modified-Since", "If-None-Match", "If-Unmodified-Since", "Last-Event-Id",
	"Pragma", "Prefer", "Priority", "Range", "X-Correlation-Id", "X-Csrf-Token", headerRequestID, "X-Requested-With",
	"X-Xsrf-Token",
	// https://www.w3.org/TR/trace-context/, https://www.w3.org/TR/baggage/, B3, Sentry, Datadog, New Relic,
	// Application Insights, AWS X-Ray, Jaeger, Elastic
	"Traceparent", "Tracestate", "Baggage", "B3", "X-B3-Traceid", "X-B3-Spanid", "X-B3-Parentspanid", "X-B3-Sampled",
	"X-B3-Flags", "Sentry-Trace", "X-Datadog-Origin", "X-Datadog-Parent-Id", "X-Datadog-Sampling-Priority",
	"X-Datadog-Tags", "X-Datadog-Trace-Id", "Newrelic", "Request-Id", "Request-Context", "X-Amzn-Trace-Id",
	"Uber-Trace-Id", "Elastic-Apm-Traceparent",
}

// exposedHeaders are those of answers that pages may read, beyond the few that
// they always may.
var exposedHeaders = []string{
	"Etag", "Location", "Retry-After", headerRequestID, "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset",
	headerReplayed, "Deprecation", "Sunset", "Link", "Allow", "Www-Authenticate", "Date",
	headerSessionToken, // of a page that has the token already
}

// Header values of CORS that never change.
var (
	varyOrigin    = []string{"Origin"}
	varyPreflight = []string{"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
	exposed       = []string{strings.Join(exposedHeaders, ", ")}
	yes           = []string{"true"}
	preflightAge  = []string{"600"} // seconds; browsers cap it, some at this
)

func (s *Server) newCORSPolicy() (*corsPolicy, error) {
	c := &corsPolicy{s: s, origins: map[string]bool{}, headers: map[string]bool{}}
	for _, origin := range s.AllowedOrigins {
		c.origins[origin] = true
	}
	for _, name := range slices.Concat(requestHeaders, s.AllowedHeaders) {
		if !IsHeaderName(name) {
			return nil, fmt.Errorf("api: allowed headers: %q is no name of a header", name)
		}
		c.headers[strings.ToLower(name)] = true
	}
	return c, nil
}

// IsHeaderName reports whether the text is the name of a header (RFC 9110
// section 5.1). * is none here: where credentials are sent, browsers take it
// for a name of its own.
func IsHeaderName(text string) bool {
	return text != "" && text != "*" && !strings.ContainsFunc(text, func(c rune) bool {
		return c <= ' ' || c > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

func (c *corsPolicy) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := first(r.Header["Origin"])
		if origin != "" && isPreflight(r) {
			if err := c.preflight(w, r, origin); err != nil {
				c.s.writeProblem(w, r, err)
			}
			return
		}
		h := w.Header()
		if len(c.origins) > 0 {
			h["Vary"] = append(h["Vary"], varyOrigin...)
		}
		switch {
		case origin == "":
		case c.origins[origin]:
			c.admit(h, r)
			h["Access-Control-Expose-Headers"] = exposed
		case isOtherOrigin(r, origin):
			c.s.logUnlistedOrigin(w, r, origin)
		}
		next.ServeHTTP(w, r)
	})
}

// admit lets pages of the request's origin have the answer.
func (c *corsPolicy) admit(h http.Header, r *http.Request) {
	h["Access-Control-Allow-Origin"] = r.Header["Origin"][:1:1]
	h["Access-Control-Allow-Credentials"] = yes
}

func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Access-Control-Request-Method"]) > 0
}

// preflight answers a CORS preflight request. Whether the path has the method is left
// to the request itself, since a page cannot read the answer to a preflight.
func (c *corsPolicy) preflight(w http.ResponseWriter, r *http.Request, origin string) error {
	h := w.Header()
	h["Vary"] = varyPreflight
	if !c.origins[origin] {
		if len(c.s.allowedMethods(r.URL.EscapedPath())) == 0 {
			return errNoRoute
		}
		c.s.logUnlistedOrigin(w, r, origin)
		return errForbiddenPreflight
	}
	c.admit(h, r)
	if refusal := c.refuse(r); refusal != nil {
		c.s.logRefusedOrigin(w, r, origin, refusal)
		return refusal
	}
	h["Access-Control-Allow-Methods"] = r.Header["Access-Control-Request-Method"][:1:1]
	if asked := r.Header["Access-Control-Request-Headers"]; len(asked) > 0 {
		h["Access-Control-Allow-Headers"] = []string{strings.Join(asked, ",")}
	}
	h["Access-Control-Max-Age"] = preflightAge
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// refuse returns why a page of a listed origin may not send what it wants to.
func (c *corsPolicy) refuse(r *http.Request) *problem {
	method := r.Header["Access-Control-Request-Method"][0]
	if !slices.Contains(sessionMethods, method) {
		return &problem{codePreflightRefused, "Pages of other origins may send " + enumerate(sessionMethods) +
			", but not " + shownName(method) + ". Methods are spelt in upper case."}
	}
	var refused []string
	for _, list := range r.Header["Access-Control-Request-Headers"] {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.Trim(name, " \t"); name != "" && !c.headers[strings.ToLower(name)] {
				refused = append(refused, name)
			}
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return &problem{codePreflightRefused, "Pages of other origins may not send the request header " + quotedList(refused) +
		". Leave it out, or add it to CORS_ALLOWED_HEADERS."}
}
