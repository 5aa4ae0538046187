package memory_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// perUser is how many sessions each user of fillUsers has.
const perUser = 10

// fillUsers returns a store of n sessions, and the names of their users.
func fillUsers(tb testing.TB, n int) (*memory.Store, []string) {
	tb.Helper()
	s := memory.New(memory.Options{Policy: memory.LRU, MaxEntries: n})
	sess := template(tb, "user-00000000")
	users := make([]string, n/perUser)
	for i := range users {
		users[i] = fmt.Sprintf("user-%08d", i)
	}
	for i := range n {
		next := sess
		next.UserID = users[i%len(users)]
		next.CreatedAt = now.Add(time.Duration(i/100) * time.Millisecond)
		if err := s.Create(tb.Context(), now, next.WithID(schema.NewID())); err != nil {
			tb.Fatal(err)
		}
	}
	runtime.GC()
	return s, users
}

// eachIndex runs a benchmark of what must cost the same whatever the store
// holds, and reports how many times as long it takes on the largest as on the
// smallest. The users that are asked for are always as many, so that what is
// compared is the index, and not how much of the store the processor's caches
// hold.
func eachIndex(b *testing.B, ask func(b *testing.B, s *memory.Store, user string)) {
	b.Helper()
	var smallest float64
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			if n > 100_000 && testing.Short() {
				b.Skip("takes over a gigabyte")
			}
			s, users := fillUsers(b, n)
			rand.Shuffle(len(users), func(i, j int) { users[i], users[j] = users[j], users[i] })
			users = users[:100]
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				ask(b, s, users[i%len(users)])
			}
			took := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			if smallest == 0 {
				smallest = took
			}
			b.ReportMetric(took/smallest, "times-smallest")
		})
	}
}

func BenchmarkListByUser(b *testing.B) {
	eachIndex(b, func(b *testing.B, s *memory.Store, user string) {
		b.Helper()
		q := backend.Query{Namespace: schema.DefaultNamespace, UserID: user, Limit: 2 * perUser}
		if page, err := s.List(b.Context(), now, q); err != nil || len(page.Sessions) != perUser {
			b.Fatal(err, len(page.Sessions))
		}
	})
}

func BenchmarkCountByUser(b *testing.B) {
	eachIndex(b, func(b *testing.B, s *memory.Store, user string) {
		b.Helper()
		f := backend.Filter{Namespace: schema.DefaultNamespace, UserID: user}
		if n, err := s.Count(b.Context(), now, f); err != nil || n != perUser {
			b.Fatal(err, n)
		}
	})
}

func BenchmarkCount(b *testing.B) {
	eachIndex(b, func(b *testing.B, s *memory.Store, _ string) {
		b.Helper()
		if n, err := s.Count(b.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace}); err != nil || n < 1_000 {
			b.Fatal(err, n)
		}
	})
}

// BenchmarkTouchFollowed is BenchmarkTouch with followers, one of which reads
// nothing.
func BenchmarkTouchFollowed(b *testing.B) {
	for _, followers := range []int{0, 1, 10} {
		b.Run(fmt.Sprintf("followers=%d", followers), func(b *testing.B) {
			s := memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 1_000, Events: 1_000})
			keys := fill(b, s, 1_000)
			stuck := make(chan struct{})
			b.Cleanup(func() { close(stuck) })
			for n := range followers {
				go func() {
					_ = s.Follow(b.Context(), "", func(backend.Event) error {
						if n == 0 {
							<-stuck
						}
						return nil
					})
				}()
			}
			runtime.GC()
			b.ReportAllocs()
			at := now
			for b.Loop() {
				at = at.Add(time.Microsecond)
				if _, err := s.Touch(b.Context(), at, keys[rand.IntN(len(keys))], at.Add(time.Hour)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
