package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// headerIdempotencyKey is the key by which a client names a request that it repeats
// until it has an answer (draft-ietf-httpapi-idempotency-key-header).
const headerIdempotencyKey = "Idempotency-Key"

// The limits of a key, in characters. minAnonymousKey is the length of a UUID: keys of
// callers without a credential share one scope, so that only what cannot be guessed
// keeps one from another's answer.
const (
	minKey          = 16
	maxKey          = 255
	minAnonymousKey = 36
)

func invalidKey(format string, args ...any) error {
	return &problem{codeInvalidIdempotencyKey, fmt.Sprintf(format, args...)}
}

// parseIdempotencyKey returns the key of the header's values: a string of RFC 8941
// section 3.3.3, in quotes, or the same bare. No error shows any of it.
func parseIdempotencyKey(values []string) (string, error) {
	if len(values) != 1 {
		return "", invalidKey("Send one Idempotency-Key.")
	}
	key := values[0]
	if strings.HasPrefix(key, `"`) {
		var ok bool
		if key, ok = unquoteKey(key); !ok {
			return "", invalidKey(`An Idempotency-Key that begins with a quotation mark ends with one, has no others but for \" and \\, and nothing after it (RFC 8941 section 3.3.3).`)
		}
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return "", invalidKey("An Idempotency-Key has visible ASCII characters alone, and no spaces.")
		}
	}
	if len(key) < minKey || len(key) > maxKey {
		return "", invalidKey("An Idempotency-Key has %d to %d characters, such as a UUID.", minKey, maxKey)
	}
	return key, nil
}

// unquoteKey returns the content of a string of RFC 8941.
func unquoteKey(quoted string) (text string, ok bool) {
	inner, ended := strings.CutSuffix(quoted[1:], `"`)
	if !ended {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		switch c := inner[i]; c {
		case '"':
			return "", false
		case '\\':
			if i++; i == len(inner) || inner[i] != '"' && inner[i] != '\\' {
				return "", false
			}
			b.WriteByte(inner[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

// requester is to whom an Idempotency-Key belongs.
type requester struct {
	// service is the service token that came, empty for none.
	service string
	// sessions are the ids of the sessions whose tokens came, whether they live or not: a
	// regenerate that is repeated comes with a token that has ended since.
	sessions []string
	// bearer reports that the first of them is of a bearer token.
	bearer bool
	// cookies is the number of session cookies, valid or not.
	cookies int
}

// isAnonymous reports whether nothing tells the caller from others.
func (c *requester) isAnonymous() bool { return c.service == "" && len(c.sessions) == 0 }

// withCookie returns the caller that a browser becomes by a cookie of the session.
func (c *requester) withCookie(id string) requester {
	next := requester{service: c.service, bearer: c.bearer, sessions: []string{id}}
	if c.bearer {
		next.sessions = []string{c.sessions[0], id}
	}
	return next
}

// request names the caller's request with the key.
func (c *requester) request(key string) backend.RequestKey {
	parts := append([]string{"request", c.service}, c.sessions...)
	return digest(append(parts, key)...)
}

// mark names the request in the facts of a session that it changes. It is of no session's
// token: a visitor whose session was regenerated meanwhile repeats with another one, and
// the facts come along.
func (c *requester) mark(key string, asked backend.Fingerprint) string {
	sum := digest("mark", c.service, key, string(asked[:]))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:schema.MarkLen]
}

// digest is SHA-256 over the parts, each after its length.
func digest(parts ...string) (sum [sha256.Size]byte) {
	h := sha256.New()
	var room [8]byte
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint64(room[:0], uint64(len(part))))
		h.Write([]byte(part))
	}
	h.Sum(sum[:0])
	return sum
}

// requesterOf returns whose request it is. With a route for services, the routing has
// checked that the token is one.
func (s *Server) requesterOf(r *http.Request, service bool) (c requester, err error) {
	var cred credential
	if !service {
		if cred, err = s.readOwnCredential(r); err != nil {
			return c, err
		}
		var room [maxOpeners]string
		c.sessions, c.bearer, c.cookies = cred.ids(room[:0]), cred.bearer && cred.ID != "", cred.cookies
	}
	if cred.service || service && s.keys.Load().services.Len() > 0 {
		c.service, _, err = bearerToken(r)
	}
	return c, err
}
