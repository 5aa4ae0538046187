package memory

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestAgeOfAgrees checks that no two records stand the other way round because of
// the number that the index compares first.
func TestAgeOfAgrees(t *testing.T) {
	draw := func(rt *rapid.T, label string) *record {
		p := position{
			created: rapid.OneOf(
				rapid.Int64Range(0, 2),
				rapid.SampledFrom([]int64{math.MinInt64, -1, 1<<48 - 2, 1<<48 - 1, 1 << 48, math.MaxInt64}),
			).Draw(rt, label+" created"),
			id: rapid.StringMatching(`[A-Za-z0-9_-]{0,4}`).Draw(rt, label+" id"),
		}
		return p.record("")
	}
	rapid.Check(t, func(rt *rapid.T) {
		a, b := draw(rt, "a"), draw(rt, "b")
		if ageOf(a) < ageOf(b) {
			require.Negative(rt, compareAge(a, b))
		}
	})
}
