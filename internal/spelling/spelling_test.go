package spelling_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"session-api/internal/spelling"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"limit", "limit", 0},
		{"limt", "limit", 1},
		{"limmit", "limit", 1},
		{"limot", "limit", 1},
		{"ilmit", "limit", 1},
		{"kitten", "sitting", 3},
		{"ca", "abc", 3},
	} {
		assert.Equal(t, c.want, spelling.Distance(c.a, c.b), "%q, %q", c.a, c.b)
		assert.Equal(t, c.want, spelling.Distance(c.b, c.a), "%q, %q", c.b, c.a)
	}
}

func TestNearest(t *testing.T) {
	find := func(name string, most int, names ...string) string {
		return spelling.Nearest(slices.Values(names), func(one string) (int, bool) {
			d := spelling.Distance(name, one)
			return d, d <= most
		})
	}
	assert.Equal(t, "limit", find("limt", 2, "cursor", "limit", "line"))
	assert.Equal(t, "aa", find("a", 1, "aa", "ab"), "the first of several")
	assert.Empty(t, find("limt", 0, "limit"))
	assert.Empty(t, find("limt", 2))
}
