package api

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

func TestRemembered(t *testing.T) {
	k := newKeyring(Secrets{Session: [][]byte{[]byte("a secret of the tests, long enough")}})
	escape := strings.NewReplacer(":", "%3A", "+", "%2B", "/", "%2F", "=", "%3D").Replace
	for name, id := range map[string]string{
		"an id of the service's own": schema.NewID(), "the shortest": strings.Repeat("-", 16), "the longest": strings.Repeat("x", 128),
	} {
		for spelling, token := range map[string]string{"plain": k.token(id), "escaped": escape(k.token(id))} {
			found, _ := k.opened.find(token)
			require.Empty(t, found, "%s, %s", name, spelling)
			require.Equal(t, id, k.open(token), "%s, %s", name, spelling)
			found, _ = k.opened.find(token)
			if len(token) <= rememberedLen {
				assert.Equal(t, id, found, "%s, %s", name, spelling)
			}
			assert.Equal(t, id, k.open(token), "%s, %s, again", name, spelling)
			assert.Empty(t, k.open(token[:len(token)-1]), "a part of it")
			assert.Empty(t, k.open(token+"A"), "more than it")
			other := "A"
			if strings.HasSuffix(token, other) {
				other = "B"
			}
			assert.Empty(t, k.open(token[:len(token)-1]+other), "another signature")
		}
	}
	assert.LessOrEqual(t, len(k.token(strings.Repeat("x", 128))), rememberedLen, "every plain token")
}

// A token that spells its id in another way verifies each time.
func TestRemembered_escapedID(t *testing.T) {
	k := newKeyring(Secrets{Session: [][]byte{[]byte("a secret of the tests, long enough")}})
	const id = "an-id-of-a-caller"
	token := strings.Replace(k.token(id), "an", "%61n", 1)
	for range 2 {
		require.Equal(t, id, k.open(token), token)
		found, _ := k.opened.find(token)
		require.Empty(t, found)
	}
}

// The last ones that come stay, and find allocates nothing.
func TestRemembered_lastOnes(t *testing.T) {
	r := newRemembered()
	_, hash := r.find("s:one.signature")
	for _, token := range []string{"s:one.signature", "s:two.signature", "s:three.signature", "s:four.signature", "s:five.signature"} {
		r.add(hash, token, token[len("s:"):strings.IndexByte(token, '.')]) // as if all had the hash of one
	}
	id, _ := r.find("s:one.signature")
	assert.Empty(t, id, "the first of more than have room")
	r.add(hash, "s:one.signature", "one")
	assert.Zero(t, testing.AllocsPerRun(10, func() { id, _ = r.find("s:one.signature") }))
	assert.Equal(t, "one", id)
}
