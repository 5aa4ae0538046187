package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func pemOf(t *testing.T, kind string, marshal func() ([]byte, error)) string {
	t.Helper()
	der, err := marshal()
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestParseKeys(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	jwkOf := func(k jose.JSONWebKey) string {
		text, err := k.MarshalJSON()
		require.NoError(t, err)
		return string(text)
	}
	pkcs8 := func(key any) string {
		return pemOf(t, "PRIVATE KEY", func() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(key) })
	}
	sec1 := pemOf(t, "EC PRIVATE KEY", func() ([]byte, error) { return x509.MarshalECPrivateKey(ec) })
	public := pemOf(t, "PUBLIC KEY", func() ([]byte, error) { return x509.MarshalPKIXPublicKey(ed.Public()) })
	parameters := string(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{1}}))
	ecPrint, err := thumbprint(ec.Public())
	require.NoError(t, err)
	edPrint, err := thumbprint(ed.Public())
	require.NoError(t, err)

	for name, tc := range map[string]struct {
		content string
		ids     []string
		signs   Algorithm
	}{
		"PKCS #8":                  {pkcs8(ec), []string{ecPrint}, ES256},
		"PKCS #8 of Ed25519":       {pkcs8(ed), []string{edPrint}, EdDSA},
		"SEC 1":                    {parameters + sec1, []string{ecPrint}, ES256},
		"a private and a public":   {"text before\n" + sec1 + public, []string{ecPrint, edPrint}, ES256},
		"two private ones":         {pkcs8(ed) + sec1, []string{edPrint, ecPrint}, EdDSA},
		"a JWK":                    {jwkOf(jose.JSONWebKey{Key: ec, KeyID: "mine"}), []string{"mine"}, ES256},
		"a JWK without an id":      {jwkOf(jose.JSONWebKey{Key: ed, Algorithm: "EdDSA", Use: "sig"}), []string{edPrint}, EdDSA},
		"a JWK Set":                {`{"keys":[` + jwkOf(jose.JSONWebKey{Key: ed, KeyID: "a"}) + `,` + jwkOf(jose.JSONWebKey{Key: ec.Public(), KeyID: "b"}) + `]}`, []string{"a", "b"}, EdDSA},
		"white space before a JWK": {"\n " + jwkOf(jose.JSONWebKey{Key: ec, KeyID: "mine"}) + "\n", []string{"mine"}, ES256},
	} {
		keys, err := ParseKeys([]byte(tc.content))
		require.NoError(t, err, name)
		i := newTestIssuer(t, newStates(t), [][]byte{secret}, func(o *Options) { o.Keys = keys })
		assert.Equal(t, tc.ids, keysOf(t, i, began), name)
		token := issueTo(t, i, began, newSession(t, began, `{}`))
		header, _, ok := verifyByHand(t, keySetOf(t, i, began), token.Text)
		assert.True(t, ok, name)
		assert.Equal(t, string(tc.signs), header["alg"], name)
		assert.Equal(t, tc.ids[0], header["kid"], name)
		_, err = i.Open(t.Context(), began.Add(time.Minute), token.Text)
		require.NoError(t, err, name)
	}

	const private = "MC4CAQAwBQYDK2VwBCIEI"
	for name, tc := range map[string]struct{ content, says string }{
		"empty":             {"", "no key"},
		"text":              {"a secret " + private, "no key"},
		"a public key":      {public, "not a private one"},
		"a public JWK":      {jwkOf(jose.JSONWebKey{Key: ec.Public()}), "not a private one"},
		"RSA":               {pkcs8(rsaKey), "neither on P-256"},
		"P-384":             {pkcs8(p384), "neither on P-256"},
		"a secret JWK":      {`{"kty":"oct","k":"c2VjcmV0"}`, "not a valid JWK"},
		"an encrypted key":  {pemOf(t, "ENCRYPTED PRIVATE KEY", func() ([]byte, error) { return []byte{1}, nil }), "encrypted"},
		"a certificate":     {pemOf(t, "CERTIFICATE", func() ([]byte, error) { return []byte{1}, nil }), "no key"},
		"a broken key":      {pemOf(t, "PRIVATE KEY", func() ([]byte, error) { return []byte(private), nil }), "cannot be read"},
		"JSON":              {`{"keys":"` + private + `"}`, "not valid JSON"},
		"an empty set":      {`{"keys":[]}`, "no key"},
		"a broken JWK":      {`{"kty":"OKP","crv":"Ed25519","x":"` + private + `"}`, "not a valid JWK"},
		"for encryption":    {jwkOf(jose.JSONWebKey{Key: ec, Use: "enc"}), "not for signatures"},
		"another algorithm": {jwkOf(jose.JSONWebKey{Key: ec, Algorithm: "ES384"}), "another algorithm"},
		"one key twice":     {sec1 + sec1, "the same id"},
		"many keys":         {`{"keys":[` + strings.Repeat(jwkOf(jose.JSONWebKey{Key: ec})+",", maxFileKeys) + jwkOf(jose.JSONWebKey{Key: ec}) + `]}`, "more than"},
	} {
		_, err := ParseKeys([]byte(tc.content))
		require.ErrorContains(t, err, tc.says, name)
		assert.NotContains(t, err.Error(), private, name)
	}
}

// Another file takes effect at once; a key that stays in it goes on verifying.
func TestSetSecrets_keys(t *testing.T) {
	_, first, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	_, second, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	file := func(keys ...any) *Keys {
		set := jose.JSONWebKeySet{}
		for _, k := range keys {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: k})
		}
		text, err := json.Marshal(set)
		require.NoError(t, err)
		parsed, err := ParseKeys(text)
		require.NoError(t, err)
		return parsed
	}
	i := newTestIssuer(t, newStates(t), [][]byte{secret}, func(o *Options) { o.Keys = file(first) })
	token := issueTo(t, i, began, newSession(t, began, `{}`))
	require.NoError(t, i.SetSecrets([][]byte{secret}, file(second, first.Public())))
	_, err = i.Open(t.Context(), began, token.Text)
	require.NoError(t, err)
	assert.NotEqual(t, token.signedBy, issueTo(t, i, began, newSession(t, began, `{}`)).signedBy)
	require.NoError(t, i.SetSecrets([][]byte{secret}, file(second)))
	_, err = i.Open(t.Context(), began, token.Text)
	require.ErrorIs(t, err, ErrInvalid)
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA"}]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		keys, err := ParseKeys(content)
		if err == nil {
			require.NotNil(t, keys.set.signing(began))
		}
	})
}

func TestParseMappings(t *testing.T) {
	all, err := ParseMappings([]string{"plan=meta.plan", " tenant = user.id ", "https://example.com/x=inputs.a.b"})
	require.NoError(t, err)
	assert.Equal(t, []Mapping{
		{"plan", []string{"meta", "plan"}}, {"tenant", []string{"user", "id"}}, {"https://example.com/x", []string{"inputs", "a", "b"}},
	}, all)
	assert.Equal(t, "https://example.com/x=inputs.a.b", all[2].String())
	for text, says := range map[string]string{
		"plan": "is not of the form", "=meta.plan": "is not of the form", "plan=": "is not of the form",
		"plan=meta": "name a member", "plan=meta.": "name a member", "plan=meta..x": "name a member",
		"plan=other.x": "is no section", "plan=user": "of the user", "plan=user.auth": "of the user", "plan=user.id.x": "of the user",
		"sub=meta.x": "reserved", "roles=meta.roles": "reserved", "scope=meta.x": "reserved", "active=meta.x": "reserved",
		"a b=meta.x": "no name of a claim", "a\"=meta.x": "no name of a claim", "é=meta.x": "no name of a claim",
		strings.Repeat("a", maxClaimName+1) + "=meta.x": "no name of a claim",
	} {
		_, err := ParseMappings([]string{text})
		require.ErrorContains(t, err, says, text)
	}
	_, err = ParseMappings([]string{"a=meta.x", "a=meta.y"})
	require.ErrorContains(t, err, "named twice")
	_, err = ParseMappings(strings.Split(strings.Repeat("a=meta.x,", maxMappings)+"b=meta.x", ","))
	require.Error(t, err)
}
