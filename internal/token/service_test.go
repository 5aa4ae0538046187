package token

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServiceTokens(t *testing.T) {
	none := NewServiceTokens(nil)
	assert.Zero(t, none.Len())
	assert.Nil(t, none.Find(""))

	s := NewServiceTokens([]Service{FullService("a", "one"), FullService("b", "two"), FullService("c", "one")})
	assert.Equal(t, 3, s.Len())
	assert.Equal(t, "b", s.Find("two").Name)
	assert.Equal(t, "c", s.Find("one").Name, "the last of several that are alike")
	assert.Equal(t, "b", s.FindSum(Sum("two")).Name)
	for _, other := range []string{"", "on", "onee", "ONE", strings.Repeat("one", 100)} {
		assert.Nil(t, s.Find(other), other)
	}
	long := strings.Repeat("x", 1000)
	assert.Equal(t, "long", NewServiceTokens([]Service{FullService("long", long)}).Find(long).Name)
}

func TestScopes(t *testing.T) {
	for i, name := range []string{"read", "write", "admin"} {
		scope, ok := ParseScope(name)
		require.True(t, ok)
		assert.Equal(t, Scope(i+1), scope)
		assert.Equal(t, name, scope.String())
	}
	for _, name := range []string{"", "none", "Read", "read,write"} {
		scope, ok := ParseScope(name)
		assert.False(t, ok, name)
		assert.Equal(t, NoScope, scope, name)
	}
	assert.Equal(t, "Scope(9)", Scope(9).String())
}

func TestService_limits(t *testing.T) {
	at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	full := FullService("full", "secret")
	assert.False(t, full.IsExpired(at))
	assert.False(t, full.IsRestricted())
	assert.True(t, full.AllowsNamespace("any"))
	assert.True(t, full.AllowsAddress(netip.Addr{}))

	one := Service{
		Namespaces: []string{"shop"}, Expires: at,
		Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
	}
	assert.True(t, one.IsRestricted())
	assert.True(t, one.AllowsNamespace("shop"))
	assert.False(t, one.AllowsNamespace("default"))
	assert.False(t, one.IsExpired(at.Add(-time.Nanosecond)))
	assert.True(t, one.IsExpired(at), "from the moment on")
	assert.True(t, one.AllowsAddress(netip.MustParseAddr("10.1.2.3")))
	assert.True(t, one.AllowsAddress(netip.MustParseAddr("2001:db8::1")))
	assert.False(t, one.AllowsAddress(netip.MustParseAddr("11.1.2.3")))
	assert.False(t, one.AllowsAddress(netip.Addr{}), "nobody knows")
}

// The form is a promise to secret scanners: docs/security.md has the expression and
// how the checksum is made.
func TestServiceSecrets(t *testing.T) {
	form := regexp.MustCompile(`^sat_[0-9A-Za-z]{49}$`)
	seen := map[string]bool{}
	for range 200 {
		secret := NewServiceSecret()
		require.Regexp(t, form, secret)
		require.NoError(t, CheckServiceSecret(secret))
		require.False(t, seen[secret])
		seen[secret] = true
	}
	const known = "sat_0000000000000000000000000000000000000000001"
	require.NoError(t, CheckServiceSecret(known+checksum62(known)))
	assert.Equal(t, "3mlpRF", checksum62(known), "as every implementation has it")
}

func TestServiceSecrets_everyChangeIsFound(t *testing.T) {
	secret := NewServiceSecret()
	for i := len(servicePrefix); i < len(secret); i++ {
		for _, c := range base62 {
			if byte(c) == secret[i] {
				continue
			}
			require.ErrorIs(t, CheckServiceSecret(secret[:i]+string(c)+secret[i+1:]), ErrServiceChecksum)
		}
	}
	for _, other := range []string{"", "sat_", secret[:len(secret)-1], secret + "0", "SAT_" + secret[4:], " " + secret, secret[:20] + "-" + secret[21:]} {
		require.ErrorIs(t, CheckServiceSecret(other), ErrNoServiceSecret, other)
	}
}
