package jwt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// signedBy returns a token with any header and claims, signed with ES256.
func signedBy(t *testing.T, private *ecdsa.PrivateKey, header, claims string) string {
	t.Helper()
	text := encode(header) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, private, sum[:])
	require.NoError(t, err)
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + encode(string(signature[:]))
}

// Attacks on verification: RFC 8725 lists most of them.
func TestOpen_attacks(t *testing.T) {
	i := newTestIssuer(t, newStates(t), [][]byte{secret})
	sess := newSession(t, began, signedIn)
	good := issueTo(t, i, began, sess).Text
	_, err := i.Open(t.Context(), began, good)
	require.NoError(t, err)
	set, err := i.keys(t.Context(), began)
	require.NoError(t, err)
	own := set.keys[0]
	private, ok := own.private.(*ecdsa.PrivateKey)
	require.True(t, ok)
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	embedded, err := (&jose.JSONWebKey{Key: foreign.Public(), KeyID: own.id}).MarshalJSON()
	require.NoError(t, err)

	parts := strings.Split(good, ".")
	claimsOf := func(change string) string {
		return fmt.Sprintf(`{"iss":%q,"aud":"x","sub":"u-1042","sid":%q,"iat":%d,"exp":%d%s}`, testIssuer, sess.ID, began.Unix(), began.Add(time.Minute).Unix(), change)
	}
	header := fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"JWT"}`, own.id)
	_, err = i.Open(t.Context(), began, signedBy(t, private, header, claimsOf("")))
	require.NoError(t, err, "what follows differs from this")

	// HS256 with the public key as the secret, in the forms in which it is known.
	withMAC := func(key []byte, alg string) string {
		text := encode(fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, alg, own.id)) + "." + parts[1]
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	der, err := x509.MarshalPKIXPublicKey(own.public)
	require.NoError(t, err)

	for name, token := range map[string]string{
		"empty":                     "",
		"no token":                  "a.b",
		"alg none":                  encode(fmt.Sprintf(`{"alg":"none","kid":%q,"typ":"JWT"}`, own.id)) + "." + parts[1] + ".",
		"alg None":                  encode(fmt.Sprintf(`{"alg":"None","kid":%q,"typ":"JWT"}`, own.id)) + "." + parts[1] + ".",
		"no signature":              parts[0] + "." + parts[1] + ".",
		"HS256, PEM as the secret":  withMAC(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "HS256"),
		"HS256, JWKS as the secret": withMAC(set.published, "HS256"),
		"HS256, called ES256":       withMAC(der, "ES256"),
		"another algorithm":         signedBy(t, private, strings.Replace(header, "ES256", "EdDSA", 1), claimsOf("")),
		"ES384":                     signedBy(t, private, strings.Replace(header, "ES256", "ES384", 1), claimsOf("")),
		"another key":               signedBy(t, foreign, header, claimsOf("")),
		"another key, embedded":     signedBy(t, foreign, fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"JWT","jwk":%s}`, own.id, embedded), claimsOf("")),
		"another key, by URL":       signedBy(t, foreign, fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"JWT","jku":"https://evil.example/jwks.json"}`, own.id), claimsOf("")),
		"no kid":                    signedBy(t, private, `{"alg":"ES256","typ":"JWT"}`, claimsOf("")),
		"an empty kid":              signedBy(t, private, `{"alg":"ES256","kid":"","typ":"JWT"}`, claimsOf("")),
		"a kid that is a path":      signedBy(t, private, `{"alg":"ES256","kid":"../../dev/null","typ":"JWT"}`, claimsOf("")),
		"a kid that is SQL":         signedBy(t, private, `{"alg":"ES256","kid":"' OR 1=1 --","typ":"JWT"}`, claimsOf("")),
		"a kid that is no text":     signedBy(t, private, `{"alg":"ES256","kid":["`+own.id+`"],"typ":"JWT"}`, claimsOf("")),
		"another typ":               signedBy(t, private, strings.Replace(header, `"JWT"`, `"at+jwt"`, 1), claimsOf("")),
		"no typ":                    signedBy(t, private, fmt.Sprintf(`{"alg":"ES256","kid":%q}`, own.id), claimsOf("")),
		"crit":                      signedBy(t, private, fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"JWT","crit":["x"],"x":1}`, own.id), claimsOf("")),
		"b64 false":                 signedBy(t, private, fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"JWT","crit":["b64"],"b64":false}`, own.id), claimsOf("")),
		"a bit of the claims":       parts[0] + "." + flip(parts[1]) + "." + parts[2],
		"a bit of the signature":    parts[0] + "." + parts[1] + "." + flip(parts[2]),
		"a line break":              good + "\n",
		"the JSON serialization":    fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2]),
		"five parts":                good + ".x.y",
		"too long":                  good + strings.Repeat("A", MaxLen),
		"another issuer":            signedBy(t, private, header, strings.Replace(claimsOf(""), testIssuer, "https://evil.example", 1)),
		"no session":                signedBy(t, private, header, strings.Replace(claimsOf(""), sess.ID, "", 1)),
		"issued in the future":      signedBy(t, private, header, claimsOf(fmt.Sprintf(`,"iat":%d,"exp":%d`, began.Add(time.Hour).Unix(), began.Add(61*time.Minute).Unix()))),
		"too long a life":           signedBy(t, private, header, claimsOf(fmt.Sprintf(`,"exp":%d`, began.Add(time.Hour).Unix()))),
		"expired":                   signedBy(t, private, header, claimsOf(fmt.Sprintf(`,"iat":%d,"exp":%d`, began.Add(-time.Hour).Unix(), began.Unix()))),
		"no end":                    signedBy(t, private, header, `{"iss":"`+testIssuer+`","sid":"`+sess.ID+`"}`),
		"an end that is a text":     signedBy(t, private, header, claimsOf(`,"exp":"9999999999"`)),
		"claims that are no object": signedBy(t, private, header, `["iss"]`),
	} {
		_, err := i.Open(t.Context(), began, token)
		require.ErrorIs(t, err, ErrInvalid, name)
	}
}

// flip changes the first character of a base64 text.
func flip(text string) string {
	if text[0] == 'A' {
		return "B" + text[1:]
	}
	return "A" + text[1:]
}

// A token of another deployment, or of the same one before its secret was replaced, opens
// nothing.
func TestOpen_foreign(t *testing.T) {
	sess := newSession(t, began, `{}`)
	theirs := newTestIssuer(t, newStates(t), [][]byte{secret})
	ours := newTestIssuer(t, newStates(t), [][]byte{secret})
	_, err := ours.Open(t.Context(), began, issueTo(t, theirs, began, sess).Text)
	require.ErrorIs(t, err, ErrInvalid)
}

// A token is of one session with one user.
func TestStands(t *testing.T) {
	i := newTestIssuer(t, newStates(t), [][]byte{secret})
	sess := newSession(t, began, signedIn)
	opened, err := i.Open(t.Context(), began, issueTo(t, i, began, sess).Text)
	require.NoError(t, err)
	assert.True(t, opened.Stands(sess))
	changed := *sess
	changed.UserID = "u-7"
	assert.False(t, opened.Stands(&changed))
	changed.UserID = ""
	assert.False(t, opened.Stands(&changed))
	anew := *sess
	anew.CreatedAt = began.Add(time.Second)
	assert.False(t, opened.Stands(&anew), "an id that was used again")

	// The clock of the instance that created the session is ahead.
	ahead := newSession(t, began.Add(3*time.Second), signedIn)
	opened, err = i.Open(t.Context(), began, issueTo(t, i, began, ahead).Text)
	require.NoError(t, err)
	assert.True(t, opened.Stands(ahead))
}

// FuzzOpen opens arbitrary text: only what was issued opens.
func FuzzOpen(f *testing.F) {
	i := newTestIssuer(f, newStates(f), [][]byte{secret})
	sess := newSession(f, began, signedIn)
	good := issueTo(f, i, began, sess).Text
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(`{"payload":""}`)
	f.Fuzz(func(t *testing.T, text string) {
		opened, err := i.Open(t.Context(), began, text)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		require.Equal(t, good, text)
		require.True(t, json.Valid(opened.Claims))
	})
}
