package memory

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// TestTable holds the hash table against a map, with hashes that collide in
// part or as a whole.
func TestTable(t *testing.T) {
	space := newNamespace(schema.DefaultNamespace)
	keyOf := func(n int) backend.Key {
		return backend.Key{Namespace: space.name, ID: fmt.Sprintf("table-session-%04d", n)}
	}
	rapid.Check(t, func(rt *rapid.T) {
		hashes := rapid.SampledFrom([]func(n int) uint64{
			func(int) uint64 { return 0 },
			func(n int) uint64 { return uint64(n % 3) },
			func(n int) uint64 { return 0xffff_ffff - uint64(n%5) },
			func(n int) uint64 { return uint64(n) * 0x9e37_79b9_7f4a_7c15 },
		}).Draw(rt, "hashes")
		var table hashTable
		want := map[int]*entry{}
		for range rapid.IntRange(0, 400).Draw(rt, "steps") {
			n := rapid.IntRange(0, 150).Draw(rt, "n")
			key := keyOf(n)
			if e := want[n]; e != nil {
				table.drop(hashes(n), e)
				delete(want, n)
				continue
			}
			want[n] = newEntry(&record{
				doc:     []byte(`{"id":"` + key.ID + `"`),
				details: &details{common: &common{space: space}},
			})
			table.put(hashes(n), want[n])
		}
		require.Equal(rt, len(want), table.n)
		for n := range 160 {
			require.Same(rt, want[n], table.find(hashes(n), keyOf(n)), "%d", n)
			other := backend.Key{Namespace: "other", ID: keyOf(n).ID}
			require.Nil(rt, table.find(hashes(n), other))
		}
	})
}
