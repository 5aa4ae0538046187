package jwt

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/memory"
)

const testIssuer = "https://sessions.example.com"

var (
	began  = time.Date(2026, 11, 21, 17, 4, 5, 123e6, time.UTC)
	secret = []byte("a secret of the tests, long enough")
	other  = []byte("another secret that is long enough")
)

func newStates(t testing.TB) *memory.Store {
	t.Helper()
	s := memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 10})
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// newTestIssuer returns an issuer of tests over states.
func newTestIssuer(t testing.TB, states States, secrets [][]byte, change ...func(*Options)) *Issuer {
	t.Helper()
	o := Options{Issuer: testIssuer, Algorithm: ES256, TTL: 5 * time.Minute, Rotate: 30 * 24 * time.Hour}
	for _, c := range change {
		c(&o)
	}
	i, err := New(o, states, secrets, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return i
}

// newSession returns a session with the sections of a body.
func newSession(t testing.TB, now time.Time, body string) *schema.Session {
	t.Helper()
	rules := schema.Rules{MaxBytes: 1 << 20, Sanitize: schema.SanitizeOff}
	in, err := rules.DecodeInputInPlace([]byte(body))
	require.NoError(t, err)
	sections, err := in.Apply(schema.EmptySections())
	require.NoError(t, err)
	sess, err := rules.Build(schema.Session{
		Namespace: schema.DefaultNamespace, ID: schema.NewID(), Life: schema.NewLife(),
		CreatedAt: schema.Now(now), UpdatedAt: schema.Now(now), ExpiresAt: schema.Now(now).Add(time.Hour), Revision: 1, TTL: time.Hour,
	}, sections)
	require.NoError(t, err)
	return &sess
}

// publicKey is a key of a JWK Set, as RFC 7518 and RFC 8037 have it.
type publicKey struct{ Kty, Crv, X, Y, Kid, Alg, Use, D string }

// verifyByHand verifies a token with nothing but the standard library and a published JWK
// Set, and returns its header and claims. ok is false where no key of the set verifies it.
func verifyByHand(t testing.TB, keySet []byte, token string) (header, claims map[string]any, ok bool) {
	t.Helper()
	var set struct{ Keys []publicKey }
	require.NoError(t, json.Unmarshal(keySet, &set))
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	decode := func(text string) []byte {
		b, err := base64.RawURLEncoding.Strict().DecodeString(text)
		require.NoError(t, err)
		return b
	}
	require.NoError(t, json.Unmarshal(decode(parts[0]), &header))
	d := json.NewDecoder(bytes.NewReader(decode(parts[1])))
	d.UseNumber()
	require.NoError(t, d.Decode(&claims))
	signed, signature := []byte(parts[0]+"."+parts[1]), decode(parts[2])
	for _, k := range set.Keys {
		require.Empty(t, k.D, "a private key is published")
		if k.Kid != header["kid"] || k.Alg != header["alg"] {
			continue
		}
		switch k.Alg {
		case "ES256":
			require.Len(t, signature, 64)
			sum := sha256.Sum256(signed)
			public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, decode(k.X), decode(k.Y)))
			require.NoError(t, err)
			ok = ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
		case "EdDSA":
			ok = ed25519.Verify(decode(k.X), signed, signature)
		}
		return header, claims, ok
	}
	return header, claims, false
}

// keySetOf returns what an issuer publishes.
func keySetOf(t testing.TB, i *Issuer, now time.Time) []byte {
	t.Helper()
	set, err := i.KeySet(t.Context(), now)
	require.NoError(t, err)
	return set.JSON
}

// issueTo returns a token for an audience.
func issueTo(t testing.TB, i *Issuer, now time.Time, sess *schema.Session) Token {
	t.Helper()
	audience, ok := i.Audience("")
	require.True(t, ok)
	token, err := i.Issue(t.Context(), now, sess, audience, 0)
	require.NoError(t, err)
	return token
}
