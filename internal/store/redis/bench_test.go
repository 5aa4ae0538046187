package redis_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
)

// typical is a session of two kilobytes.
func typical(t testing.TB, now time.Time, paths ...string) schema.Session {
	t.Helper()
	return sized(t, now, 80, "ada", paths...)
}

// sized is a session with so many words in it.
func sized(t testing.TB, now time.Time, words int, user string, paths ...string) schema.Session {
	t.Helper()
	return newSession(t, now, spec{user: user, note: strings.Repeat("what somebody typed, ", words), files: paths})
}

func BenchmarkGet(b *testing.B) {
	for name, change := range map[string]func(*redis.Options){
		"plain":        func(*redis.Options) {},
		"compressed":   withCompression,
		"client-cache": withCache,
	} {
		server := redistest.Start(b)
		s := open(b, server, change)
		now := schema.Now(ahead().Now())
		sess := typical(b, now)
		require.NoError(b, s.Create(b.Context(), now, sess))
		// Its own writes keep a session out of an instance's cache for a while.
		reader := open(b, server, change)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(sess.Doc)))
			for b.Loop() {
				if _, err := reader.Get(b.Context(), now, sess.Key()); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"-parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(sess.Doc)))
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := reader.Get(b.Context(), now, sess.Key()); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkSwap(b *testing.B) {
	server := redistest.Start(b)
	for name, paths := range map[string][2][]string{
		"same-files":  {{"a"}, {"a"}},
		"other-files": {{"a"}, {"b"}},
	} {
		s := open(b, server)
		now := schema.Now(ahead().Now())
		var states [2]schema.Session
		states[0] = typical(b, now, paths[0]...)
		states[1] = revised(b, now, states[0], spec{user: "ada", note: "short", files: paths[1]})
		require.NoError(b, s.Create(b.Context(), now, states[0]))
		b.Run(name, func(b *testing.B) {
			cur, err := s.Peek(b.Context(), now, states[0].Key())
			require.NoError(b, err)
			at := int(cur.Revision - 1)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Swap(b.Context(), now, states[at], states[1-at]); err != nil {
					b.Fatal(err)
				}
				at = 1 - at
			}
		})
	}
}

func BenchmarkTouch(b *testing.B) {
	s := open(b, redistest.Start(b))
	now := schema.Now(ahead().Now())
	sess := typical(b, now)
	require.NoError(b, s.Create(b.Context(), now, sess))
	b.ReportAllocs()
	for at := now; b.Loop(); at = at.Add(time.Millisecond) {
		if _, err := s.Touch(b.Context(), at, sess.Key(), at.Add(hour)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreate(b *testing.B) {
	s := open(b, redistest.Start(b))
	now := schema.Now(ahead().Now())
	sess := typical(b, now, "a")
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Create(b.Context(), now, sess.WithID(schema.NewID())); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkList costs what a page holds, whatever the store does.
func BenchmarkList(b *testing.B) {
	for _, size := range []int{1_000, 20_000} {
		s := open(b, redistest.Start(b))
		now := schema.Now(ahead().Now())
		fill(b, s, now, size, func(n int) string { return "user-" + strconv.Itoa(n/10) })
		for name, user := range map[string]string{"user": "user-7", "all": ""} {
			b.Run(fmt.Sprintf("%s-of-%d", name, size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					page, err := s.List(b.Context(), now, backend.Query{Namespace: schema.DefaultNamespace, UserID: user, Limit: 10})
					if err != nil || len(page.Sessions) != 10 {
						b.Fatal(len(page.Sessions), err)
					}
				}
			})
		}
	}
}

// fill stores sessions.
func fill(b testing.TB, s backend.Store, now time.Time, many int, user func(n int) string, paths ...string) (documents int) {
	b.Helper()
	const writers = 32
	sizes := make([]int, writers)
	together(writers, func(i int) {
		for n := i; n < many; n += writers {
			// Of different sizes, because an allocator rounds.
			sess := sized(b, now.Add(-time.Duration(n)*time.Millisecond), 40+n%80, user(n), paths...)
			sess.ExpiresAt = now.Add(hour)
			if err := s.Create(b.Context(), now, sess); err != nil {
				b.Error(err)
				return
			}
			sizes[i] += len(sess.Doc)
		}
	})
	for _, size := range sizes {
		documents += size
	}
	return documents
}

// BenchmarkMemory measures what a session takes in Redis beyond its document.
func BenchmarkMemory(b *testing.B) {
	const many = 20_000
	for _, c := range []struct {
		name  string
		user  func(n int) string
		paths []string
	}{
		{"nobody's", func(int) string { return "" }, nil},
		{"a-user's", func(n int) string { return "user-" + strconv.Itoa(n) }, nil},
		{"a-user's-with-a-file", func(n int) string { return "user-" + strconv.Itoa(n) }, []string{"reports/2026/11/report.pdf"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				server := redistest.Start(b)
				s := open(b, server)
				used := func() int {
					for line := range strings.Lines(server.CLI("INFO", "memory")) {
						if value, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory_dataset:"); ok {
							n, err := strconv.Atoi(value)
							require.NoError(b, err)
							return n
						}
					}
					b.Fatal("no memory is told of")
					return 0
				}
				before := used()
				documents := fill(b, s, schema.Now(ahead().Now()), many, c.user, c.paths...)
				b.ReportMetric(float64(documents)/many, "document-B")
				b.ReportMetric(float64(used()-before-documents)/many, "beyond-B")
			}
		})
	}
}

// BenchmarkEvents measures what a change costs where somebody follows, against
// the same where nobody does.
func BenchmarkEvents(b *testing.B) {
	now := schema.Now(ahead().Now())
	changes := map[string]func(s *redis.Store, sess schema.Session, n int) error{
		"create": func(s *redis.Store, sess schema.Session, _ int) error {
			return s.Create(b.Context(), now, sess.WithID(schema.NewID()))
		},
		"swap": func(s *redis.Store, sess schema.Session, _ int) error {
			_, err := s.Swap(b.Context(), now, sess, sess)
			return err
		},
		"touch": func(s *redis.Store, sess schema.Session, n int) error {
			at := now.Add(time.Duration(n) * time.Millisecond)
			_, err := s.Touch(b.Context(), at, sess.Key(), at.Add(hour))
			return err
		},
	}
	for name, change := range changes {
		b.Run(name, func(b *testing.B) {
			quiet, followed := open(b, redistest.Start(b)), open(b, redistest.Start(b))
			create(b, followed, now, spec{})
			f := follow(b, followed)
			go func() { // nobody reads slower than that
				for range f.events {
				}
			}()
			sess := typical(b, now)
			for _, s := range []*redis.Store{quiet, followed} {
				require.NoError(b, s.Create(b.Context(), now, sess))
			}
			var took [2]time.Duration
			n := 0
			for b.Loop() {
				n++
				for k := range took {
					i := (k + n) % 2 // none of them is always the first
					began := time.Now()
					if err := change([]*redis.Store{quiet, followed}[i], sess, n); err != nil {
						b.Fatal(err)
					}
					took[i] += time.Since(began)
				}
			}
			b.ReportMetric(float64(took[0].Microseconds())/float64(n), "quiet-µs")
			b.ReportMetric(float64(took[1].Microseconds())/float64(n), "followed-µs")
			b.ReportMetric(float64(took[1])/float64(took[0]), "ratio")
		})
	}
}

// BenchmarkFollow measures how fast one follower reads.
func BenchmarkFollow(b *testing.B) {
	s := open(b, redistest.Start(b), func(o *redis.Options) { o.Events = 100_000 })
	now := schema.Now(ahead().Now())
	f := follow(b, s)
	create(b, s, now, spec{user: "ada"})
	first := f.next()
	f.stop()
	const many = 50_000
	fill(b, s, now, many, func(n int) string { return "user-" + strconv.Itoa(n) })
	for b.Loop() {
		enough, n := errors.New("enough"), 0
		err := s.Follow(b.Context(), first.ID, func(backend.Event) error {
			if n++; n == many {
				return enough
			}
			return nil
		})
		require.ErrorIs(b, err, enough)
	}
	b.ReportMetric(float64(many*b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkSwapConfirmed compares a change that a replica confirms with one that is
// acknowledged by the primary alone, in turns.
func BenchmarkSwapConfirmed(b *testing.B) {
	servers := startReplicated(b)
	stores := [2]*redis.Store{open(b, servers.primary), open(b, servers.primary, confirmed)}
	now := schema.Now(ahead().Now())
	for _, clients := range []int{1, 32} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			states := make([][2]schema.Session, clients)
			for i := range states {
				states[i][0] = typical(b, now)
				states[i][1] = revised(b, now, states[i][0], spec{user: "ada", note: "short"})
				require.NoError(b, stores[0].Create(b.Context(), now, states[i][0]))
			}
			var spent [2]time.Duration
			for b.Loop() {
				for n, s := range stores {
					started := time.Now()
					var running sync.WaitGroup
					for _, state := range states {
						running.Go(func() {
							for at := range 32 { // ends with the state that it began with
								if _, err := s.Swap(b.Context(), now, state[at%2], state[1-at%2]); err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					running.Wait()
					spent[n] += time.Since(started)
				}
			}
			swaps := float64(b.N * clients * 32)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(spent[0].Microseconds())/swaps, "µs/swap")
			b.ReportMetric(float64(spent[1].Microseconds())/swaps, "µs/confirmed-swap")
			b.ReportMetric(float64(spent[1])/float64(spent[0]), "ratio")
		})
	}
}
