package storetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/backend"
)

// RunIdentity runs the suite of backend.Identified. open opens a store on what is
// kept under that name, which is closed before the name is opened again. ends
// says that the sessions end with the store.
func RunIdentity(t *testing.T, ends bool, open func(t testing.TB, name string) backend.Store) {
	t.Helper()
	identity := func(t *testing.T, s backend.Store) string {
		t.Helper()
		identified, ok := backend.As[backend.Identified](s)
		require.True(t, ok, "%T is no backend.Identified", s)
		id, err := identified.Identity(t.Context())
		require.NoError(t, err)
		return id
	}
	seen := make(map[string]string)
	for _, name := range []string{"a", "b", "a", "b", "c"} {
		s := open(t, name)
		id := identity(t, s)
		assert.Equal(t, ends, id == "", "%q", id)
		assert.Equal(t, id, identity(t, s))
		require.NoError(t, s.Close())
		if before, ok := seen[name]; ok {
			assert.Equal(t, before, id, "over a restart")
		}
		seen[name] = id
	}
	if !ends {
		assert.Len(t, map[string]bool{seen["a"]: true, seen["b"]: true, seen["c"]: true}, 3, "%v", seen)
	}
}
