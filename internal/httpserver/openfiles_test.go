package httpserver

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestConnectionsWithin(t *testing.T) {
	for limit, want := range map[uint64]int{
		0: 1, 1: 1, 2: 1, 64: 32, 256: 128, 1024: 896, 1 << 20: 1<<20 - reservedDescriptors, 1<<64 - 1: 1<<31 - reservedDescriptors,
	} {
		assert.Equal(t, want, connectionsWithin(limit), "limit %d", limit)
	}
}
