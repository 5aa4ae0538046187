package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/jwt"
	"session-api/internal/servicetest"
)

func keyFile(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return servicetest.SecretFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func TestJWT(t *testing.T) {
	c, err := Load(servicetest.Environment(t, "PORT", "9090"))
	require.NoError(t, err)
	assert.Equal(t, jwt.Options{
		Issuer: "http://127.0.0.1:9090", Algorithm: jwt.ES256, TTL: 5 * time.Minute, Rotate: 30 * 24 * time.Hour,
	}, c.API().JWT.Options)
	assert.False(t, c.API().JWT.Verify)
	assert.Nil(t, c.APISecrets().JWT)

	c, err = Load(servicetest.Production(t))
	require.NoError(t, err)
	assert.Empty(t, c.API().JWT.Issuer, "none without an issuer")

	file := keyFile(t)
	c, err = Load(servicetest.Production(t, "JWT_ISSUER", "https://app.example.com", "JWT_AUDIENCE", "a, b", "JWT_TTL_MS", "60000",
		"JWT_CLAIMS", "plan=meta.plan, email=user.email", "JWT_ALGORITHM", "EdDSA", "JWT_ROTATE_MS", "3600000", "VERIFY_JWT", "true", "JWT_KEYS_FILE", file))
	require.NoError(t, err)
	assert.Equal(t, jwt.Options{
		Issuer: "https://app.example.com", Audience: []string{"a", "b"}, Algorithm: jwt.EdDSA, TTL: time.Minute, Rotate: time.Hour,
		Mappings: []jwt.Mapping{{Claim: "plan", Path: []string{"meta", "plan"}}, {Claim: "email", Path: []string{"user", "email"}}},
	}, c.API().JWT.Options)
	assert.True(t, c.API().JWT.Verify)
	before := c.APISecrets().JWT
	require.NotNil(t, before)
	assert.Contains(t, c.Print(), "JWT_CLAIMS=plan=meta.plan,email=user.email\n")
	assert.Contains(t, c.Print(), "JWT_ALGORITHM=eddsa\n")

	// SIGHUP reads the keys again, and leaves all as it is where they cannot be read.
	fresh, read, err := c.RereadSecrets()
	require.NoError(t, err)
	assert.Equal(t, []string{"JWT_KEYS_FILE"}, read)
	assert.NotSame(t, before, fresh.APISecrets().JWT)
	require.NoError(t, os.WriteFile(file, []byte("no key"), 0o600))
	_, _, err = c.RereadSecrets()
	require.ErrorContains(t, err, "JWT_KEYS_FILE: there is no key in it")
	assert.Same(t, before, c.APISecrets().JWT)
}

func TestJWT_invalid(t *testing.T) {
	for _, tc := range []struct{ name, value, says string }{
		{"JWT_ISSUER", "app.example.com", "no http:// or https:// URL"},
		{"JWT_ISSUER", "https://app.example.com?x=1", "without user, query and fragment"},
		{"JWT_ISSUER", "https://app.example.com#x", "without user, query and fragment"},
		{"JWT_ISSUER", "https://ada@app.example.com", "without user, query and fragment"},
		{"JWT_ISSUER", "ftp://app.example.com", "no http:// or https:// URL"},
		{"JWT_AUDIENCE", "a\tb", "is no audience"},
		{"JWT_TTL_MS", "600001", "not between 1000 and 600000"},
		{"JWT_TTL_MS", "0", "not between 1000 and 600000"},
		{"JWT_ROTATE_MS", "60000", "not between 3600000"},
		{"JWT_ALGORITHM", "HS256", "is not one of es256, eddsa"},
		{"JWT_ALGORITHM", "none", "is not one of es256, eddsa"},
		{"JWT_CLAIMS", "sub=meta.name", "reserved"},
		{"JWT_CLAIMS", "plan=plans.x", "no section"},
		{"JWT_KEYS_FILE", "/nonexistent/keys.pem", "no such file"},
		{"JWT_KEYS_FILE", servicetest.SecretFile(t, "text"), "there is no key in it"},
		{"VERIFY_JWT", "true", "needs JWT_ISSUER"},
	} {
		_, err := Load(servicetest.Production(t, tc.name, tc.value))
		var found Problems
		require.ErrorAs(t, err, &found, "%s=%s", tc.name, tc.value)
		require.Len(t, found, 1, "%s=%s: %v", tc.name, tc.value, err)
		assert.Equal(t, tc.name, found[0].Name)
		assert.Contains(t, found[0].Text, tc.says)
	}
}
