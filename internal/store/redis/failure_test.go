package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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

// briefly is how long a store of a test of failures waits: long enough for what
// works on a busy machine.
const briefly = time.Second

func brief(o *redis.Options) { o.Timeout, o.DialTimeout = briefly, briefly }

// impatience is how much longer than its timeouts an operation may take.
const impatience = 2 * time.Second

// operations are all that ask the server.
func operations(s *redis.Store, now time.Time, sess schema.Session) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"Get":  func(ctx context.Context) error { _, err := s.Get(ctx, now, sess.Key()); return err },
		"Peek": func(ctx context.Context) error { _, err := s.Peek(ctx, now, sess.Key()); return err },
		"Create": func(ctx context.Context) error {
			return s.Create(ctx, now, sess.WithID(schema.NewID()))
		},
		"Revive": func(ctx context.Context) error {
			return s.Create(ctx, now, sess.WithID(schema.NewID()), backend.Revive)
		},
		"Count": func(ctx context.Context) error {
			_, err := s.Count(ctx, now, backend.Filter{Namespace: sess.Namespace})
			return err
		},
		"Follow":         func(ctx context.Context) error { return s.Follow(ctx, "", nil) },
		"Follow further": func(ctx context.Context) error { return s.Follow(ctx, "1-1", nil) },
		"Swap":           func(ctx context.Context) error { _, err := s.Swap(ctx, now, sess, sess); return err },
		"Touch":          func(ctx context.Context) error { _, err := s.Touch(ctx, now, sess.Key(), now); return err },
		"Regenerate": func(ctx context.Context) error {
			return s.Regenerate(ctx, now, sess, sess.WithID(schema.NewID()), now)
		},
		"Delete": func(ctx context.Context) error { return s.Delete(ctx, now, sess.Key(), 0) },
		"List": func(ctx context.Context) error {
			_, err := s.List(ctx, now, backend.Query{Namespace: sess.Namespace, Limit: 1})
			return err
		},
		"Namespaces": func(ctx context.Context) error { _, err := s.Namespaces(ctx, now); return err },
		"Clear": func(ctx context.Context) error {
			_, err := s.Clear(ctx, now, backend.Filter{Namespace: sess.Namespace})
			return err
		},
		"Files": func(ctx context.Context) error {
			return s.Files(ctx, now, func(string) error { return nil })
		},
		"HasFile": func(ctx context.Context) error { _, err := s.HasFile(ctx, now, "a"); return err },
		"Sweep":   func(ctx context.Context) error { _, err := s.Sweep(ctx, now); return err },
		"Stats":   func(ctx context.Context) error { _, err := s.Stats(ctx, now); return err },
		"Ping":    func(ctx context.Context) error { return s.Ping(ctx) },
		"BeginRequest": func(ctx context.Context) error {
			key, r := request(now, "a")
			_, _, err := s.BeginRequest(ctx, now, key, r)
			return err
		},
		"AnswerRequest": func(ctx context.Context) error {
			key, r := request(now, "b")
			r.Answer = []byte("answer")
			return s.AnswerRequest(ctx, now, key, r)
		},
		"AbandonRequest": func(ctx context.Context) error {
			key, r := request(now, "c")
			return s.AbandonRequest(ctx, now, key, r.Lease, true)
		},
		"Lock": func(ctx context.Context) error { _, _, err := s.Lock(ctx, "work", time.Second); return err },
	}
}

func TestAServerThatIsAway(t *testing.T) {
	for name, c := range map[string]struct {
		leave, back func(s *redistest.Server, p *redistest.Proxy)
	}{
		"killed": {
			func(s *redistest.Server, _ *redistest.Proxy) { s.Kill() },
			func(s *redistest.Server, _ *redistest.Proxy) { s.Restart() },
		},
		"frozen": {
			func(s *redistest.Server, _ *redistest.Proxy) { s.Pause() },
			func(s *redistest.Server, _ *redistest.Proxy) { s.Resume() },
		},
		"behind a network that swallows all": {
			func(_ *redistest.Server, p *redistest.Proxy) { p.Stall(redistest.Up); p.Stall(redistest.Down) },
			func(_ *redistest.Server, p *redistest.Proxy) { p.Flow(redistest.Up); p.Flow(redistest.Down) },
		},
		"behind a network that swallows answers": {
			func(_ *redistest.Server, p *redistest.Proxy) { p.Stall(redistest.Down) },
			func(_ *redistest.Server, p *redistest.Proxy) { p.Flow(redistest.Down) },
		},
		"behind a network that refuses": {
			func(_ *redistest.Server, p *redistest.Proxy) { p.Refuse(); p.Cut() },
			func(_ *redistest.Server, p *redistest.Proxy) { p.Accept() },
		},
	} {
		for _, cached := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, client cache %t", name, cached), func(t *testing.T) {
				t.Parallel() // they wait
				server := redistest.Start(t, redistest.AppendOnly("always"))
				proxy := redistest.StartProxy(t, server.Addr())
				withCached := func(o *redis.Options) { o.ClientCache = cached }
				s := openAt(t, proxy.Addr(), brief, withCached)
				awaitConnected(t, s)
				now := time.Now()
				stays := create(t, s, now, spec{user: "ada"})
				sess := create(t, s, now, spec{user: "ada", files: []string{"a"}})

				slow := openAt(t, proxy.Addr(), withCached, func(o *redis.Options) { o.Timeout, o.DialTimeout = patience, patience })
				awaitConnected(t, slow)
				c.leave(server, proxy)
				var running sync.WaitGroup
				for what, operation := range operations(s, now, sess) {
					running.Go(func() {
						began := time.Now()
						err := operation(t.Context())
						assert.ErrorIs(t, err, backend.ErrUnavailable, what)
						assert.NotErrorIs(t, err, backend.ErrNotFound, what)
						assert.NotErrorIs(t, err, backend.ErrConflict, what)
						soaktest.Within(t, time.Since(began), 2*briefly+impatience, what)
					})
				}
				running.Wait()
				// The caller's own deadline counts as well.
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				began := time.Now()
				_, err := slow.Get(ctx, now, sess.Key())
				assert.ErrorIs(t, err, backend.ErrUnavailable)
				assert.Less(t, time.Since(began), patience-5*time.Second)

				c.back(server, proxy)
				returned := time.Now()
				require.Eventually(t, func() bool {
					_, err := s.Get(t.Context(), now, stays.Key())
					return err == nil && s.Ping(t.Context()) == nil
				}, patience, 5*time.Millisecond)
				took := time.Since(returned)
				t.Logf("healed in %v", took)
				soaktest.Within(t, took, time.Second)
				create(t, s, now, spec{})
			})
		}
	}
}

// A change whose answer is lost may have been made. That is what the error
// says: neither that it was made, nor that somebody else was faster.
func TestAnAnswerThatIsLost(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	s, direct := openAt(t, proxy.Addr(), brief), open(t, server)
	awaitConnected(t, s)
	now := schema.Now(ahead().Now())
	exercise(t, s) // the server knows the scripts
	sess := create(t, s, now, spec{})
	next := revised(t, now, sess, spec{note: "next"})
	proxy.Stall(redistest.Down)
	_, err := s.Swap(t.Context(), now, sess, next)
	require.ErrorIs(t, err, backend.ErrUnavailable)
	require.NotErrorIs(t, err, backend.ErrConflict)
	got, err := direct.Get(t.Context(), now, sess.Key())
	require.NoError(t, err)
	assert.Equal(t, document(next), document(got), "it was made once")

	made := newSession(t, now, spec{user: "ada", files: []string{"a"}})
	err = s.Create(t.Context(), now, made)
	require.ErrorIs(t, err, backend.ErrUnavailable)
	proxy.Flow(redistest.Down)
	require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, patience, 5*time.Millisecond)
	assert.Equal(t, []string{made.ID}, list(t, s, now, "ada"), "it was made with its entry")
	assert.Equal(t, []string{"a"}, files(t, s, now))
}

// Connections that break under load lose no acknowledged change.
func TestConnectionsThatBreak(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	s := openAt(t, proxy.Addr(), brief)
	awaitConnected(t, s)
	now := schema.Now(ahead().Now())
	sess := create(t, s, now, spec{})
	done := make(chan struct{})
	var acknowledged, attempts atomic.Int64
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				cur, err := s.Peek(t.Context(), now, sess.Key())
				if err == nil {
					attempts.Add(1)
					_, err = s.Swap(t.Context(), now, cur, revised(t, now, cur, spec{}))
				}
				switch {
				case err == nil:
					acknowledged.Add(1)
				case !errors.Is(err, backend.ErrConflict):
					assert.ErrorIs(t, err, backend.ErrUnavailable)
				}
			}
		})
	}
	for n := range int64(30) {
		require.Eventually(t, func() bool { return acknowledged.Load() > 5*n }, patience, time.Millisecond)
		proxy.Cut()
	}
	close(done)
	running.Wait()
	require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, patience, 5*time.Millisecond)
	got, err := s.Get(t.Context(), now, sess.Key())
	require.NoError(t, err)
	assert.GreaterOrEqual(t, got.Revision-1, acknowledged.Load())
	assert.LessOrEqual(t, got.Revision-1, attempts.Load())
}

// With appendfsync always, Redis acknowledges what it has on disk. So does the
// store: kill -9 loses no acknowledged write.
func TestKilledServersLoseNothingAcknowledged(t *testing.T) {
	server := redistest.Start(t, redistest.AppendOnly("always"))
	s := open(t, server, func(o *redis.Options) { o.Timeout = 5 * time.Second })
	now := schema.Now(ahead().Now())
	const writers = 8
	var last [writers]schema.Session // acknowledged; ID is empty after an acknowledged end
	var ended [writers][]backend.Key
	for round := range 3 {
		done := make(chan struct{})
		var changes atomic.Int64
		var running sync.WaitGroup
		for i := range writers {
			running.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-done:
						return
					default:
					}
					var err error
					switch cur := last[i]; {
					case cur.ID == "":
						sess := newSession(t, now, spec{user: "ada", files: []string{"a"}})
						if err = s.Create(t.Context(), now, sess); err == nil {
							last[i] = sess
						}
					case n%10 == 9:
						if err = s.Delete(t.Context(), now, cur.Key(), 0); err == nil {
							last[i] = schema.Session{}
							ended[i] = append(ended[i], cur.Key())
						}
					case n%10 == 5:
						next := cur.WithID(schema.NewID())
						if err = s.Regenerate(t.Context(), now, cur, next, now); err == nil {
							last[i] = next
							ended[i] = append(ended[i], cur.Key())
						}
					default:
						next := revised(t, now, cur, spec{user: "ada", files: []string{"a", fmt.Sprint(n % 3)}, note: fmt.Sprint(n)})
						if _, err = s.Swap(t.Context(), now, cur, next); err == nil {
							last[i] = next
						}
					}
					if err != nil {
						// What was being done is done or not: the next round sees.
						assert.ErrorIs(t, err, backend.ErrUnavailable)
						return
					}
					changes.Add(1)
				}
			})
		}
		require.Eventually(t, func() bool { return changes.Load() > 100 }, patience, time.Millisecond)
		server.Kill()
		close(done)
		running.Wait()
		server.Restart()
		require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, patience, 5*time.Millisecond)
		for i := range writers {
			for _, key := range ended[i] {
				_, err := s.Get(t.Context(), now, key)
				require.ErrorIs(t, err, backend.ErrNotFound, "round %d: ended", round)
			}
			if last[i].ID == "" {
				continue
			}
			got, err := s.Get(t.Context(), now, last[i].Key())
			if errors.Is(err, backend.ErrNotFound) {
				// Its end, or its renewal, was not acknowledged, but made.
				last[i] = schema.Session{}
				continue
			}
			require.NoError(t, err)
			require.GreaterOrEqual(t, got.Revision, last[i].Revision, "round %d", round)
			last[i] = got
			has, err := s.HasFile(t.Context(), now, "a")
			require.NoError(t, err)
			require.True(t, has)
			require.Contains(t, list(t, s, now, "ada"), got.ID)
		}
	}
}

func TestAServerThatComesLater(t *testing.T) {
	server := redistest.Start(t)
	addr := server.Addr()
	server.Stop()
	var log syncBuffer
	s := openAt(t, addr, brief, func(o *redis.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	now := time.Now()
	for what, operation := range operations(s, now, newSession(t, now, spec{})) {
		assert.ErrorIs(t, operation(t.Context()), backend.ErrUnavailable, what)
	}
	assert.Contains(t, log.String(), "not available yet")
	server.Restart()
	returned := time.Now()
	require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, patience, 5*time.Millisecond)
	soaktest.Within(t, time.Since(returned), time.Second)
	create(t, s, now, spec{})
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Out of memory is a store that is full: nothing is stored, nothing is lost,
// and what is there can be read and ended.
func TestAServerThatIsFull(t *testing.T) {
	server := redistest.Start(t, redistest.MaxMemory("8mb", "noeviction"))
	var log syncBuffer
	s := open(t, server, func(o *redis.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	assert.Empty(t, log.String())
	now := schema.Now(ahead().Now())
	var sessions []schema.Session
	for {
		sess := newSession(t, now, spec{user: "ada", files: []string{"a"}, note: strings.Repeat("x", 100_000)})
		err := s.Create(t.Context(), now, sess)
		if err != nil {
			require.ErrorIs(t, err, backend.ErrFull)
			break
		}
		sessions = append(sessions, sess)
		require.Less(t, len(sessions), 100)
	}
	require.NotEmpty(t, sessions)
	first := sessions[0]
	_, err := s.Swap(t.Context(), now, first, revised(t, now, first, spec{user: "ada", files: []string{"a"}, note: strings.Repeat("y", 200_000)}))
	require.ErrorIs(t, err, backend.ErrFull)
	require.ErrorIs(t, s.Regenerate(t.Context(), now, first, first.WithID(schema.NewID()), now.Add(hour)), backend.ErrFull)
	for _, sess := range sessions {
		got, err := s.Get(t.Context(), now, sess.Key())
		require.NoError(t, err)
		assert.Equal(t, document(sess), document(got))
	}
	_, err = s.Touch(t.Context(), now.Add(time.Second), first.Key(), now.Add(time.Second+hour))
	require.NoError(t, err)
	n, err := s.Clear(t.Context(), now, backend.Filter{Namespace: first.Namespace, Except: first.ID})
	require.NoError(t, err)
	assert.Equal(t, len(sessions)-1, n)
	create(t, s, now, spec{})
	assert.Equal(t, []string{first.ID}, list(t, s, now, "ada"))
}

// A cache that hears nothing any more is not believed for long.
func TestACacheThatIsCutOff(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	one, other := open(t, server), openAt(t, proxy.Addr(), withCache, brief)
	now := schema.Now(ahead().Now())
	sess := create(t, one, now, spec{})
	for range 2 {
		_, err := other.Get(t.Context(), now, sess.Key())
		require.NoError(t, err)
	}
	proxy.Stall(redistest.Down)
	require.NoError(t, one.Delete(t.Context(), now, sess.Key(), 0))
	ended := time.Now()
	for {
		if _, err := other.Get(t.Context(), now, sess.Key()); err != nil {
			require.ErrorIs(t, err, backend.ErrUnavailable)
			break
		}
	}
	t.Logf("believed for %v", time.Since(ended))
	// Twice the interval of looking after a connection, and the timeout.
	soaktest.Within(t, time.Since(ended), 2*500*time.Millisecond+briefly+impatience)
}
