package redis

import (
	"context"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/redis/format"
)

// Namespaces implements backend.Store. The default namespace is always named, and
// in no index. The others are in one from before their first session is stored;
// a name stays there when the namespace is empty again, because removing it would
// race with the next session that is created.
func (s *Store) Namespaces(ctx context.Context, _ time.Time) ([]string, error) {
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	cmds := make([]rueidis.Completed, format.Shards)
	for shard := range format.Shards {
		cmds[shard] = client.B().Zrange().Key(s.keys.Names(shard)).Min("0").Max("-1").Build().Pin()
	}
	shardsOfNames, err := s.readAll(ctx, client, "listing namespaces", cmds)
	if err != nil {
		return nil, err
	}
	names := append(slices.Concat(shardsOfNames...), schema.DefaultNamespace)
	slices.Sort(names)
	return slices.Compact(names), nil
}
