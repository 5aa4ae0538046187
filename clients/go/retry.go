package sessionapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"

	mathrand "math/rand/v2"
)

// Retries says how requests are repeated that the service does not answer, or answers with
// 503. The zero value is what WithRetries(Retries{}) does: two repeats, with an
// Idempotency-Key where one is needed.
type Retries struct {
	// Max is how often a request is repeated; 2 if it is 0.
	Max int
	// FirstPause and LongestPause bound the pauses before the first repeat, and before any.
	// They are random, and grow; 200 ms and 5 s if they are 0.
	FirstPause, LongestPause time.Duration
	// LongestWait is the longest Retry-After that is waited for; 30 s if it is 0. What
	// asks for more is returned as it is.
	LongestWait time.Duration
	// NewKey returns the Idempotency-Key of a request that changes something, the same for
	// all its repeats. A random UUID if it is nil.
	NewKey func() string
}

// The defaults of Retries.
const (
	defaultRetries      = 2
	defaultFirstPause   = 200 * time.Millisecond
	defaultLongestPause = 5 * time.Second
	defaultLongestWait  = 30 * time.Second
)

// WithRetries repeats requests whose answers are lost, as far as that does no harm: those
// that read or end something, and those that take an Idempotency-Key, which each of
// them gets unless it has one. The service does these once, however often they arrive; it
// remembers them for its IDEMPOTENCY_TTL_MS, which must not be 0. Put it after
// WithHTTPClient.
//
// A request is repeated if the connection fails, and with 502, 503, 504, and 409 where the
// first one is still in progress. Its context bounds all of it. Bodies of answers to what takes
// a key are read before they are returned, so that one that breaks off is repeated as well.
func WithRetries(r Retries) ClientOption {
	return func(c *Client) error {
		next := c.Client
		if next == nil {
			next = &http.Client{}
		}
		c.Client = &retrier{next: next, Retries: r.withDefaults()}
		return nil
	}
}

func (r Retries) withDefaults() Retries {
	if r.Max == 0 {
		r.Max = defaultRetries
	}
	if r.FirstPause == 0 {
		r.FirstPause = defaultFirstPause
	}
	if r.LongestPause == 0 {
		r.LongestPause = defaultLongestPause
	}
	if r.LongestWait == 0 {
		r.LongestWait = defaultLongestWait
	}
	if r.NewKey == nil {
		r.NewKey = newKey
	}
	return r
}

// retrier is an HttpRequestDoer that repeats requests.
type retrier struct {
	next HttpRequestDoer
	Retries
}

// headerKey is the name of the header that makes a repeat safe.
const headerKey = "Idempotency-Key"

// keyed are the paths of the operations that take an Idempotency-Key, by method. The
// service may have a path before them.
var keyed = map[string]*regexp.Regexp{
	http.MethodPost:  regexp.MustCompile(`/api/(session|session/(operations|touch|regenerate)|sessions|sessions/end|sessions/[^/]+/(touch|regenerate)|import)$`),
	http.MethodPut:   regexp.MustCompile(`/api/(session|sessions/[^/]+)$`),
	http.MethodPatch: regexp.MustCompile(`/api/(session|sessions/[^/]+)$`),
}

// takesKey reports whether the request is of an operation that takes a key.
func takesKey(req *http.Request) bool {
	paths := keyed[req.Method]
	return paths != nil && paths.MatchString(req.URL.Path)
}

// isIdempotent reports whether a request does the same however often it is sent (RFC 9110
// section 9.2.2).
func isIdempotent(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodDelete
}

// Do implements HttpRequestDoer.
func (r *retrier) Do(req *http.Request) (*http.Response, error) {
	withKey := takesKey(req)
	if !withKey && !isIdempotent(req.Method) || req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return r.next.Do(req)
	}
	if withKey && req.Header.Get(headerKey) == "" {
		req.Header.Set(headerKey, r.NewKey())
	}
	for attempt := 0; ; attempt++ {
		resp, err := r.once(req, withKey, attempt)
		wait, again := r.wait(resp, err)
		if attempt == r.Max || !again || req.Context().Err() != nil {
			return resp, err
		}
		if resp != nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
			_ = resp.Body.Close()
		}
		bound := min(r.FirstPause<<attempt, r.LongestPause)
		if err := sleep(req.Context(), wait+mathrand.N(max(bound, 1))); err != nil { //nolint:gosec // nothing is secret about it
			return nil, err
		}
	}
}

// once sends the request, and reads the answer where whole says so.
func (r *retrier) once(req *http.Request, whole bool, attempt int) (*http.Response, error) {
	if attempt > 0 && req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		again := req.Clone(req.Context())
		again.Body = body
		req = again
	}
	resp, err := r.next.Do(req)
	if err != nil || !whole {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	closed := resp.Body.Close()
	if err := errors.Join(err, closed); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// wait returns how long the service asks to wait, and whether the request may fare better
// then.
func (r *retrier) wait(resp *http.Response, err error) (wait time.Duration, again bool) {
	if err != nil {
		return 0, true
	}
	asked := resp.Header.Get("Retry-After")
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	case http.StatusConflict: // of a request in progress, if it says when to come back
		if asked == "" {
			return 0, false
		}
	default:
		return 0, false
	}
	if seconds, err := strconv.Atoi(asked); err == nil {
		wait = time.Duration(max(0, min(seconds, 1<<20))) * time.Second
	} else if at, err := http.ParseTime(asked); err == nil {
		wait = max(0, time.Until(at))
	}
	return wait, wait <= r.LongestWait
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newKey returns a random UUID (RFC 9562 section 5.4) as the header has it: a string of
// RFC 8941.
func newKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	text := hex.EncodeToString(b[:])
	return `"` + text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:] + `"`
}
