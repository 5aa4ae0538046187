package format

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

func entryOf(namespace, id string, at int64, user string, files ...string) Entry {
	return Entry{
		Key: schema.Key{Namespace: namespace, ID: id}, Created: at, User: user, Files: files,
		Version: NewVersion(time.UnixMilli(at), user, files),
	}
}

// entryCases are entries of all kinds.
var entryCases = map[string]Entry{
	"plain":        entryOf(schema.DefaultNamespace, schema.NewID(), 1795280000123, ""),
	"of a user":    entryOf("shop-7", schema.NewID(), 0, "Ælfrēd"),
	"shortest id":  entryOf("x", "0123456789abcdef", MaxAge, "ada"),
	"longest id":   entryOf(strings.Repeat("n", 32), strings.Repeat("Z", 128), 1, strings.Repeat("u", 256)),
	"almost hex":   entryOf("default", strings.Repeat("A", 64), 1795280000123, "ada"),
	"with files":   entryOf("default", schema.NewID(), 1795280000123, "ada", "a", "b/c", "", "\x00", "\xff\xfe"),
	"a long path":  entryOf("default", "0123456789abcdef", 1795280000123, "", strings.Repeat("p", 1000)),
	"zero in user": entryOf("default", "0123456789abcdef", 1795280000123, "a\x00b"),
}

func TestMembersRoundTrip(t *testing.T) {
	for name, e := range entryCases {
		t.Run(name, func(t *testing.T) {
			got, ok := ParseExpiry(e.ExpiryMember())
			require.True(t, ok)
			assert.Equal(t, e, got)

			got, ok = ParseAge(e.Key.Namespace, e.AgeMember())
			require.True(t, ok)
			assert.Equal(t, Entry{Key: e.Key, Created: e.Created, Version: e.Version}, got)

			for _, path := range e.Files {
				member := e.FileMember(path)
				got, ok = ParseFile(member)
				require.True(t, ok)
				assert.Equal(t, Entry{Key: e.Key, Files: []string{path}, Version: e.Version}, got)
				assert.True(t, strings.HasPrefix(member, FilePrefix(path)))
				assert.Less(t, member, FilePrefix(path)+"\xff")
			}
		})
	}
}

func TestFilePrefixesDoNotMeet(t *testing.T) {
	paths := []string{"", "a", "aa", "ab", "b", "\x01a", strings.Repeat("a", 127), strings.Repeat("a", 128), strings.Repeat("a", 300)}
	for _, one := range paths {
		for _, other := range paths {
			if one != other {
				e := entryOf("default", schema.NewID(), 1, "", other)
				assert.False(t, strings.HasPrefix(e.FileMember(other), FilePrefix(one)), "%q %q", one, other)
			}
		}
	}
}

func TestManyFilesAreNotListed(t *testing.T) {
	e := entryOf("default", schema.NewID(), 1, "ada", strings.Repeat("p", maxListed), "q")
	member := e.ExpiryMember()
	assert.Less(t, len(member), 128)
	got, ok := ParseExpiry(member)
	require.True(t, ok)
	e.Files = nil
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
		e := entryOf("default", id, 1795280000123, "ada")
		assert.LessOrEqual(t, len(e.AgeMember()), compact)
	}
}

func TestAgeMembersOrderAsAListDoes(t *testing.T) {
	for form, ids := range map[string][]string{
		"hex":  {strings.Repeat("0", 64), "00" + strings.Repeat("f", 62), "1" + strings.Repeat("0", 63), strings.Repeat("f", 64)},
		"text": {strings.Repeat("-", 16), strings.Repeat("-", 17), strings.Repeat("A", 128), strings.Repeat("A", 63) + "_", strings.Repeat("a", 16)},
	} {
		t.Run(form, func(t *testing.T) {
			var want []Position
			for _, at := range []int64{MaxAge, 1795280000124, 1795280000123, 1, 0} {
				for _, id := range ids {
					want = append(want, Position{at, id})
				}
			}
			require.True(t, slices.IsSortedFunc(want, func(a, b Position) int {
				if a.Before(b) {
					return -1
				}
				return 1
			}))
			var members []string
			for _, p := range want {
				e := entryOf("default", p.ID, p.Created, "")
				members = append(members, e.AgeMember())
			}
			assert.True(t, slices.IsSorted(members))
			for i, p := range want {
				from := p.From(Form(formOf(p.ID)))
				require.Equal(t, byte('('), from[0])
				for j, member := range members {
					assert.Equal(t, j > i, member > from[1:], "member %d after Position %d", j, i)
				}
			}
		})
	}
}
