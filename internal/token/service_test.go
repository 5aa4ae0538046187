package token

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestServiceTokens(t *testing.T) {
	none := NewServiceTokens(nil)
	assert.Zero(t, none.Len())
	assert.Zero(t, none.Number(""))

	s := NewServiceTokens([][]byte{[]byte("one"), []byte("two"), []byte("one")})
	assert.Equal(t, 3, s.Len())
	assert.Equal(t, 2, s.Number("two"))
	assert.Equal(t, 3, s.Number("one"), "the last of several that are alike")
	for _, other := range []string{"", "on", "onee", "ONE"} {
		assert.Zero(t, s.Number(other), other)
	}
}
