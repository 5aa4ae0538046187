package jwt

import (
	"strconv"
	"time"

	"session-api/internal/jsonscan"
	"session-api/internal/schema"
)

// claims are those that do not come from the session. A zero one is left out.
type claims struct {
	issuer, audience, id string
	issuedAt, expiresAt  time.Time
	mappings             []Mapping
}

// maxRoles bounds the roles of a token, in bytes of JSON. Longer ones are left out, all of
// them: a part would pass for the whole.
const maxRoles = 2 << 10

// appendClaims appends the claims of a token (RFC 7519 section 4, OpenID Connect Core
// section 2, and sid of OpenID Connect Front-Channel Logout). Without a user there is no
// sub.
func appendClaims(dst []byte, c *claims, sess *schema.Session) ([]byte, error) {
	user, err := sess.User()
	if err != nil {
		return nil, err
	}
	dst = append(dst, '{')
	text := func(name, value string) {
		if value != "" {
			dst = append(appendName(dst, name), jsonscan.AppendQuoted(nil, value)...)
		}
	}
	number := func(name string, t time.Time) {
		if !t.IsZero() {
			dst = strconv.AppendInt(appendName(dst, name), t.Unix(), 10)
		}
	}
	text("iss", c.issuer)
	text("aud", c.audience)
	if user != nil {
		text("sub", user.ID)
	}
	text("sid", sess.ID)
	number("iat", c.issuedAt)
	number("exp", c.expiresAt)
	text("jti", c.id)
	var roles []string
	if user != nil {
		roles = user.Roles
		if auth := user.Auth; auth != nil {
			number("auth_time", auth.Time)
			if len(auth.Methods) > 0 {
				dst = appendTexts(appendName(dst, "amr"), auth.Methods)
			}
			text("acr", auth.Level)
		}
	}
	if list := appendTexts(nil, roles); len(list) <= maxRoles {
		dst = append(appendName(dst, "roles"), list...)
	}
	if dst, err = appendMapped(dst, c.mappings, sess); err != nil {
		return nil, err
	}
	return append(dst, '}'), nil
}

// appendName appends the name of a claim, with a comma before it if it is not the first.
func appendName(dst []byte, name string) []byte {
	if len(dst) > 1 {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), name...), '"', ':')
}

// appendTexts appends an array of strings.
func appendTexts(dst []byte, texts []string) []byte {
	dst = append(dst, '[')
	for i, text := range texts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonscan.AppendQuoted(dst, text)
	}
	return append(dst, ']')
}

// Describe returns the claims of a session as a JSON object, for who asks about its own
// token: exp is the session's deadline, and iat its creation. A nil Issuer has neither iss
// nor mapped claims.
func (i *Issuer) Describe(sess *schema.Session) ([]byte, error) {
	c := claims{issuedAt: sess.CreatedAt, expiresAt: sess.ExpiresAt}
	if i != nil {
		c.issuer, c.mappings = i.options.Issuer, i.options.Mappings
	}
	return appendClaims(nil, &c, sess)
}
