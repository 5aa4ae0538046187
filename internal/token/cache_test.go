package token

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

func newTestKeyring(t testing.TB) *Keyring {
	t.Helper()
	k, err := NewKeyring([][]byte{[]byte("a secret of the tests, long enough")})
	require.NoError(t, err)
	return k
}

func TestCache(t *testing.T) {
	k := newTestKeyring(t)
	escape := strings.NewReplacer(":", "%3A", "+", "%2B", "/", "%2F", "=", "%3D").Replace
	for name, id := range map[string]string{
		"an id of the service's own": schema.NewID(), "the shortest": strings.Repeat("-", 16), "the longest": strings.Repeat("x", 128),
	} {
		for spelling, token := range map[string]string{"plain": k.Sign(id), "escaped": escape(k.Sign(id))} {
			found, _ := k.current.find(token)
			require.Empty(t, found, "%s, %s", name, spelling)
			require.Equal(t, id, k.Open(token).ID, "%s, %s", name, spelling)
			found, _ = k.current.find(token)
			if len(token) <= maxCachedLen {
				assert.Equal(t, id, found, "%s, %s", name, spelling)
			}
			assert.Equal(t, id, k.Open(token).ID, "%s, %s, again", name, spelling)
			assert.Empty(t, k.Open(token[:len(token)-1]).ID, "a part of it")
			assert.Empty(t, k.Open(token+"A").ID, "more than it")
			other := "A"
			if strings.HasSuffix(token, other) {
				other = "B"
			}
			assert.Empty(t, k.Open(token[:len(token)-1]+other).ID, "another signature")
		}
	}
	assert.LessOrEqual(t, len(k.Sign(strings.Repeat("x", 128))), maxCachedLen, "every plain token")
}

// A token that spells its id in another way verifies each time.
func TestCache_escapedID(t *testing.T) {
	k := newTestKeyring(t)
	const id = "an-id-of-a-caller"
	token := strings.Replace(k.Sign(id), "an", "%61n", 1)
	for range 2 {
		require.Equal(t, id, k.Open(token).ID, token)
		found, _ := k.current.find(token)
		require.Empty(t, found)
	}
}

// The last ones that come stay, and find allocates nothing.
func TestCache_replacesInTurn(t *testing.T) {
	c := newCache()
	_, hash := c.find("s:one.signature")
	for _, token := range []string{"s:one.signature", "s:two.signature", "s:three.signature", "s:four.signature", "s:five.signature"} {
		c.add(hash, token, token[len("s:"):strings.IndexByte(token, '.')]) // as if all had the hash of one
	}
	id, _ := c.find("s:one.signature")
	assert.Empty(t, id, "the first of more than have room")
	c.add(hash, "s:one.signature", "one")
	assert.Zero(t, testing.AllocsPerRun(10, func() { id, _ = c.find("s:one.signature") }))
	assert.Equal(t, "one", id)
}
