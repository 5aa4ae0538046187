package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// What is imported is taken for a visitor's that was used again, although it is an
// operator who does it.
func testImported(t *testing.T, open Open) {
	for _, policy := range []string{"lru", "ttl"} {
		t.Run(policy, func(t *testing.T) {
			f := newLimited(t, open, Limits{Policy: policy, MaxEntries: 3})
			made, imported, once := f.made(), f.made(), f.session(spec{ttl: 2 * time.Hour})
			imported.Imported = true
			for _, s := range []schema.Session{made, imported, once} {
				require.NoError(t, f.Create(f.ctx(), f.now(), s))
			}
			first, second := once, imported
			if policy == "ttl" { // which knows no uses
				first, second = imported, once
			}
			for _, gone := range []schema.Session{first, second, made} {
				_, err := f.Peek(f.ctx(), f.now(), gone.Key())
				require.NoError(t, err)
				f.created(spec{user: "ada"})
				_, err = f.Peek(f.ctx(), f.now(), gone.Key())
				require.ErrorIs(t, err, backend.ErrNotFound)
			}
		})
	}
}
