package api

import (
	"math/rand/v2"
	"net/http"

	"session-api/internal/token"
)

const headerRequestID = "X-Request-Id"

// maxRequestID bounds a request id that the client brings.
const maxRequestID = 128

// requestID returns the client's X-Request-Id where it is harmless to repeat,
// and a new one otherwise.
func requestID(r *http.Request) string {
	if v := r.Header[headerRequestID]; len(v) == 1 && isSafeRequestID(v[0]) {
		return v[0]
	}
	return newRequestID()
}

// newRequestID returns 128 random bits in base32. They need not be
// unpredictable, so they do not come from the kernel.
func newRequestID() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var id [26]byte
	a, b := rand.Uint64(), rand.Uint64() //nolint:gosec // names a request, guards nothing
	for i := range len(id) / 2 {
		id[i], id[len(id)/2+i] = alphabet[a%32], alphabet[b%32]
		a, b = a/32, b/32
	}
	return string(id[:])
}

func isSafeRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID || token.HasPrefix(id) {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return true
}
