package redis_test

import (
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
)

const mib = 1 << 20

// withReserve keeps a tenth for others than guests, and is patient: floods are.
func withReserve(o *redis.Options) { o.Reserve, o.Timeout = 10, 30*time.Second }

// info returns a number that a server says of itself.
func info(t testing.TB, server *redistest.Server, name string) int64 {
	t.Helper()
	_, rest, ok := strings.Cut(server.CLI("INFO", "all"), "\r\n"+name+":")
	require.True(t, ok, name)
	text, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err)
	return n
}

// storing returns how often the server was sent commands that store a session.
func storing(t testing.TB, server *redistest.Server) string {
	t.Helper()
	var found []string
	for line := range strings.Lines(server.CLI("INFO", "commandstats")) {
		if strings.HasPrefix(line, "cmdstat_zadd:") || strings.HasPrefix(line, "cmdstat_evalsha:") {
			count, _, _ := strings.Cut(line, ",")
			found = append(found, count)
		}
	}
	return strings.Join(found, " ")
}

// flood creates visitors' sessions through all of the instances at once, until
// each of these has refused some, and then some that are small, until there is no
// room for these, either. It returns the former.
func flood(t testing.TB, instances []*redis.Store, now time.Time, note string) []schema.Session {
	t.Helper()
	stored := floodWith(t, instances, now, note)
	floodWith(t, instances, now, "")
	return stored
}

func floodWith(t testing.TB, instances []*redis.Store, now time.Time, note string) (stored []schema.Session) {
	t.Helper()
	const together, refusals = 4, 20
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, s := range instances {
		var refused atomic.Int64
		for range together {
			all.Go(func() {
				for refused.Load() < refusals && !t.Failed() {
					sess := newSession(t, now, spec{note: note, ttl: 30 * 24 * time.Hour})
					switch err := s.Create(t.Context(), now, sess); {
					case err == nil:
						mu.Lock()
						stored = append(stored, sess)
						mu.Unlock()
					case errors.Is(err, backend.ErrFull):
						refused.Add(1)
					default:
						assert.NoError(t, err)
					}
				}
			})
		}
	}
	all.Wait()
	return stored
}

// settle keeps visitors' share full until Redis has given up the buffers of its
// clients, which count as memory in use.
func settle(t testing.TB, server *redistest.Server, instances []*redis.Store, now time.Time) {
	t.Helper()
	require.Eventually(t, func() bool {
		floodWith(t, instances, now, "")
		return info(t, server, "mem_clients_normal") < mib
	}, time.Minute, 100*time.Millisecond)
}

// tighten moves the limit so that what is in use lies in the middle of the reserve:
// a little more or less changes nothing.
func tighten(t testing.TB, server *redistest.Server, reserve int64) {
	t.Helper()
	used := info(t, server, "used_memory")
	server.CLI("CONFIG", "SET", "maxmemory", strconv.FormatInt(used*100/(100-reserve/2), 10))
}

// Visitors fill a Redis that may not evict, through several instances at once, but
// for the reserve.
func TestReserve(t *testing.T) {
	const reserve = 40 // of which buffers and Lua's garbage are a small part
	for _, binary := range redistest.Binaries(t) {
		for name, note := range map[string]string{"small": strings.Repeat("x", 4<<10), "large": strings.Repeat("x", mib-1000)} {
			t.Run(name, func(t *testing.T) {
				server := redistest.Start(t, redistest.Binary(binary), redistest.MaxMemory("64mb", "noeviction"), limited(t))
				var instances []*redis.Store
				for range 3 {
					instances = append(instances, open(t, server, withReserve, asLimited, func(o *redis.Options) { o.Reserve = reserve }))
				}
				s, now := instances[0], schema.Now(ahead().Now())
				user, visitor := create(t, s, now, spec{user: "ada"}), create(t, s, now, spec{note: strings.Repeat("x", 100<<10)})
				visitors := flood(t, instances, now, note)
				// Buffers that Redis frees must not make room while the rest is looked at.
				settle(t, server, instances, now)
				// What scripts were sent is garbage of Lua's by now, collected sooner or later.
				used := info(t, server, "used_memory") - info(t, server, "used_memory_lua")
				const share = 64 * (100 - reserve) * mib / 100
				t.Logf("%.1f MiB used, of which visitors may take %.1f", float64(used)/mib, float64(share)/mib)
				assert.LessOrEqual(t, used, int64(share+len(note)+mib), "more than a document beyond it")
				assert.Greater(t, used, int64(share*8/10), "as much as they may")
				tighten(t, server, reserve)

				guest := func() error {
					return s.Create(t.Context(), now, newSession(t, now, spec{note: strings.Repeat("x", max(len(note), 100<<10))}))
				}
				require.ErrorIs(t, guest(), backend.ErrFull)
				require.ErrorIs(t, s.Create(t.Context(), now, newSession(t, now, spec{namespace: "shop", note: strings.Repeat("x", 100<<10)}), backend.Revive), backend.ErrFull, "it is nobody's there, too")
				grown := revised(t, now, visitor, spec{note: strings.Repeat("x", 200<<10)})
				_, err := s.Swap(t.Context(), now, visitor, grown)
				require.ErrorIs(t, err, backend.ErrFull)
				_, err = s.Swap(t.Context(), now, visitor, revised(t, now, visitor, spec{note: strings.Repeat("x", 200<<10), files: []string{"a"}}))
				require.ErrorIs(t, err, backend.ErrFull)
				require.ErrorIs(t, s.Regenerate(t.Context(), now, visitor, visitor.WithID(schema.NewID()), now), backend.ErrFull)
				_, err = s.Touch(t.Context(), now.Add(time.Minute), visitor.Key(), now.Add(hour+time.Minute))
				require.NoError(t, err)
				visitor, err = s.Swap(t.Context(), now, visitor, revised(t, now, visitor, spec{}))
				require.NoError(t, err, "it does not grow")

				// Users and services go on.
				_, err = s.Swap(t.Context(), now, user, revised(t, now, user, spec{user: "ada", note: strings.Repeat("x", mib/2), files: []string{"a"}}))
				require.NoError(t, err)
				created := newSession(t, now, spec{note: strings.Repeat("x", mib/2)})
				created.Trusted = true
				require.NoError(t, s.Create(t.Context(), now, created))
				next := revised(t, now, created, spec{note: strings.Repeat("x", mib/2+1)})
				next.Trusted = true
				_, err = s.Swap(t.Context(), now, created, next)
				require.NoError(t, err)
				create(t, s, now, spec{user: "bob"})
				in := build(t, visitor.WithID(schema.NewID()), spec{user: "cy"}) // signs in
				require.NoError(t, s.Regenerate(t.Context(), now, visitor, in, now))
				out, err := s.Swap(t.Context(), now, in, revised(t, now, in, spec{note: "bye, and many thanks"}))
				require.NoError(t, err, "nobody is refused for losing a user")
				st, err := s.Stats(t.Context(), now)
				require.NoError(t, err)
				assert.Positive(t, st.Reserved)

				// What ends makes room.
				server.CLI("CONFIG", "SET", "maxmemory", "64mb")
				require.NoError(t, s.Delete(t.Context(), now, out.Key(), 0))
				require.NoError(t, s.Delete(t.Context(), now, created.Key(), 0))
				for _, sess := range visitors[:len(visitors)/10] {
					require.NoError(t, s.Delete(t.Context(), now, sess.Key(), 0))
				}
				require.NoError(t, s.Delete(t.Context(), now, user.Key(), 0))
				require.Eventually(t, func() bool { return guest() == nil }, 10*time.Second, 5*time.Millisecond)
			})
		}
	}
}

// While it is known that there is no room, a refusal asks Redis for nothing.
func TestARefusalCostsNoRoundTrip(t *testing.T) {
	server := redistest.Start(t, redistest.MaxMemory("16mb", "noeviction"))
	s, now := open(t, server, withReserve), schema.Now(ahead().Now())
	note := strings.Repeat("x", 100<<10)
	visitor := create(t, s, now, spec{note: note})
	flood(t, []*redis.Store{s}, now, strings.Repeat("x", 100<<10))
	server.CLI("CONFIG", "SET", "maxmemory", "8mb") // so that buffers which Redis frees make no room
	next := revised(t, now, visitor, spec{note: note + note})
	refusals := func() {
		require.ErrorIs(t, s.Create(t.Context(), now, newSession(t, now, spec{note: note})), backend.ErrFull)
		_, err := s.Swap(t.Context(), now, visitor, next)
		require.ErrorIs(t, err, backend.ErrFull)
		require.ErrorIs(t, s.Regenerate(t.Context(), now, visitor, visitor.WithID(schema.NewID()), now), backend.ErrFull)
	}
	require.Eventually(t, func() bool {
		before := storing(t, server)
		refusals()
		return storing(t, server) == before
	}, 10*time.Second, time.Millisecond)
	before := storing(t, server)
	for range 100 {
		refusals()
	}
	assert.Equal(t, before, storing(t, server))
}

// Where Redis itself would evict, visitors are refused before it does.
func TestReserveUnderEviction(t *testing.T) {
	server := redistest.Start(t, redistest.MaxMemory("16mb", "volatile-lru"))
	s, now := open(t, server, withReserve), schema.Now(ahead().Now())
	users := make([]schema.Session, 20)
	for i := range users {
		users[i] = create(t, s, now, spec{user: "ada"})
	}
	flood(t, []*redis.Store{s}, now, strings.Repeat("x", 100<<10))
	assert.Zero(t, info(t, server, "evicted_keys"))
	for _, user := range users {
		_, err := s.Get(t.Context(), now, user.Key())
		require.NoError(t, err)
	}
}

// The limit may be a setting, and the lower of the two counts.
func TestReserveOfALimitThatIsSet(t *testing.T) {
	for _, maxmemory := range []string{"0", "1gb", "16mb"} {
		server := redistest.Start(t, redistest.MaxMemory(maxmemory, "noeviction"))
		limit := int64(16 * mib)
		if maxmemory == "16mb" {
			limit = 1 << 30
		}
		s := open(t, server, withReserve, func(o *redis.Options) { o.MaxMemory = limit })
		now := schema.Now(ahead().Now())
		flood(t, []*redis.Store{s}, now, strings.Repeat("x", 100<<10))
		assert.InDelta(t, 16*mib*9/10, info(t, server, "used_memory")-info(t, server, "used_memory_lua"), mib, maxmemory)
		create(t, s, now, spec{user: "ada"})
		server.CLI("CONFIG", "SET", "maxmemory", "1gb")
		if limit == 1<<30 {
			require.Eventually(t, func() bool { return s.Create(t.Context(), now, newSession(t, now, spec{})) == nil }, 10*time.Second, 5*time.Millisecond)
		}
	}
}

// Where there is none, the log says so.
func TestNoReserve(t *testing.T) {
	for want, opts := range map[string][]redistest.Option{
		"Redis has no maxmemory": {limited(t)},
		"+info":                  {redistest.MaxMemory("16mb", "noeviction"), redistest.Set("user", append([]string{userOfServer, "on", ">" + passwordOfUsers}, append(documented(t, userOfServer), "-info")...)...)},
	} {
		var log syncBuffer
		s := open(t, redistest.Start(t, opts...), withReserve, asLimited, func(o *redis.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		require.Eventually(t, func() bool { return contains(log.String(), want) }, 10*time.Second, time.Millisecond)
		now := schema.Now(ahead().Now())
		sess := create(t, s, now, spec{})
		_, err := s.Swap(t.Context(), now, sess, revised(t, now, sess, spec{note: "a longer one"}))
		require.NoError(t, err)
	}
}

// Each primary of a Cluster has a reserve of its own.
func TestReserveOnACluster(t *testing.T) {
	cluster := redistest.StartCluster(t, redistest.MaxMemory("16mb", "noeviction"))
	var instances []*redis.Store
	for range 2 {
		s, err := redis.Open(t.Context(), redis.Options{Server: conn.Server{Addresses: cluster.Addrs(), Cluster: true, Timeout: 30 * time.Second}, Reserve: 10})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		instances = append(instances, s)
	}
	s, now := instances[0], schema.Now(ahead().Now())
	flood(t, instances, now, strings.Repeat("x", 100<<10))
	guest := func() error {
		return s.Create(t.Context(), now, newSession(t, now, spec{note: strings.Repeat("x", 100<<10)}))
	}
	require.Eventually(t, func() bool { return errors.Is(guest(), backend.ErrFull) }, 10*time.Second, time.Millisecond)
	for range 50 {
		create(t, s, now, spec{user: "ada", note: strings.Repeat("x", 10<<10)})
	}
	for _, node := range cluster.Nodes()[:3] {
		assert.Less(t, info(t, node, "used_memory")-info(t, node, "mem_not_counted_for_evict"), int64(16*mib*19/20))
	}
	n, err := s.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace})
	require.NoError(t, err)
	assert.Greater(t, n, 50)
	require.Eventually(t, func() bool { return guest() == nil }, 10*time.Second, 5*time.Millisecond)
}
