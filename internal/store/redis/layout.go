package redis

import (
	"hash/fnv"
	"strconv"
	"strings"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// shards is how many keys each of the sharded indexes is spread over. It is
// part of the layout: with another number nothing that is indexed is found.
const shards = 64

// layout names the keys. No two names meet: an id has neither ':' nor '#', a
// namespace neither.
type layout struct{ prefix string }

// session is the key of a session's value.
func (l layout) session(key backend.Key) string {
	if key.Namespace == schema.DefaultNamespace {
		return l.prefix + key.ID
	}
	return l.prefix + key.Namespace + ":" + key.ID
}

// grace is the key next to a session's that leads to its successor. What is in
// braces is what a Cluster goes by, so both are always on one server.
func grace(sessionKey string) string { return "{" + sessionKey + "}:to" }

// tombstone is the key next to a session's that says that it was ended lately.
func tombstone(sessionKey string) string { return "{" + sessionKey + "}:end" }

// keyOf is the reverse of session.
func (l layout) keyOf(sessionKey string) (backend.Key, bool) {
	name := strings.TrimPrefix(sessionKey, l.prefix)
	namespace, id, named := strings.Cut(name, ":")
	if !named {
		namespace, id = schema.DefaultNamespace, name
	}
	key := backend.Key{Namespace: namespace, ID: id}
	return key, schema.ValidNamespace(namespace) && schema.ValidForeignID(id) && l.session(key) == sessionKey
}

// events is the key of the stream of events.
func (l layout) events() string { return l.prefix + "#events" }

// expiries is a shard of the index by deadline.
func (l layout) expiries(shard int) string { return l.sharded("#exp:", shard) }

// expiriesOf is the shard that a session is in.
func (l layout) expiriesOf(key backend.Key) string { return l.expiries(shardOf(key.Namespace, key.ID)) }

// ages is a shard of the index of a namespace's sessions by age.
func (l layout) ages(namespace string, shard int) string {
	return l.sharded("#ns:"+namespace+":", shard)
}

// agesOf is the shard that a session is in.
func (l layout) agesOf(key backend.Key) string {
	return l.ages(key.Namespace, shardOf(key.Namespace, key.ID))
}

// names is a shard of the index of namespaces by name.
func (l layout) names(shard int) string { return l.sharded("#names:", shard) }

// namesOf is the shard that a session's namespace is in: as spread as the
// sessions are, so that no server gets a write for every new one.
func (l layout) namesOf(key backend.Key) string { return l.names(shardOf(key.Namespace, key.ID)) }

// user is the index of a user's sessions by age.
func (l layout) user(namespace, user string) string {
	return l.prefix + "#user:" + namespace + ":" + user
}

// files is a shard of the index by file.
func (l layout) files(shard int) string { return l.sharded("#file:", shard) }

// filesOf is the shard that a file is in.
func (l layout) filesOf(path string) string { return l.files(shardOf(path)) }

// lock is the key of a lease.
func (l layout) lock(name string) string { return l.prefix + "#lock:" + name }

func (l layout) sharded(name string, shard int) string {
	return l.prefix + name + strconv.Itoa(shard)
}

// shardOf spreads names over shards. Every instance must agree on it.
func shardOf(parts ...string) int {
	h := fnv.New32a()
	for _, part := range parts {
		_, _ = h.Write([]byte(part)) // never fails
		_, _ = h.Write([]byte{0})
	}
	// FNV's low bits are its weakest.
	sum := h.Sum32()
	return int((sum ^ sum>>16) % shards)
}
