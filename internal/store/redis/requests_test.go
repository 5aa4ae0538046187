package redis_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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

// request returns a request with an Idempotency-Key that begins now.
func request(now time.Time, name string) (backend.RequestKey, backend.Request) {
	return sha256.Sum256([]byte("key " + name)), backend.Request{
		Fingerprint: sha256.Sum256([]byte("asks " + name)), Plan: "plan " + name,
		Lease: now.Add(time.Minute), ExpiresAt: now.Add(hour),
	}
}

// What somebody sees who looks with redis-cli.
func TestRequestsAreHashes(t *testing.T) {
	server := redistest.Start(t)
	s, ctx, now := open(t, server), t.Context(), schema.Now(time.Now())
	key, r := request(now, "a")
	r.Guest = true
	name := "session:#request:" + hex.EncodeToString(key[:])
	_, begun, err := s.BeginRequest(ctx, now, key, r)
	require.NoError(t, err)
	require.True(t, begun)
	field := func(field string) string { return server.CLI("HGET", name, field) }
	assert.Equal(t, name, server.CLI("KEYS", "*request*"))
	assert.Equal(t, r.Plan, field("plan"))
	assert.Equal(t, string(r.Fingerprint[:]), field("fingerprint"))
	assert.Equal(t, strconv.FormatInt(r.Lease.UnixMilli(), 10), field("lease"))
	assert.Equal(t, strconv.FormatInt(r.ExpiresAt.UnixMilli(), 10), field("end"))
	assert.Equal(t, "1", field("guest"))
	assert.Equal(t, "0", server.CLI("HEXISTS", name, "answer"))
	assert.Equal(t, field("end"), server.CLI("PEXPIRETIME", name))

	later := r
	later.Lease, later.ExpiresAt = now.Add(2*time.Minute), now.Add(2*hour)
	_, begun, err = s.BeginRequest(ctx, r.Lease, key, later)
	require.NoError(t, err)
	require.True(t, begun)
	assert.Equal(t, strconv.FormatInt(later.ExpiresAt.UnixMilli(), 10), server.CLI("PEXPIRETIME", name), "it lives as long as the last attempt says")
	later.Answer = []byte("answer")
	require.NoError(t, s.AnswerRequest(ctx, now, key, later))
	assert.Equal(t, "answer", field("answer"))
	assert.Equal(t, strconv.FormatInt(later.ExpiresAt.UnixMilli(), 10), server.CLI("PEXPIRETIME", name))

	key, r = request(now, "b")
	_, _, err = s.BeginRequest(ctx, now, key, r)
	require.NoError(t, err)
	require.NoError(t, s.AbandonRequest(ctx, now, key, r.Lease, true))
	assert.Equal(t, name, server.CLI("KEYS", "*request*"))
	// One that has expired leaves nothing of itself to the next one.
	key, r = request(now, "a")
	_, begun, err = s.BeginRequest(ctx, later.ExpiresAt, key, r)
	require.NoError(t, err)
	require.True(t, begun)
	assert.Equal(t, "0", server.CLI("HEXISTS", name, "answer"))
	assert.Empty(t, field("guest"))
}

// What was done and whose answer was lost is there for the next attempt.
func TestLostAnswersOfRequests(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	s, near := openAt(t, proxy.Addr(), brief), open(t, server)
	awaitConnected(t, s)
	ctx, now := t.Context(), schema.Now(ahead().Now())
	lost := func(call func(ctx context.Context) error) {
		t.Helper()
		proxy.Stall(redistest.Down)
		ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, call(ctx), backend.ErrUnavailable)
		proxy.Flow(redistest.Down)
		require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, patience, 5*time.Millisecond)
	}
	key, r := request(now, "known to the server") // the scripts, from now on
	_, _, err := s.BeginRequest(ctx, now, key, r)
	require.NoError(t, err)
	require.NoError(t, s.AbandonRequest(ctx, now, key, r.Lease, true))
	r.Answer = []byte("answer")
	require.NoError(t, s.AnswerRequest(ctx, now, key, r))
	key, r = request(now, "a")
	lost(func(ctx context.Context) error {
		_, _, err := s.BeginRequest(ctx, now, key, r)
		return err
	})
	got, begun, err := near.BeginRequest(ctx, now, key, r)
	require.NoError(t, err)
	require.False(t, begun, "it is in progress")
	require.Equal(t, r.Plan, got.Plan)
	_, next := request(now, "a")
	next.Plan, next.Lease = "another", r.Lease.Add(time.Minute)
	got, begun, err = s.BeginRequest(ctx, r.Lease, key, next)
	require.NoError(t, err)
	require.True(t, begun)
	require.Equal(t, r.Plan, got.Plan)

	got.Answer = []byte("answer")
	lost(func(ctx context.Context) error { return s.AnswerRequest(ctx, now, key, got) })
	late := got
	late.Answer = []byte("of another attempt")
	require.NoError(t, s.AnswerRequest(ctx, now, key, late))
	stored, begun, err := near.BeginRequest(ctx, now, key, next)
	require.NoError(t, err)
	require.False(t, begun)
	require.Equal(t, "answer", string(stored.Answer))

	key, r = request(now, "b")
	_, _, err = s.BeginRequest(ctx, now, key, r)
	require.NoError(t, err)
	lost(func(ctx context.Context) error { return s.AbandonRequest(ctx, now, key, r.Lease, true) })
	_, begun, err = near.BeginRequest(ctx, now, key, r)
	require.NoError(t, err)
	require.True(t, begun)
}

// A Redis without room begins nothing, and answers what it has.
func TestRequestsWithoutRoom(t *testing.T) {
	for _, binary := range redistest.Binaries(t) {
		server := redistest.Start(t, redistest.Binary(binary), limited(t))
		s, ctx, now := open(t, server, asLimited), t.Context(), schema.Now(ahead().Now())
		answered, r := request(now, "answered")
		r.Answer = []byte("answer")
		require.NoError(t, s.AnswerRequest(ctx, now, answered, r))
		inProgress, begun := request(now, "in progress")
		_, _, err := s.BeginRequest(ctx, now, inProgress, begun)
		require.NoError(t, err)
		dies, dead := request(now, "dies")
		dead.Lease = now.Add(time.Second)
		_, _, err = s.BeginRequest(ctx, now, dies, dead)
		require.NoError(t, err)

		server.CLI("CONFIG", "SET", "maxmemory-policy", "noeviction")
		server.CLI("CONFIG", "SET", "maxmemory", "1")
		got, ok, err := s.BeginRequest(ctx, now, answered, r)
		require.NoError(t, err)
		require.False(t, ok)
		require.Equal(t, "answer", string(got.Answer))
		key, next := request(now, "new")
		_, _, err = s.BeginRequest(ctx, now, key, next)
		require.ErrorIs(t, err, backend.ErrFull)
		_, _, err = s.BeginRequest(ctx, dead.Lease, dies, begun)
		require.NoError(t, err, "one that asks something else")
		_, again := request(now, "dies")
		_, _, err = s.BeginRequest(ctx, dead.Lease, dies, again)
		require.ErrorIs(t, err, backend.ErrFull)
		late := begun
		late.Answer = []byte("late")
		require.ErrorIs(t, s.AnswerRequest(ctx, now, inProgress, late), backend.ErrFull)
		require.NoError(t, s.AbandonRequest(ctx, now, inProgress, begun.Lease, false))

		server.CLI("CONFIG", "SET", "maxmemory", "0")
		got, ok, err = s.BeginRequest(ctx, now, inProgress, begun)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, begun.Plan, got.Plan)
		require.NoError(t, s.AbandonRequest(ctx, now, inProgress, begun.Lease, true))
	}
}

// A guest's requests cannot take the reserve either.
func TestRequestsAndTheReserve(t *testing.T) {
	server := redistest.Start(t, redistest.MaxMemory("64mb", "noeviction"), limited(t))
	s, ctx, now := open(t, server, withReserve, asLimited, func(o *redis.Options) { o.Reserve = 40 }), t.Context(), schema.Now(ahead().Now())
	begin := func(name string, guest bool) error {
		key, r := request(now, name)
		r.Guest = guest
		_, _, err := s.BeginRequest(ctx, now, key, r)
		return err
	}
	require.NoError(t, begin("first", true))
	for n := 0; n == 0 || begin(fmt.Sprint("guest ", n), true) == nil; n++ {
		require.Less(t, n, 64, "the reserve is never reached")
		key, r := request(now, fmt.Sprint("large ", n))
		r.Answer = []byte(strings.Repeat("x", mib))
		require.NoError(t, s.AnswerRequest(ctx, now, key, r))
	}
	require.ErrorIs(t, begin("more", true), backend.ErrFull)
	require.NoError(t, begin("first", true), "one that is there")
	require.NoError(t, begin("a service's", false))
	st, err := s.Stats(ctx, now)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, st.Reserved, int64(2))
}
