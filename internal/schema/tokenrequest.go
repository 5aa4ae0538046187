package schema

import (
	"strconv"
	"time"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// TokenRequest is the body of a request for a token that services verify.
type TokenRequest struct {
	// Audience is who the token is for; empty where the body does not say.
	Audience string
	// TTL is how long it is to live, 0 where the body does not say.
	TTL time.Duration
}

// maxAudience bounds an audience, in bytes.
const maxAudience = 256

// DecodeTokenRequest reads the body of a request for a token: an object whose only members
// may be audience and ttlMs, a second or more, and maxTTL at most. The error is an *Error.
func DecodeTokenRequest(body []byte, maxTTL time.Duration) (t TokenRequest, err error) {
	err = decodeBatch(body, "only audience and ttlMs are taken here", func(name string, value []byte, m *fieldErrors) bool {
		switch name {
		case "audience":
			var problem string
			if t.Audience, problem = readText(value, maxAudience); problem == "" && t.Audience == "" {
				problem = "must not be empty"
			}
			if jsonscan.KindOf(value) != jsontext.KindString {
				problem = "must be a string"
			}
			if problem != "" {
				m.add("/audience", problem)
			}
		case "ttlMs":
			ttl, ok := readMillis(value)
			if !ok || ttl < time.Second || ttl > maxTTL {
				m.add("/ttlMs", "must be a whole number of milliseconds from 1000 to "+strconv.FormatInt(maxTTL.Milliseconds(), 10))
			}
			t.TTL = ttl
		default:
			return false
		}
		return true
	}, func(*fieldErrors) {})
	if err != nil {
		return TokenRequest{}, err
	}
	return t, nil
}
