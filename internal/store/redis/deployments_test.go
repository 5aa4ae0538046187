package redis_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
)

// Of two deployments whose keys are each other's sessions, the second is refused,
// and says which other there is.
func TestASecondDeploymentOfTheSameKeysIsRefused(t *testing.T) {
	for prefix, inside := range map[string]string{
		"session:shop:":   "session:", // its namespace shop
		"session:sh":      "session:", // ids that begin with sh
		"session:shop:v2": "session:", // such ids in its namespace shop
		"app-2":           "app",
		"ab":              "a",
	} {
		t.Run(inside+" then "+prefix, func(t *testing.T) {
			server := redistest.Start(t)
			open(t, server, withPrefix(inside))
			_, err := redis.Open(t.Context(), optionsAt(server.Addr(), withPrefix(prefix)))
			require.ErrorContains(t, err, "another deployment uses the same keys")
			require.ErrorContains(t, err, `"`+inside+`"`)
			require.ErrorContains(t, err, "REDIS_PREFIX")
			// Once the other is no more, its marker can go.
			require.Equal(t, "1", server.CLI("DEL", "{"+inside+"}:deployment"))
			open(t, server, withPrefix(prefix))
		})
	}
}

// Whoever empties the server, or lets it evict any key, takes the mark away too: a
// deployment that runs puts it back.
func TestTheMarkOfADeploymentComesBack(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server, withPrefix("session:"))
	require.Equal(t, "OK", server.CLI("FLUSHALL"))
	_, err := s.Sweep(t.Context(), time.Now())
	require.NoError(t, err)
	_, err = redis.Open(t.Context(), optionsAt(server.Addr(), withPrefix("session:shop:")))
	require.ErrorContains(t, err, "another deployment uses the same keys")
}

func TestDeploymentsThatShareNoKeys(t *testing.T) {
	server := redistest.Start(t)
	for _, prefix := range []string{"session:", "sessions/", "other:", "session:a:b:", "session:.", "SESSION:", "session:Shop:"} {
		open(t, server, withPrefix(prefix))
		open(t, server, withPrefix(prefix)) // instances of one deployment
	}
}

// A namespace that is another deployment's key space cannot be used; all others
// can.
func TestANamespaceThatIsAnotherDeployment(t *testing.T) {
	server := redistest.Start(t)
	now := schema.Now(time.Now())
	shop := open(t, server, withPrefix("session:shop:"))
	theirs := create(t, shop, now, spec{user: "ada"})
	s := open(t, server)
	for name, operation := range operations(s, now, newSession(t, now, spec{namespace: "shop", id: theirs.ID})) {
		switch name {
		case "Follow", "Follow further", "Namespaces", "Files", "HasFile", "Sweep", "Stats", "Ping", "Lock",
			"BeginRequest", "AnswerRequest", "AbandonRequest":
			continue // are of no namespace
		}
		err := operation(t.Context())
		var unready *backend.UnreadyError
		require.ErrorAs(t, err, &unready, name)
		assert.Contains(t, unready.Reason, `the namespace "shop"`, name)
	}
	create(t, s, now, spec{namespace: "sho", user: "ada"})
	create(t, s, now, spec{user: "ada"})
	_, err := shop.Get(t.Context(), now, theirs.Key())
	require.NoError(t, err)
	again := open(t, server, withPrefix("session:shop:")) // a restart of who was first
	_, err = again.Get(t.Context(), now, theirs.Key())
	require.NoError(t, err)
	require.NoError(t, s.Ping(t.Context()))
}

// From the version before there are sessions and no markers. Instances are
// restarted one after the other: whichever is first, neither deployment is
// refused, unless sessions of the one are the other's.
func TestDeploymentsFromBeforeThereWereMarkers(t *testing.T) {
	server := redistest.Start(t)
	now := schema.Now(time.Now())
	outer, inner := open(t, server), func(change ...func(*redis.Options)) (*redis.Store, error) {
		return redis.Open(t.Context(), optionsAt(server.Addr(), append(change, withPrefix("session:shop:"))...))
	}
	create(t, outer, now, spec{namespace: "other"})
	require.Equal(t, "1", server.CLI("DEL", "{session:}:deployment"))
	before, err := inner()
	require.NoError(t, err)
	theirs := create(t, before, now, spec{})
	require.NoError(t, before.Close())
	require.Equal(t, "1", server.CLI("DEL", "{session:shop:}:deployment"))

	open(t, server) // the outer one first
	var log syncBuffer
	upgraded, err := inner(func(o *redis.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	require.NoError(t, err)
	assert.Contains(t, log.String(), "REDIS_PREFIX")
	_, err = upgraded.Get(t.Context(), now, theirs.Key())
	require.NoError(t, err)
	require.NoError(t, upgraded.Close())
	_, err = outer.Get(t.Context(), now, backend.Key{Namespace: "shop", ID: theirs.ID})
	var unready *backend.UnreadyError
	require.ErrorAs(t, err, &unready)

	// But here they are.
	server.CLI("FLUSHALL")
	mixed := open(t, server)
	create(t, mixed, now, spec{namespace: "shop"})
	server.CLI("DEL", "{session:}:deployment")
	_, err = inner()
	require.ErrorContains(t, err, "another deployment")
}

// A user that may not look at the other's keys is no reason against a start.
func TestDeploymentsThatMayNotSeeEachOther(t *testing.T) {
	server := redistest.Start(t, limited(t))
	open(t, server, asLimited)
	rules := strings.Split(strings.ReplaceAll(strings.Join(documented(t, userOfServer), "\n"), "session:", "session:shop:"), "\n")
	require.Equal(t, "OK", server.CLI(append([]string{"ACL", "SETUSER", "shop", "on", ">" + passwordOfUsers}, rules...)...))
	open(t, server, withPrefix("session:shop:"), func(o *redis.Options) { o.Username, o.Password = "shop", passwordOfUsers })
}
