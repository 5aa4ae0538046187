package token

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

func TestNewKeyring_noSecret(t *testing.T) {
	_, err := NewKeyring(nil)
	require.Error(t, err)
}

// The README of the npm package cookie-signature has this example.
func TestSign_cookieSignature(t *testing.T) {
	k, err := NewKeyring([][]byte{[]byte("tobiiscool")})
	require.NoError(t, err)
	assert.Equal(t, "s:hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI", k.Sign("hello"))
	assert.Equal(t, "s%3Ahello.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI", string(k.AppendEscaped(nil, "hello")))
}

func TestOpen(t *testing.T) {
	first, second := []byte("the-first-secret-that-is-32-bytes"), []byte("the-second-secret-that-is-32-bytes")
	keyring := func(secrets ...[]byte) *Keyring {
		k, err := NewKeyring(secrets)
		require.NoError(t, err)
		return k
	}
	id := schema.NewID()
	before, rotated, after := keyring(first), keyring(second, first), keyring(second)
	old := before.Sign(id)
	for _, spelling := range []string{old, string(before.AppendEscaped(nil, id))} {
		for range 2 { // verified, and cached
			assert.Equal(t, Opened{ID: id}, before.Open(spelling))
			assert.Equal(t, Opened{ID: id, Retired: true}, rotated.Open(spelling))
			assert.Zero(t, after.Open(spelling))
		}
	}
	fresh := rotated.Sign(id)
	assert.Equal(t, after.Sign(id), fresh, "the first secret signs")
	assert.Equal(t, Opened{ID: id}, rotated.Open(fresh))
	assert.Zero(t, before.Open(fresh))
	for name, text := range map[string]string{
		"empty":                       "",
		"the id alone":                id,
		"without its prefix":          old[len(prefix):],
		"without a signature":         prefix + id + ".",
		"padded":                      old + "=",
		"url-safe base64":             prefix + id + "." + strings.Repeat("-", signatureLen),
		"an id with another case":     strings.Replace(old, id, strings.ToUpper(id), 1),
		"an id that nobody may bring": before.Sign("../etc/passwd----"),
		"too short an id":             before.Sign("hello"),
		"a half escape":               old + "%",
		"longer than any":             old + strings.Repeat(" ", maxLen),
		"a line break":                old + "\n",
	} {
		assert.Zero(t, before.Open(text), name)
		assert.Zero(t, before.Open(text), name)
	}
}

// FuzzOpen opens arbitrary text. Only what was signed opens anything, in
// whichever spelling, and it opens what it says.
func FuzzOpen(f *testing.F) {
	k, err := NewKeyring([][]byte{[]byte("a secret of the tests, long enough"), []byte("another secret that is long enough")})
	require.NoError(f, err)
	retired, err := NewKeyring([][]byte{[]byte("another secret that is long enough")})
	require.NoError(f, err)
	const id = "an-id-of-a-caller"
	f.Add(k.Sign(id))
	f.Add(string(k.AppendEscaped(nil, id)))
	f.Add(retired.Sign(id))
	f.Add("s%3a" + id + "." + strings.Repeat("A", signatureLen))
	f.Add("%73:" + id)
	f.Fuzz(func(t *testing.T, text string) {
		o := k.Open(text)
		require.Equal(t, o, k.Open(text), "verified or cached")
		if o.ID == "" {
			require.False(t, o.Retired)
			return
		}
		require.True(t, WellFormed(text))
		signer := k
		if o.Retired {
			signer = retired
		}
		plain := make([]byte, len(text))
		n, ok := percentDecode(plain, text)
		require.True(t, ok)
		require.Equal(t, signer.Sign(o.ID), string(plain[:n]))
	})
}
