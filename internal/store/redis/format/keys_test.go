package format

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"session-api/internal/schema"
)

func TestKeysDoNotMeet(t *testing.T) {
	k := Keys{"session:"}
	id := schema.NewID()
	names := map[string]string{}
	for what, name := range map[string]string{
		"session":          k.Session(schema.Key{Namespace: schema.DefaultNamespace, ID: id}),
		"of a namespace":   k.Session(schema.Key{Namespace: "exp", ID: id}),
		"of another":       k.Session(schema.Key{Namespace: "ns", ID: id}),
		"grace":            Grace(k.Session(schema.Key{Namespace: schema.DefaultNamespace, ID: id})),
		"expiries":         k.Expiries(7),
		"ages":             k.Ages("exp", 7),
		"ages of another":  k.Ages("user", 7),
		"user":             k.User("ns", "7"),
		"user with colons": k.User("ns", "default:7"),
		"files":            k.Files(7),
		"names":            k.Names(7),
		"lock":             k.Lock("7"),
	} {
		assert.Empty(t, names[name], what)
		names[name] = what
	}
	assert.Equal(t, "session:"+id, k.Session(schema.Key{Namespace: "default", ID: id}))
	assert.Equal(t, "session:shop:"+id, k.Session(schema.Key{Namespace: "shop", ID: id}))
	assert.Equal(t, "{session:"+id+"}:to", Grace("session:"+id))
}

func TestShardsAreEven(t *testing.T) {
	var counts [Shards]int
	const many = 64 * 1000
	for range many {
		counts[ShardOf(schema.DefaultNamespace, schema.NewID())]++
	}
	for shard, n := range counts {
		assert.InDelta(t, many/Shards, n, 200, "shard %d", shard)
	}
}
