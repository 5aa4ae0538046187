package api

import (
	"net/http"
	"strings"
)

// The identity headers for gateways. All are always set, so that a gateway which copies
// them overwrites those of its client. The last names values that were left out because
// they are too long: a truncated list would pass for a complete one.
const (
	headerSessionID  = "X-Session-Id"
	headerUserID     = "X-User-Id"
	headerUserEmail  = "X-User-Email"
	headerUserRoles  = "X-User-Roles"
	headerIncomplete = "X-User-Incomplete"
	headerSessionJWT = "X-Session-Jwt" // where the settings say so
)

// longestRoles bounds the list of roles, in bytes. Servers and gateways bound the headers
// that they read (nginx those of a whole answer, to 4 KiB by default) and fail beyond
// that, which would lock out users with many roles. The schema bounds the user's id and
// address.
const longestRoles = 2048

// noUser is the value of a header about the user of a session without one.
var noUser = []string{""}

var incompleteRoles = []string{"roles"}

// setIdentity sets the headers of an answer that lets a request pass.
func setIdentity(h http.Header, ar *authRequest, d *authDecision) {
	values := &ar.identity
	values[0] = d.sess.ID
	h[headerSessionID] = values[0:1:1]
	h[headerUserID], h[headerUserEmail], h[headerUserRoles], h[headerIncomplete] = noUser, noUser, noUser, noUser
	if u := d.user; u != nil {
		values[1], values[2], values[3] = headerValue(u.ID), headerValue(u.Email), roleList(u.Roles)
		h[headerUserID], h[headerUserEmail], h[headerUserRoles] = values[1:2:2], values[2:3:3], values[3:4:4]
		if len(values[3]) > longestRoles {
			values[3] = ""
			h[headerIncomplete] = incompleteRoles
		}
	}
	setSignIn(h, d.user)
}

// headerValue returns text in visible ASCII: all else, and what would make it
// ambiguous, percent-encoded byte by byte.
func headerValue(text string) string {
	if !needsEscape(text, false) {
		return text
	}
	return string(appendEscaped(nil, text, false))
}

// roleList returns the roles as one value. One that is too long need not be whole.
func roleList(roles []string) string {
	if len(roles) == 1 && !needsEscape(roles[0], true) {
		return roles[0]
	}
	var b strings.Builder
	for i, role := range roles {
		if b.Len() > longestRoles {
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		if needsEscape(role, true) {
			b.Write(appendEscaped(nil, role, true))
			continue
		}
		b.WriteString(role)
	}
	return b.String()
}

// escaped reports whether a byte is percent-encoded in a header's value; in a
// list a comma is, too.
func escaped(c byte, inList bool) bool {
	return c <= ' ' || c > '~' || c == '%' || inList && c == ','
}

func needsEscape(text string, inList bool) bool {
	for i := range len(text) {
		if escaped(text[i], inList) {
			return true
		}
	}
	return false
}

func appendEscaped(dst []byte, text string, inList bool) []byte {
	const hexDigits = "0123456789ABCDEF"
	for i := range len(text) {
		c := text[i]
		if escaped(c, inList) {
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
			continue
		}
		dst = append(dst, c)
	}
	return dst
}
