package token

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Scope is what a service token allows. Each scope includes those below it: who may
// change a session is answered with it, and who may export them all may read one.
type Scope uint8

const (
	// NoScope allows nothing.
	NoScope Scope = iota
	// ScopeRead allows reading: one session, several, lists, counts, events.
	ScopeRead
	// ScopeWrite allows creating, changing, touching, regenerating and ending one
	// session.
	ScopeWrite
	// ScopeAdmin allows everything: ending many sessions, exports, imports, backups,
	// the cleanup.
	ScopeAdmin
)

var scopeNames = [...]string{"none", "read", "write", "admin"}

func (s Scope) String() string {
	if int(s) < len(scopeNames) {
		return scopeNames[s]
	}
	return fmt.Sprintf("Scope(%d)", uint8(s))
}

// ParseScope returns the scope of a name; ok is false if it is none.
func ParseScope(name string) (scope Scope, ok bool) {
	i := slices.Index(scopeNames[1:], name)
	return Scope(i + 1), i >= 0 //nolint:gosec // there are three
}

// Service is the token of a trusted caller, and what it allows.
type Service struct {
	// Name identifies it in logs and metrics.
	Name  string
	Scope Scope
	// Namespaces are those that it allows; empty for all.
	Namespaces []string
	// Expires is the moment from which on it is invalid; zero for never.
	Expires time.Time
	// Networks are where its caller may be; empty for anywhere. They hold no addresses of
	// IPv4 in IPv6.
	Networks []netip.Prefix
	// Sum is the SHA-256 of the secret.
	Sum [sha256.Size]byte
}

// Sum returns the hash by which the secret of a service token is known.
func Sum(secret string) [sha256.Size]byte {
	var buf [128]byte // most are shorter
	return sha256.Sum256(append(buf[:0], secret...))
}

// FullService returns a token that allows everything, from anywhere and for ever.
func FullService(name, secret string) Service {
	return Service{Name: name, Scope: ScopeAdmin, Sum: Sum(secret)}
}

// IsRestricted reports whether the token allows some namespaces only.
func (t *Service) IsRestricted() bool { return len(t.Namespaces) > 0 }

// AllowsNamespace reports whether the token allows acting on a namespace.
func (t *Service) AllowsNamespace(name string) bool {
	return !t.IsRestricted() || slices.Contains(t.Namespaces, name)
}

// IsExpired reports whether the token has expired at now.
func (t *Service) IsExpired(now time.Time) bool {
	return !t.Expires.IsZero() && !now.Before(t.Expires)
}

// AllowsAddress reports whether the token's caller may be at an address, which is
// neither one of IPv4 in IPv6 nor has a zone.
func (t *Service) AllowsAddress(addr netip.Addr) bool {
	return len(t.Networks) == 0 ||
		slices.ContainsFunc(t.Networks, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// ServiceTokens are the tokens of trusted callers, kept as hashes. They are never
// changed.
type ServiceTokens struct{ tokens []Service }

// NewServiceTokens returns the service tokens of the settings.
func NewServiceTokens(tokens []Service) *ServiceTokens {
	return &ServiceTokens{slices.Clone(tokens)}
}

// Len returns how many there are, those that have expired among them.
func (t *ServiceTokens) Len() int { return len(t.tokens) }

// All returns the tokens.
func (t *ServiceTokens) All() []Service { return t.tokens }

// Find returns the token with a secret, or nil if there is none. It compares hashes,
// all of them, so that neither the content nor the length of a secret shows in the
// time taken. Whether the token is valid at the time, and for its caller, is
// another matter.
func (t *ServiceTokens) Find(secret string) *Service { return t.FindSum(Sum(secret)) }

// FindSum is Find for the hash of a secret.
func (t *ServiceTokens) FindSum(sum [sha256.Size]byte) *Service {
	found := -1
	for i := range t.tokens {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], t.tokens[i].Sum[:]), i, found)
	}
	if found < 0 {
		return nil
	}
	return &t.tokens[found]
}
