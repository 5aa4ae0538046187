package format

import (
	"encoding/hex"
	"hash/fnv"
	"strconv"
	"strings"

	"session-api/internal/schema"
)

// Shards is how many keys each of the sharded indexes is spread over. It is
// part of the format: with another number nothing that is indexed is found.
const Shards = 64

// Keys names the keys of a store. No two names are the same: neither an id nor a
// namespace has ':' or '#'.
type Keys struct{ Prefix string }

// Session is the key of a session's value.
func (k Keys) Session(key schema.Key) string {
	if key.Namespace == schema.DefaultNamespace {
		return k.Prefix + key.ID
	}
	return k.Prefix + key.Namespace + ":" + key.ID
}

// Grace is the key that leads from a regenerated session to its successor. A
// Cluster hashes what is in braces, so it is on the session's server.
func Grace(sessionKey string) string { return "{" + sessionKey + "}:to" }

// Tombstone is the key that says that a session was ended lately. It is on the
// session's server, too.
func Tombstone(sessionKey string) string { return "{" + sessionKey + "}:end" }

// ParseSession is the reverse of Session: ok is false for the name of another key.
func (k Keys) ParseSession(sessionKey string) (key schema.Key, ok bool) {
	name := strings.TrimPrefix(sessionKey, k.Prefix)
	namespace, id, named := strings.Cut(name, ":")
	if !named {
		namespace, id = schema.DefaultNamespace, name
	}
	key = schema.Key{Namespace: namespace, ID: id}
	return key, schema.ValidNamespace(namespace) && schema.ValidForeignID(id) && k.Session(key) == sessionKey
}

// Events is the key of the stream of events.
func (k Keys) Events() string { return k.Prefix + "#events" }

// Expiries is a shard of the index by deadline.
func (k Keys) Expiries(shard int) string { return k.sharded("#exp:", shard) }

// ExpiriesOf is the shard that a session is in.
func (k Keys) ExpiriesOf(key schema.Key) string { return k.Expiries(ShardOf(key.Namespace, key.ID)) }

// Ages is a shard of the index of a namespace's sessions by age.
func (k Keys) Ages(namespace string, shard int) string {
	return k.sharded("#ns:"+namespace+":", shard)
}

// AgesOf is the shard that a session is in.
func (k Keys) AgesOf(key schema.Key) string {
	return k.Ages(key.Namespace, ShardOf(key.Namespace, key.ID))
}

// Names is a shard of the index of namespaces by name.
func (k Keys) Names(shard int) string { return k.sharded("#names:", shard) }

// NamesOf is the shard that a session's namespace is in: as spread as the
// sessions are, so that no server gets a write for every new one.
func (k Keys) NamesOf(key schema.Key) string { return k.Names(ShardOf(key.Namespace, key.ID)) }

// User is the index of a user's sessions by age.
func (k Keys) User(namespace, user string) string {
	return k.Prefix + "#user:" + namespace + ":" + user
}

// Files is a shard of the index by file.
func (k Keys) Files(shard int) string { return k.sharded("#file:", shard) }

// FilesOf is the shard that a file is in.
func (k Keys) FilesOf(path string) string { return k.Files(ShardOf(path)) }

// Lock is the key of a lease.
func (k Keys) Lock(name string) string { return k.Prefix + "#lock:" + name }

// Request is the key of a request with an Idempotency-Key.
func (k Keys) Request(key [32]byte) string {
	return k.Prefix + "#request:" + hex.EncodeToString(key[:])
}

func (k Keys) sharded(name string, shard int) string {
	return k.Prefix + name + strconv.Itoa(shard)
}

// ShardOf spreads names over shards. Every instance must agree on it.
func ShardOf(parts ...string) int {
	h := fnv.New32a()
	for _, part := range parts {
		_, _ = h.Write([]byte(part)) // never fails
		_, _ = h.Write([]byte{0})
	}
	// FNV's low bits are its weakest.
	sum := h.Sum32()
	return int((sum ^ sum>>16) % Shards)
}

// Identity is the key of the store's identity, which tells the sessions of this
// prefix from others.
func (k Keys) Identity() string { return k.Prefix + "#store" }

// Probe is a key that stays empty, to ask whether the server would write it.
func (k Keys) Probe(n int) string { return k.sharded("#probe:", n) }

// Deployment is the key that marks the prefix as a deployment's.
func (k Keys) Deployment() string { return "{" + k.Prefix + "}:deployment" }
