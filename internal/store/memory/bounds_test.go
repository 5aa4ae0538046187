package memory

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newBounds() *bounds {
	b := new(bounds)
	for i := range b.shards {
		b.of(i).store(never)
	}
	return b
}

func TestFirstBound(t *testing.T) {
	b := newBounds()
	shard, lowest := b.first()
	assert.Equal(t, [2]int64{0, never}, [2]int64{int64(shard), lowest})
	assert.False(t, b.any(), "once first has raised the bounds of the groups")
	assert.True(t, b.above(never-1))

	b.of(200).store(-7)
	b.of(201).store(3)
	b.of(0).store(3)
	assert.True(t, b.any())
	shard, lowest = b.first()
	assert.Equal(t, [2]int64{200, -7}, [2]int64{int64(shard), lowest})
	assert.False(t, b.above(-7))
	assert.True(t, b.above(-8))

	b.of(200).store(never)
	shard, lowest = b.first()
	assert.Equal(t, [2]int64{0, 3}, [2]int64{int64(shard), lowest}, "the first of several")
	b.of(0).store(4)
	shard, lowest = b.first()
	assert.Equal(t, [2]int64{201, 3}, [2]int64{int64(shard), lowest})
	assert.EqualValues(t, 3, b.min())
}

// Whatever other shards publish meanwhile, a bound that is there is not missed.
func TestFirstBoundAmongOthersThatMove(t *testing.T) {
	b := newBounds()
	stop := make(chan struct{})
	var movers sync.WaitGroup
	defer movers.Wait()
	defer close(stop)
	for m := range 4 {
		movers.Go(func() {
			for n := int64(1); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				shard := b.of(2*(rand.IntN(shardCount/8)*4+m) + 1) // each has its own, and none an even one
				shard.store(100 + n%1000)
				if n%3 == 0 {
					shard.store(never)
				}
			}
		})
	}
	for range 20_000 {
		own := 2 * rand.IntN(shardCount/2)
		b.of(own).store(50)
		shard, lowest := b.first()
		require.Equal(t, [2]int64{int64(own), 50}, [2]int64{int64(shard), lowest})
		b.of(own).store(never)
	}
}
