package token

import (
	"strings"

	"session-api/internal/schema"
)

const (
	prefix = "s:"
	// escapedPrefix is prefix as encodeURIComponent spells it.
	escapedPrefix = "s%3A"
	// signatureLen is the length of an HMAC-SHA256 in base64 without padding.
	signatureLen = 43
	// maxLen is the length of the longest token, percent-encoded.
	maxLen = 3*(len(prefix)+128+1) + 3*signatureLen
)

// WellFormed reports whether text has the form of a token, in either spelling,
// whoever signed it.
func WellFormed(text string) bool {
	_, _, ok := parse(text)
	return ok
}

// HasPrefix reports whether text begins as a session's token does. It tells one
// from a service token in an Authorization header.
func HasPrefix(text string) bool {
	return strings.HasPrefix(text, prefix) || strings.HasPrefix(text, escapedPrefix) || strings.HasPrefix(text, "s%3a")
}

// IsPlain reports whether text holds nothing but bytes that a token can have,
// percent-encoded or not.
func IsPlain(text string) bool {
	for i := range len(text) {
		if !alphabet[text[i]] {
			return false
		}
	}
	return true
}

// alphabet holds the bytes that a token can have, percent-encoded or not.
var alphabet = func() (set [256]bool) {
	for _, c := range "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz%.:-_+/" {
		set[c] = true
	}
	return set
}()

// parse splits a token, in either spelling. ok says that it is well-formed, not
// that its signature is valid.
func parse(token string) (id, signature string, ok bool) {
	if len(token) > maxLen {
		return "", "", false
	}
	if strings.Contains(token, "%") {
		var plain [maxLen]byte
		n, ok := percentDecode(plain[:], token)
		if !ok {
			return "", "", false
		}
		token = string(plain[:n])
	}
	rest, ok := strings.CutPrefix(token, prefix)
	if !ok {
		return "", "", false
	}
	id, signature, ok = strings.Cut(rest, ".")
	return id, signature, ok && len(signature) == signatureLen && schema.ValidForeignID(id)
}

// appendEscaped appends the token of an id and its signature as url.QueryEscape
// spells it: only these three of its characters need an escape.
func appendEscaped(b []byte, id string, signature *[signatureLen]byte) []byte {
	b = append(append(append(b, escapedPrefix...), id...), '.')
	for _, c := range signature {
		switch c {
		case '+':
			b = append(b, "%2B"...)
		case '/':
			b = append(b, "%2F"...)
		default:
			b = append(b, c)
		}
	}
	return b
}

// percentDecode writes the decoded s to dst, which is at least as long, and
// returns its length. ok is false where a % is not followed by two hex digits.
func percentDecode(dst []byte, s string) (n int, ok bool) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if len(s)-i < 3 {
				return 0, false
			}
			high, highOK := hexDigit(s[i+1])
			low, lowOK := hexDigit(s[i+2])
			if !highOK || !lowOK {
				return 0, false
			}
			c = high<<4 | low
			i += 2
		}
		dst[n] = c
		n++
	}
	return n, true
}

func hexDigit(c byte) (value byte, ok bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
