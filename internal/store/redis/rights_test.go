package redis_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
)

// documented returns the user that docs/scaling.md says is enough, as ACL SETUSER
// takes it: the lines of its rules that begin with these words.
func documented(t testing.TB, kinds ...string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "scaling.md"))
	require.NoError(t, err)
	var rules []string
	for _, kind := range kinds {
		found := regexp.MustCompile(`(?m)^ACL SETUSER `+kind+` on >PASSWORD (.+)$`).FindAllStringSubmatch(string(text), -1)
		require.Len(t, found, 1, kind)
		rules = append(rules, strings.Fields(found[0][1])...)
	}
	return rules
}

// Users that docs/scaling.md describes.
const (
	userOfServer    = "sessions"
	userOfSentinels = "sentinels"
	passwordOfUsers = "of-nobody-else"
)

// limited are the options of a server whose user may do what is documented, and
// nothing else; asLimited are those of a store that is this user.
func limited(t testing.TB) redistest.Option {
	t.Helper()
	return redistest.Set("user", append([]string{userOfServer, "on", ">" + passwordOfUsers}, documented(t, userOfServer)...)...)
}

func limitedSentinel(t testing.TB) redistest.Option {
	t.Helper()
	return redistest.SetSentinel("user", append([]string{userOfSentinels, "on", ">" + passwordOfUsers}, documented(t, userOfSentinels)...)...)
}

func asLimited(o *redis.Options) { o.Username, o.Password = userOfServer, passwordOfUsers }

// What the documentation lists is what is used, and all of it.
func TestTheDocumentedUser(t *testing.T) {
	var commands []string
	for _, rule := range documented(t, userOfServer) {
		if name, ok := strings.CutPrefix(rule, "+"); ok {
			commands = append(commands, name)
		}
	}
	for _, name := range needed {
		assert.Contains(t, commands, name)
	}
	for _, name := range commands {
		if !strings.HasPrefix(name, "cluster|") && !slices.Contains([]string{"asking", "role"}, name) {
			assert.Contains(t, needed, name)
		}
	}
	server := redistest.Start(t, limited(t))
	exercise(t, open(t, server, asLimited))
	exercise(t, open(t, server, asLimited, withCache))
	exerciseFollow(t, open(t, server, asLimited, forFiveMinutes))
	exercise(t, open(t, server, asLimited, func(o *redis.Options) { o.DB = 2 }))
}

// A right that is missing is found before anything depends on it, and named: all
// that are missing, at once.
func TestMissingRightsAreNamed(t *testing.T) {
	server := redistest.Start(t, limited(t))
	rules := documented(t, userOfServer)
	setUser := func(rules ...string) {
		require.Equal(t, "OK", server.CLI(append([]string{"ACL", "SETUSER", userOfServer, "reset", "on", ">" + passwordOfUsers}, rules...)...))
	}
	refused := func(names ...string) {
		t.Helper()
		for _, cached := range []bool{false, true} {
			_, err := redis.Open(t.Context(), optionsAt(server.Addr(), asLimited, func(o *redis.Options) { o.ClientCache = cached }))
			require.Error(t, err, "%v", names)
			for _, name := range names {
				assert.ErrorContains(t, err, name)
			}
		}
	}
	// Those of the connection itself are missed when it is made, or not at all.
	ofConnections := []string{"client|caching", "client|tracking", "exec", "hello", "info", "multi", "ping", "pttl", "select", "asking", "role"}
	for i, rule := range rules {
		name, isCommand := strings.CutPrefix(rule, "+")
		if !isCommand || strings.HasPrefix(name, "cluster|") || slices.Contains(ofConnections, name) {
			continue
		}
		setUser(slices.Delete(slices.Clone(rules), i, i+1)...)
		refused("+" + name)
	}
	setUser(append(slices.Clone(rules), "-eval", "-xadd", "-zadd")...)
	refused("+eval", "+xadd", "+zadd")
	setUser("~session:*", "~{session:*", "+@read", "+@connection", "+info")
	refused("+set", "+evalsha")
	setUser("~session:*", "+@all")
	refused("~{session:*")
	setUser("~other:*", "~{other:*", "+@all")
	refused("~session:*")
	setUser(rules...)
	s := open(t, server, asLimited)

	// What is taken away later shows in readiness, and comes back with the right.
	setUser(append(slices.Clone(rules), "-evalsha")...)
	err := s.Ping(t.Context())
	var unready *backend.UnreadyError
	require.ErrorAs(t, err, &unready)
	require.ErrorIs(t, err, backend.ErrUnavailable)
	assert.Contains(t, unready.Reason, "scripts")
	setUser(rules...)
	require.NoError(t, s.Ping(t.Context()))
}
