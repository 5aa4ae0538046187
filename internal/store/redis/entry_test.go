package redis

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

func newEntry(namespace, id string, at int64, user string, files ...string) entry {
	return entry{
		key: backend.Key{Namespace: namespace, ID: id}, created: at, user: user, files: files,
		stamp: newStamp(time.UnixMilli(at), user, files),
	}
}

// entryCases are entries of all kinds.
var entryCases = map[string]entry{
	"plain":        newEntry(schema.DefaultNamespace, schema.NewID(), 1795280000123, ""),
	"of a user":    newEntry("shop-7", schema.NewID(), 0, "Ælfrēd"),
	"shortest id":  newEntry("x", "0123456789abcdef", ageMax, "ada"),
	"longest id":   newEntry(strings.Repeat("n", 32), strings.Repeat("Z", 128), 1, strings.Repeat("u", 256)),
	"almost hex":   newEntry("default", strings.Repeat("A", 64), 1795280000123, "ada"),
	"with files":   newEntry("default", schema.NewID(), 1795280000123, "ada", "a", "b/c", "", "\x00", "\xff\xfe"),
	"a long path":  newEntry("default", "0123456789abcdef", 1795280000123, "", strings.Repeat("p", 1000)),
	"zero in user": newEntry("default", "0123456789abcdef", 1795280000123, "a\x00b"),
}

func TestMembersRoundTrip(t *testing.T) {
	for name, e := range entryCases {
		t.Run(name, func(t *testing.T) {
			got, ok := parseExpiry(e.expiryMember())
			require.True(t, ok)
			assert.Equal(t, e, got)

			got, ok = parseAge(e.key.Namespace, e.ageMember())
			require.True(t, ok)
			assert.Equal(t, entry{key: e.key, created: e.created, stamp: e.stamp}, got)

			for _, path := range e.files {
				member := e.fileMember(path)
				got, ok = parseFile(member)
				require.True(t, ok)
				assert.Equal(t, entry{key: e.key, files: []string{path}, stamp: e.stamp}, got)
				assert.True(t, strings.HasPrefix(member, filePrefix(path)))
				assert.Less(t, member, filePrefix(path)+"\xff")
			}
		})
	}
}

func TestFilePrefixesDoNotMeet(t *testing.T) {
	paths := []string{"", "a", "aa", "ab", "b", "\x01a", strings.Repeat("a", 127), strings.Repeat("a", 128), strings.Repeat("a", 300)}
	for _, one := range paths {
		for _, other := range paths {
			if one != other {
				e := newEntry("default", schema.NewID(), 1, "", other)
				assert.False(t, strings.HasPrefix(e.fileMember(other), filePrefix(one)), "%q %q", one, other)
			}
		}
	}
}

func TestManyFilesAreNotListed(t *testing.T) {
	e := newEntry("default", schema.NewID(), 1, "ada", strings.Repeat("p", maxListed), "q")
	member := e.expiryMember()
	assert.Less(t, len(member), 128)
	got, ok := parseExpiry(member)
	require.True(t, ok)
	e.files = nil
	assert.Equal(t, e, got)
}

// Redis keeps a sorted set in its compact form while no member is longer than
// 64 bytes (zset-max-listpack-value).
func TestAgeMembersStayCompact(t *testing.T) {
	const compact = 64
	for _, id := range []string{
		schema.NewID(),
		"123e4567-e89b-12d3-a456-426614174000", // a UUID
		strings.Repeat("x", 32),                // express-session's
	} {
		e := newEntry("default", id, 1795280000123, "ada")
		assert.LessOrEqual(t, len(e.ageMember()), compact)
	}
}

func TestAgeMembersOrderAsAListDoes(t *testing.T) {
	for form, ids := range map[string][]string{
		"hex":  {strings.Repeat("0", 64), "00" + strings.Repeat("f", 62), "1" + strings.Repeat("0", 63), strings.Repeat("f", 64)},
		"text": {strings.Repeat("-", 16), strings.Repeat("-", 17), strings.Repeat("A", 128), strings.Repeat("A", 63) + "_", strings.Repeat("a", 16)},
	} {
		t.Run(form, func(t *testing.T) {
			var want []position
			for _, at := range []int64{ageMax, 1795280000124, 1795280000123, 1, 0} {
				for _, id := range ids {
					want = append(want, position{at, id})
				}
			}
			require.True(t, slices.IsSortedFunc(want, func(a, b position) int {
				if a.before(b) {
					return -1
				}
				return 1
			}))
			var members []string
			for _, p := range want {
				e := newEntry("default", p.id, p.created, "")
				members = append(members, e.ageMember())
			}
			assert.True(t, slices.IsSorted(members))
			for i, p := range want {
				from := p.from(formOf(p.id))
				require.Equal(t, byte('('), from[0])
				for j, member := range members {
					assert.Equal(t, j > i, member > from[1:], "member %d after position %d", j, i)
				}
			}
		})
	}
}

func TestKeysDoNotMeet(t *testing.T) {
	l := layout{"session:"}
	id := schema.NewID()
	names := map[string]string{}
	for what, name := range map[string]string{
		"session":          l.session(backend.Key{Namespace: schema.DefaultNamespace, ID: id}),
		"of a namespace":   l.session(backend.Key{Namespace: "exp", ID: id}),
		"of another":       l.session(backend.Key{Namespace: "ns", ID: id}),
		"grace":            grace(l.session(backend.Key{Namespace: schema.DefaultNamespace, ID: id})),
		"expiries":         l.expiries(7),
		"ages":             l.ages("exp", 7),
		"ages of another":  l.ages("user", 7),
		"user":             l.user("ns", "7"),
		"user with colons": l.user("ns", "default:7"),
		"files":            l.files(7),
		"names":            l.names(7),
		"lock":             l.lock("7"),
	} {
		assert.Empty(t, names[name], what)
		names[name] = what
	}
	assert.Equal(t, "session:"+id, l.session(backend.Key{Namespace: "default", ID: id}))
	assert.Equal(t, "session:shop:"+id, l.session(backend.Key{Namespace: "shop", ID: id}))
	assert.Equal(t, "{session:"+id+"}:to", grace("session:"+id))
}

func TestShardsAreEven(t *testing.T) {
	var counts [shards]int
	const many = 64 * 1000
	for range many {
		counts[shardOf(schema.DefaultNamespace, schema.NewID())]++
	}
	for shard, n := range counts {
		assert.InDelta(t, many/shards, n, 200, "shard %d", shard)
	}
}
