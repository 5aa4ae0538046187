package redis_test

import (
	"regexp"
	"slices"
	"strconv"
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

// calls returns how often INFO commandstats says that a command was called.
func calls(t testing.TB, stats, command string) int {
	t.Helper()
	found := regexp.MustCompile(`(?m)^cmdstat_` + regexp.QuoteMeta(command) + `:calls=(\d+)`).FindStringSubmatch(stats)
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	return n
}

// exercise uses everything that the store can do.
func exercise(t testing.TB, s *redis.Store) {
	t.Helper()
	ctx, now := t.Context(), schema.Now(ahead().Now())
	require.NoError(t, s.Ping(ctx))
	for _, user := range []string{"ada", "bob", ""} {
		sess := create(t, s, now, spec{user: user, files: []string{"a"}})
		_, err := s.Get(ctx, now, sess.Key())
		require.NoError(t, err)
		_, err = s.Touch(ctx, now.Add(time.Second), sess.Key(), now.Add(time.Second+hour))
		require.NoError(t, err)
		noted := revised(t, now, sess, spec{user: user, files: []string{"a"}, note: "b"})
		_, err = s.Swap(ctx, now, sess, noted)
		require.NoError(t, err)
		sess = noted
		next := revised(t, now, sess, spec{user: "eve", files: []string{"b"}})
		next.TTL, next.ExpiresAt = time.Minute, now.Add(time.Minute)
		_, err = s.Swap(ctx, now, sess, next)
		require.NoError(t, err)
		short := revised(t, now, next, spec{user: "eve", files: []string{"b"}})
		short.TTL, short.ExpiresAt = time.Second, now.Add(time.Second)
		_, err = s.Swap(ctx, now, next, short)
		require.NoError(t, err)
		third := short.WithID(schema.NewID())
		require.NoError(t, s.Regenerate(ctx, now, short, third, now.Add(hour)))
		_, err = s.Get(ctx, now, sess.Key())
		require.NoError(t, err, "in the grace")
		require.Error(t, s.Regenerate(ctx, now, short, short.WithID(schema.NewID()), now))
		require.Equal(t, []string{third.ID}, list(t, s, now, "eve"))
		require.Equal(t, []string{third.ID}, list(t, s, now, ""))
		require.Equal(t, []string{"b"}, files(t, s, now))
		has, err := s.HasFile(ctx, now, "a", "b")
		require.NoError(t, err)
		require.True(t, has)
		require.Positive(t, entries(t, s))
		require.Equal(t, 1, counted(t, s, now, backend.Filter{UserID: "eve"}))
		switch user {
		case "ada":
			require.NoError(t, s.Delete(ctx, now, third.Key(), third.Revision))
		case "bob":
			n, err := s.Clear(ctx, now, backend.Filter{Namespace: schema.DefaultNamespace, UserID: "eve"})
			require.NoError(t, err)
			require.Equal(t, 1, n)
		default:
			n, err := s.Sweep(ctx, now.Add(time.Minute))
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
	}
	key, r := request(now, schema.NewID())
	for _, forget := range []bool{false, true} {
		_, begun, err := s.BeginRequest(ctx, now, key, r)
		require.NoError(t, err)
		require.True(t, begun)
		require.NoError(t, s.AbandonRequest(ctx, now, key, r.Lease, forget))
	}
	r.Answer, r.ExpiresAt = []byte("answer"), now.Add(time.Second)
	require.NoError(t, s.AnswerRequest(ctx, now, key, r))
	_, _, err := s.BeginRequest(ctx, now.Add(time.Second), key, r)
	require.NoError(t, err)
	unlock, held, err := s.Lock(ctx, "work", 100*time.Millisecond)
	require.NoError(t, err)
	require.True(t, held)
	unlock()
}

// exerciseFollow is exercise while somebody follows.
func exerciseFollow(t testing.TB, s *redis.Store) {
	t.Helper()
	f := follow(t, s)
	exercise(t, s)
	ev := f.next()
	require.Equal(t, backend.EventCreated, ev.Type)
	require.Equal(t, backend.EventTouched, followAfter(t, s, ev.ID).next().Type)
}

// needed are the commands that a user of the store must be allowed. Those of
// the second line are the client's.
var needed = strings.Fields(`
	del eval evalsha exists get getrange hmget hset mget pexpire pexpireat pexpiretime set strlen time xadd xrange xread xrevrange zadd zcard zrandmember zrange zrem
	client|caching client|tracking exec hello info multi ping pttl select`)

// No operation costs what the whole store holds, and none needs more than a
// careful operator would allow.
func TestCommandsThatAreUsed(t *testing.T) {
	server := redistest.Start(t)
	server.CLI("CONFIG", "RESETSTAT")
	exercise(t, open(t, server))
	exercise(t, open(t, server, withCache, withCompression))
	exerciseFollow(t, open(t, server, forFiveMinutes))
	stats := server.CLI("INFO", "commandstats")
	var used []string
	for _, found := range regexp.MustCompile(`(?m)^cmdstat_([^:]+):`).FindAllStringSubmatch(stats, -1) {
		used = append(used, found[1])
	}
	used = slices.DeleteFunc(used, func(name string) bool { return name == "config|resetstat" || name == "info" })
	assert.Subset(t, needed, used)
	for _, never := range []string{"keys", "scan", "zscan", "sscan", "hscan", "randomkey", "flushall", "flushdb"} {
		assert.NotContains(t, used, never)
	}
}

func TestRoundTrips(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	s := openAt(t, proxy.Addr())
	ctx, now := t.Context(), schema.Now(ahead().Now())
	exercise(t, s) // the server knows the scripts from now on

	// A connection is looked after from time to time, and the server's memory is. That
	// is a round trip more, or one less where both share it: the median is without.
	trips := func(operation func()) int64 {
		var counts []int64
		for range 5 {
			before := proxy.Counts()
			operation()
			counts = append(counts, proxy.Counts().Sub(before).RoundTrips)
		}
		slices.Sort(counts)
		return counts[len(counts)/2]
	}
	sess := create(t, s, now, spec{user: "ada", files: []string{"a"}})
	assert.EqualValues(t, 1, trips(func() {
		_, err := s.Get(ctx, now, sess.Key())
		require.NoError(t, err)
	}), "Get")
	assert.EqualValues(t, 1, trips(func() {
		_, err := s.Get(ctx, now, backend.Key{Namespace: sess.Namespace, ID: schema.NewID()})
		require.ErrorIs(t, err, backend.ErrNotFound)
	}), "Get of nothing")
	assert.EqualValues(t, 1, trips(func() { create(t, s, now, spec{user: "ada", files: []string{"a", "b"}}) }), "Create")
	assert.EqualValues(t, 1, trips(func() {
		next := revised(t, now, sess, spec{user: "ada", files: []string{"a"}, note: sess.ETag()})
		_, err := s.Swap(ctx, now, sess, next)
		require.NoError(t, err)
		sess = next
	}), "Swap of the same user and files")
	assert.EqualValues(t, 3, trips(func() {
		next := revised(t, now, sess, spec{user: "ada", files: []string{sess.ETag()}})
		_, err := s.Swap(ctx, now, sess, next)
		require.NoError(t, err)
		sess = next
	}), "Swap of other files")
	assert.EqualValues(t, 1, trips(func() {
		_, err := s.Touch(ctx, now, sess.Key(), now.Add(2*hour))
		require.NoError(t, err)
	}), "Touch")
	assert.EqualValues(t, 2, trips(func() {
		page, err := s.List(ctx, now, backend.Query{Namespace: sess.Namespace, UserID: "ada", Limit: 3})
		require.NoError(t, err)
		require.Len(t, page.Sessions, 3)
	}), "List")
	assert.EqualValues(t, 1, trips(func() {
		has, err := s.HasFile(ctx, now, "x", "y", "z")
		require.NoError(t, err)
		require.False(t, has)
	}), "HasFile of nothing")
	tries := 0
	requests := func() (backend.RequestKey, backend.Request) {
		tries++
		return request(now, strconv.Itoa(tries))
	}
	assert.EqualValues(t, 1, trips(func() {
		key, r := requests()
		_, begun, err := s.BeginRequest(ctx, now, key, r)
		require.NoError(t, err)
		require.True(t, begun)
	}), "BeginRequest")
	assert.EqualValues(t, 1, trips(func() {
		key, r := request(now, "1")
		_, begun, err := s.BeginRequest(ctx, now, key, r)
		require.NoError(t, err)
		require.False(t, begun)
	}), "BeginRequest of what is in progress")
	assert.EqualValues(t, 1, trips(func() {
		key, r := requests()
		r.Answer = []byte("answer")
		require.NoError(t, s.AnswerRequest(ctx, now, key, r))
	}), "AnswerRequest")
	tries = 0
	assert.EqualValues(t, 1, trips(func() {
		key, r := requests()
		require.NoError(t, s.AbandonRequest(ctx, now, key, r.Lease, true))
	}), "AbandonRequest")
	assert.EqualValues(t, 1, trips(func() { require.NoError(t, s.Ping(ctx)) }), "Ping")
	assert.EqualValues(t, 2, trips(func() {
		_, err := s.Sweep(ctx, now)
		require.NoError(t, err)
	}), "Sweep where nothing is due: the mark of the deployment, and the index")
}

// Reads at the same time share packets.
func TestConcurrentReadsSharePackets(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	s := openAt(t, proxy.Addr())
	now := schema.Now(ahead().Now())
	sess := create(t, s, now, spec{})
	const readers = 400
	// The network is slow enough for them to meet.
	proxy.SetLatency(redistest.Down, 20*time.Millisecond)
	before := proxy.Counts()
	together(readers, func(int) {
		_, err := s.Get(t.Context(), now, sess.Key())
		assert.NoError(t, err)
	})
	counts := proxy.Counts().Sub(before)
	t.Logf("%d reads: %d packets to the server, %d from it", readers, counts.Segments[redistest.Up], counts.Segments[redistest.Down])
	assert.Less(t, counts.Segments[redistest.Up], int64(readers/4))
}
