package jwt

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"session-api/internal/jsonscan"
	"session-api/internal/schema"

	"github.com/go-json-experiment/json/jsontext"
)

// Mapping puts a member of a section into tokens, as a claim.
type Mapping struct {
	Claim string
	// Path is the section, and the names of members beneath it.
	Path []string
}

// String is what ParseMapping reads.
func (m Mapping) String() string { return m.Claim + "=" + strings.Join(m.Path, ".") }

const (
	maxMappings = 32
	// maxClaimName bounds the name of a claim, in bytes.
	maxClaimName = 64
	// maxMappedValue bounds the value of a mapped claim, and maxMapped all of them
	// together, in bytes of JSON. What is larger is left out.
	maxMappedValue = 1 << 10
	maxMapped      = 2 << 10
)

// reservedClaims have a meaning to consumers (RFC 7519, RFC 7662, RFC 8693, RFC 9068,
// OpenID Connect) that no visitor's data may fill.
var reservedClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "auth_time", "amr", "acr", "roles",
	"active", "token_type", "scope", "scp", "client_id", "username", "azp", "nonce", "at_hash", "c_hash", "s_hash",
	"cnf", "act", "may_act", "events", "toe", "txn", "groups", "entitlements", "permissions", "email_verified",
	"phone_number_verified", "vot", "vtm", "trust_framework", "_claim_names", "_claim_sources", "sub_id", "sub_jwk",
}

var (
	freeSections = []string{"inputs", "apiConfig", "results", "meta"}
	userMembers  = []string{"id", "email", "roles"}
)

// ParseMapping reads a mapping as claim=section.member, such as plan=meta.plan. Of the
// user, id, email and roles can be mapped.
func ParseMapping(text string) (Mapping, error) {
	claim, path, ok := strings.Cut(text, "=")
	claim, path = strings.TrimSpace(claim), strings.TrimSpace(path)
	m := Mapping{Claim: claim, Path: strings.Split(path, ".")}
	switch {
	case !ok || claim == "" || path == "":
		return m, fmt.Errorf("%s is not of the form claim=section.member", strconv.Quote(text))
	case len(claim) > maxClaimName || strings.ContainsFunc(claim, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }):
		return m, fmt.Errorf("%s is no name of a claim: up to %d characters of ASCII without spaces, quotes and backslashes are", strconv.Quote(claim), maxClaimName)
	case slices.Contains(reservedClaims, claim):
		return m, fmt.Errorf("the claim %s is reserved: consumers take it for the service's word", claim)
	case m.Path[0] == "user":
		if len(m.Path) != 2 || !slices.Contains(userMembers, m.Path[1]) {
			return m, fmt.Errorf("%s: of the user, user.id, user.email and user.roles can be mapped", claim)
		}
	case !slices.Contains(freeSections, m.Path[0]):
		return m, fmt.Errorf("%s: %s is no section: user, %s are", claim, strconv.Quote(m.Path[0]), strings.Join(freeSections, ", "))
	case len(m.Path) < 2 || slices.Contains(m.Path, ""):
		return m, fmt.Errorf("%s: name a member of the section, as in meta.plan", claim)
	}
	return m, nil
}

// ParseMappings reads mappings. No two may have one claim.
func ParseMappings(texts []string) ([]Mapping, error) {
	var all []Mapping
	for _, text := range texts {
		m, err := ParseMapping(text)
		switch {
		case err != nil:
			return nil, err
		case slices.ContainsFunc(all, func(o Mapping) bool { return o.Claim == m.Claim }):
			return nil, fmt.Errorf("the claim %s is named twice", m.Claim)
		}
		all = append(all, m)
	}
	if len(all) > maxMappings {
		return nil, fmt.Errorf("at most %d claims can be mapped", maxMappings)
	}
	return all, nil
}

// appendMapped appends the mapped claims of a session, each with a comma before it.
func appendMapped(dst []byte, mappings []Mapping, sess *schema.Session) ([]byte, error) {
	if len(mappings) == 0 {
		return dst, nil
	}
	sections, err := sess.Sections()
	if err != nil {
		return nil, err
	}
	room := maxMapped
	for _, m := range mappings {
		value := m.value(&sections)
		if len(value) == 0 || len(value) > maxMappedValue || len(value) > room || !isClaimValue(value) {
			continue
		}
		room -= len(value)
		dst = append(dst, ',')
		dst = jsonscan.AppendQuoted(dst, m.Claim)
		dst = append(dst, ':')
		dst = append(dst, value...)
	}
	return dst, nil
}

// value returns the mapped member as JSON; nil if there is none.
func (m *Mapping) value(s *schema.Sections) []byte {
	var value jsontext.Value
	switch m.Path[0] {
	case "user":
		return userValue(s.User, m.Path[1])
	case "inputs":
		value = s.Inputs
	case "apiConfig":
		value = s.APIConfig
	case "results":
		value = s.Results
	default:
		value = s.Meta
	}
	for _, name := range m.Path[1:] {
		if len(value) == 0 || jsonscan.KindOf(value) != jsontext.KindBeginObject {
			return nil
		}
		value = jsonscan.LookUp(value, name)
	}
	return value
}

// userValue returns a member of the user as JSON.
func userValue(user *schema.User, name string) []byte {
	switch {
	case user == nil:
		return nil
	case name == "id":
		return jsonscan.AppendQuoted(nil, user.ID)
	case name == "email":
		return jsonscan.AppendQuoted(nil, user.Email)
	default:
		return appendTexts(nil, user.Roles)
	}
}

// isClaimValue reports whether a value is a string, a number, a boolean or an array of
// strings.
func isClaimValue(value []byte) bool {
	switch jsonscan.KindOf(value) {
	case jsontext.KindBeginObject, jsontext.KindNull:
		return false
	case jsontext.KindBeginArray:
		for start, end, ok := jsonscan.NextElement(value, 1); ok; start, end, ok = jsonscan.NextElement(value, end) {
			if jsonscan.KindOf(value[start:end]) != jsontext.KindString {
				return false
			}
		}
	}
	return true
}
