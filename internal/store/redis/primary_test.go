package redis_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
)

// follows makes one server the replica of another, and waits until it has caught up.
func follows(t testing.TB, replica, primary *redistest.Server) {
	t.Helper()
	host, port := hostPort(t, primary.Addr())
	require.Equal(t, "OK", replica.CLI("REPLICAOF", host, port))
	require.Eventually(t, func() bool {
		return replica.CLI("ROLE") != "" && contains(replica.CLI("INFO", "replication"), "master_link_status:up")
	}, patience, 5*time.Millisecond)
}

// A name that leads to a primary, which is demoted while connections to it last,
// leads elsewhere afterwards. The store finds out by itself.
func TestADemotedPrimaryIsLeft(t *testing.T) {
	for _, cached := range []bool{false, true} {
		one, other := redistest.Start(t), redistest.Start(t)
		follows(t, other, one)
		name := redistest.StartProxy(t, one.Addr())
		s := openAt(t, name.Addr(), func(o *redis.Options) { o.ClientCache = cached })
		now := schema.Now(time.Now())
		sess := create(t, s, now, spec{user: "ada", files: []string{"a"}})
		require.Eventually(t, func() bool { return other.CLI("DBSIZE") == one.CLI("DBSIZE") }, patience, 5*time.Millisecond)
		require.NoError(t, s.Ping(t.Context()))

		// First the roles, then the name.
		require.Equal(t, "OK", other.CLI("REPLICAOF", "NO", "ONE"))
		follows(t, one, other)
		for what, operation := range map[string]func(context.Context) error{
			"Ping":   s.Ping,
			"Create": func(ctx context.Context) error { return s.Create(ctx, now, newSession(t, now, spec{user: "bob"})) },
			"Touch": func(ctx context.Context) error {
				_, err := s.Touch(ctx, now.Add(time.Minute), sess.Key(), now.Add(2*hour))
				return err
			},
			"Lock": func(ctx context.Context) error { _, _, err := s.Lock(ctx, "work", time.Second); return err },
		} {
			require.ErrorIs(t, operation(t.Context()), backend.ErrUnavailable, what)
		}
		// Now and then it is asked over a connection that is being left.
		var unready *backend.UnreadyError
		require.Eventually(t, func() bool { return errors.As(s.Ping(t.Context()), &unready) }, patience, 5*time.Millisecond)
		assert.Contains(t, unready.Reason, "replica")

		name.Redirect(other.Addr())
		moved := time.Now()
		require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, patience, 5*time.Millisecond)
		soaktest.Within(t, time.Since(moved), 2*time.Second)
		create(t, s, now, spec{user: "ada"})
		got, err := s.Get(t.Context(), now, sess.Key())
		require.NoError(t, err)
		_, err = s.Swap(t.Context(), now, got, revised(t, now, got, spec{user: "eve"}))
		require.NoError(t, err)
	}
}

// Writes alone are enough to find out, and where the name has moved already none
// fails.
func TestWritesFollowTheName(t *testing.T) {
	one, other := redistest.Start(t), redistest.Start(t)
	name := redistest.StartProxy(t, one.Addr())
	s := openAt(t, name.Addr())
	now := schema.Now(time.Now())
	create(t, s, now, spec{})
	name.Redirect(other.Addr())
	follows(t, one, other)
	var failures atomic.Int64
	together(8, func(int) {
		for range 20 {
			if err := s.Create(t.Context(), now, newSession(t, now, spec{user: "ada", files: []string{"a"}})); err != nil {
				assert.ErrorIs(t, err, backend.ErrUnavailable)
				failures.Add(1)
			}
		}
	})
	assert.LessOrEqual(t, failures.Load(), int64(8), "those at most whose answers were under way")
	assert.NotEqual(t, "0", other.CLI("ZCARD", "session:#user:default:ada"))
}

// A store that is opened on a replica waits as for a server that is away.
func TestAReplicaIsWaitedFor(t *testing.T) {
	primary, replica := redistest.Start(t), redistest.Start(t)
	follows(t, replica, primary)
	s := open(t, replica)
	var unready *backend.UnreadyError
	require.ErrorAs(t, s.Ping(t.Context()), &unready)
	assert.Contains(t, unready.Reason, "replica")
	require.Equal(t, "OK", replica.CLI("REPLICAOF", "NO", "ONE"))
	require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, patience, 5*time.Millisecond)
	create(t, s, time.Now(), spec{})
}

// So it does for one that has no room for another client, that is busy, or loads.
func TestAServerThatTakesNobodyIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		options []redistest.Option
		leave   func(t *testing.T, s *redistest.Server) (back func())
		says    string
	}{
		"full of clients": {[]redistest.Option{redistest.Set("maxclients", "4")}, func(t *testing.T, s *redistest.Server) func() {
			t.Helper()
			conns := occupy(t, s)
			return func() {
				for _, conn := range conns {
					_ = conn.Close()
				}
			}
		}, "as many clients"},
		"busy": {[]redistest.Option{redistest.Set("busy-reply-threshold", "10")}, func(t *testing.T, s *redistest.Server) func() {
			t.Helper()
			client := raw(t, s)
			var running sync.WaitGroup
			running.Go(func() {
				_ = client.Do(context.WithoutCancel(t.Context()), client.B().Arbitrary("EVAL", "while true do end", "0").Build()).Error()
			})
			require.Eventually(t, func() bool { return contains(s.CLI("GET", "a"), "BUSY") }, patience, 5*time.Millisecond)
			return func() {
				require.Equal(t, "OK", s.CLI("SCRIPT", "KILL"))
				running.Wait()
			}
		}, "busy"},
		"a replica with no primary": {nil, func(t *testing.T, s *redistest.Server) func() {
			t.Helper()
			require.Equal(t, "OK", s.CLI("CONFIG", "SET", "replica-serve-stale-data", "no"))
			require.Equal(t, "OK", s.CLI("REPLICAOF", "127.0.0.1", "1"))
			return func() { s.CLI("REPLICAOF", "NO", "ONE") }
		}, ""},
		"with too few replicas": {nil, func(t *testing.T, s *redistest.Server) func() {
			t.Helper()
			require.Equal(t, "OK", s.CLI("CONFIG", "SET", "min-replicas-to-write", "1"))
			return func() { s.CLI("CONFIG", "SET", "min-replicas-to-write", "0") }
		}, "too few replicas"},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, c.options...)
			server.CLI("PING") // on the connection that is kept
			back := c.leave(t, server)
			var log syncBuffer
			s := open(t, server, brief, func(o *redis.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			err := s.Ping(t.Context())
			require.ErrorIs(t, err, backend.ErrUnavailable)
			if c.says != "" {
				var unready *backend.UnreadyError
				require.ErrorAs(t, err, &unready, "%v", err)
				assert.Contains(t, unready.Reason, c.says)
			}
			back()
			require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, patience, 5*time.Millisecond, &log)
			create(t, s, time.Now(), spec{})
		})
	}
}

// Memory that is full is no reason not to be asked: what is there can be read.
func TestAFullServerIsReady(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server)
	now := schema.Now(time.Now())
	sess := create(t, s, now, spec{})
	require.Equal(t, "OK", server.CLI("CONFIG", "SET", "maxmemory", "1"))
	require.NoError(t, s.Ping(t.Context()))
	other := open(t, server) // which has no room for its marker
	require.NoError(t, other.Ping(t.Context()))
	_, err := other.Get(t.Context(), now, sess.Key())
	require.NoError(t, err)
	require.ErrorIs(t, other.Create(t.Context(), now, newSession(t, now, spec{})), backend.ErrFull)
}
