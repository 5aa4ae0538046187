package memory

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// difference is what a comparison of the sets says, in whatever order they are.
func TestDifference(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		some := func() []string {
			var paths []string
			for _, n := range random.Perm(8)[:random.IntN(9)] {
				paths = append(paths, fmt.Sprint(n))
			}
			return paths
		}
		before, after := some(), some()
		if random.IntN(2) == 0 {
			slices.Sort(before)
			slices.Sort(after)
		}
		gone, added := difference(slices.Clone(before), slices.Clone(after))
		without := func(from, those []string) []string {
			return slices.DeleteFunc(slices.Clone(from), func(path string) bool { return slices.Contains(those, path) })
		}
		assert.ElementsMatch(t, without(before, after), gone, "%v %v", before, after)
		assert.ElementsMatch(t, without(after, before), added, "%v %v", before, after)
	}
}
