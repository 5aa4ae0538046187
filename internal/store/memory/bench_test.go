package memory_test

import (
	"container/list"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// docBytes is the size of the benchmarks' documents.
const docBytes = 1024

// now is the time of all benchmarks: none of them is about expiry.
var now = schema.Now(time.Now())

// template returns a session with a document of docBytes under an id of the
// usual length.
func template(tb testing.TB, user string) schema.Session {
	tb.Helper()
	build := func(filler int) schema.Session {
		sections := schema.EmptySections()
		if user != "" {
			sections.User = &schema.User{ID: user, Email: user + "@example.org", Roles: []string{"editor"}}
		}
		sections.Inputs = jsontext.Value(`{"spec":"` + strings.Repeat("x", filler) + `"}`)
		sess, err := new(schema.Rules).Build(schema.Session{
			Namespace: schema.DefaultNamespace, ID: schema.NewID(), Revision: 1,
			CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(time.Hour), TTL: time.Hour,
		}, sections)
		if err != nil {
			tb.Fatal(err)
		}
		return sess
	}
	bare := build(0)
	sess := build(docBytes - len(bare.Doc))
	if len(sess.Doc) != docBytes {
		tb.Fatalf("document of %d bytes", len(sess.Doc))
	}
	return sess
}

// fill creates n sessions and returns their keys. They were created over some
// hours, as many in a millisecond as that gives.
func fill(tb testing.TB, s *memory.Store, n int) []backend.Key {
	tb.Helper()
	sess := template(tb, "")
	keys := make([]backend.Key, n)
	for i := range keys {
		next := sess.WithID(schema.NewID())
		next.CreatedAt = now.Add(time.Duration(i/100) * time.Millisecond)
		if err := s.Create(context.Background(), now, next); err != nil {
			tb.Fatal(err)
		}
		keys[i] = next.Key()
	}
	return keys
}

// eachSize runs a benchmark on stores of several sizes, with the LRU policy and
// room for one session more, or for none.
func eachSize(b *testing.B, atCap bool, run func(b *testing.B, s *memory.Store, keys []backend.Key)) {
	b.Helper()
	for _, n := range []int{1_000, 10_000, 1_000_000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			if n > 100_000 && testing.Short() {
				b.Skip("takes over a gigabyte")
			}
			limit := n
			if !atCap {
				limit += roomLeft
			}
			s := memory.New(memory.Options{Policy: memory.LRU, MaxEntries: limit})
			keys := fill(b, s, n)
			runtime.GC()
			run(b, s, keys)
		})
	}
}

// roomLeft is how many sessions more than those of eachSize fit.
const roomLeft = 10_000

func BenchmarkGet(b *testing.B) {
	eachSize(b, true, func(b *testing.B, s *memory.Store, keys []backend.Key) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Get(b.Context(), now, keys[rand.IntN(len(keys))]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkGetParallel is to be run with several values of -cpu: more of them
// must not make a read slower. The yardstick is what one would write first; it
// reports how many times as long it takes.
func BenchmarkGetParallel(b *testing.B) {
	parallel := func(b *testing.B, keys []backend.Key, get func(key backend.Key) (schema.Session, bool)) (nsPerOp float64) {
		b.Helper()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, ok := get(keys[rand.IntN(len(keys))]); !ok {
					b.Error("lost")
					return
				}
			}
		})
		return float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	}
	eachSize(b, true, func(b *testing.B, s *memory.Store, keys []backend.Key) {
		var ours float64
		b.Run("store=memory", func(b *testing.B) {
			ours = parallel(b, keys, func(key backend.Key) (schema.Session, bool) {
				sess, err := s.Get(context.Background(), now, key)
				return sess, err == nil
			})
		})
		plain := newYardstick(len(keys))
		for _, key := range keys {
			sess, err := s.Peek(b.Context(), now, key)
			if err != nil {
				b.Fatal(err)
			}
			plain.create(sess)
		}
		b.Run("store=mutex+list", func(b *testing.B) {
			b.ReportMetric(parallel(b, keys, plain.get)/ours, "times-memory")
		})
	})
}

// BenchmarkNewSession is what the benchmarks below spend on making the session
// that they store.
func BenchmarkNewSession(b *testing.B) {
	sess := template(b, "")
	b.ReportAllocs()
	for b.Loop() {
		_ = sess.WithID(schema.NewID())
	}
}

func BenchmarkCreate(b *testing.B) {
	eachSize(b, false, func(b *testing.B, s *memory.Store, _ []backend.Key) {
		b.Helper()
		sess := template(b, "")
		sess.CreatedAt = now.Add(24 * time.Hour)
		var added []backend.Key
		b.ReportAllocs()
		for b.Loop() {
			if len(added) == roomLeft {
				b.StopTimer()
				for _, key := range added {
					if err := s.Delete(b.Context(), now, key, 0); err != nil {
						b.Fatal(err)
					}
				}
				added = added[:0]
				b.StartTimer()
			}
			next := sess.WithID(schema.NewID())
			if err := s.Create(b.Context(), now, next); err != nil {
				b.Fatal(err)
			}
			added = append(added, next.Key())
		}
	})
}

// BenchmarkCreateAtCap has ten reads for every session that comes, so that the
// order of uses keeps moving.
func BenchmarkCreateAtCap(b *testing.B) {
	eachSize(b, true, func(b *testing.B, s *memory.Store, keys []backend.Key) {
		b.Helper()
		sess := template(b, "")
		sess.CreatedAt = now.Add(24 * time.Hour)
		b.ReportAllocs()
		var worst time.Duration
		for b.Loop() {
			for range 10 {
				_, _ = s.Get(b.Context(), now, keys[rand.IntN(len(keys))])
			}
			next := sess.WithID(schema.NewID())
			start := time.Now()
			if err := s.Create(b.Context(), now, next); err != nil {
				b.Fatal(err)
			}
			worst = max(worst, time.Since(start))
			keys[rand.IntN(len(keys))] = next.Key()
		}
		b.ReportMetric(float64(worst.Microseconds()), "worst-µs")
	})
}

func BenchmarkSwap(b *testing.B) {
	eachSize(b, true, func(b *testing.B, s *memory.Store, keys []backend.Key) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			old, err := s.Peek(b.Context(), now, keys[rand.IntN(len(keys))])
			if err != nil {
				b.Fatal(err)
			}
			next := old.WithID(old.ID) // a document of its own
			next.Revision++
			if _, err := s.Swap(b.Context(), now, old, next); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkTouch(b *testing.B) {
	eachSize(b, true, func(b *testing.B, s *memory.Store, keys []backend.Key) {
		b.Helper()
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

func BenchmarkListPage(b *testing.B) {
	eachSize(b, true, func(b *testing.B, s *memory.Store, _ []backend.Key) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			page, err := s.List(b.Context(), now, backend.Query{Namespace: schema.DefaultNamespace, Limit: 50})
			if err != nil || len(page.Sessions) != 50 {
				b.Fatal(err, len(page.Sessions))
			}
		}
	})
}

// BenchmarkMemory reports what a session takes beyond its document, what a
// collection of the filled store costs, and the pauses while it is in use.
func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		for _, who := range []string{"nobody", "users"} {
			b.Run(fmt.Sprintf("sessions=%d/of=%s", n, who), func(b *testing.B) {
				if n > 100_000 && testing.Short() {
					b.Skip("takes over a gigabyte")
				}
				for b.Loop() {
					measureMemory(b, n, who == "users")
				}
			})
		}
	}
}

func measureMemory(b *testing.B, n int, users bool) {
	b.Helper()
	before := heapBytes()
	s := memory.New(memory.Options{Policy: memory.LRU, MaxEntries: n})
	anonymous, user := template(b, ""), template(b, "user-00000000")
	for i := range n {
		next := anonymous
		if users {
			next = user
			next.UserID = fmt.Sprintf("user-%08d", i)
		}
		next.CreatedAt = now.Add(time.Duration(i/100) * time.Millisecond)
		if err := s.Create(b.Context(), now, next.WithID(schema.NewID())); err != nil {
			b.Fatal(err)
		}
	}
	after := heapBytes()
	b.ReportMetric(float64(after-before)/float64(n)-docBytes, "B/session")
	st, err := s.Stats(b.Context(), now)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(st.Bytes)/float64(n)-docBytes, "counted-B/session")

	// With garbage being made at a rate that makes the collector run.
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	ran := gc.NumGC
	start := time.Now()
	runtime.GC()
	b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "GC-ms")
	old := debug.SetGCPercent(10)
	for i := range min(n, 300_000) {
		next := anonymous.WithID(schema.NewID())
		next.CreatedAt = now.Add(time.Duration(i) * time.Millisecond)
		if err := s.Create(b.Context(), now, next); err != nil {
			b.Fatal(err)
		}
	}
	debug.SetGCPercent(old)
	debug.ReadGCStats(&gc)
	var worst time.Duration
	for _, pause := range gc.Pause[:min(int(gc.NumGC-ran), len(gc.Pause))] {
		worst = max(worst, pause)
	}
	b.ReportMetric(float64(worst.Microseconds()), "pause-µs")
	runtime.KeepAlive(s)
}

// heapBytes is the memory of what is reachable, and of what the allocator
// rounds it up to.
func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

// yardstick is an LRU cache as one would write it first: a map and a list
// under one mutex.
type yardstick struct {
	mu    sync.Mutex
	max   int
	byKey map[backend.Key]*list.Element
	order *list.List
}

func newYardstick(n int) *yardstick {
	return &yardstick{max: n, byKey: make(map[backend.Key]*list.Element), order: list.New()}
}

func (y *yardstick) create(sess schema.Session) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.byKey[sess.Key()] = y.order.PushFront(&sess)
	if y.order.Len() > y.max {
		last := y.order.Remove(y.order.Back()).(*schema.Session)
		delete(y.byKey, last.Key())
	}
}

func (y *yardstick) get(key backend.Key) (schema.Session, bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	element, ok := y.byKey[key]
	if !ok {
		return schema.Session{}, false
	}
	y.order.MoveToFront(element)
	sess := *element.Value.(*schema.Session)
	return sess, now.Before(sess.ExpiresAt)
}
