package bolt_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/memory"
)

// docBytes is the size of the benchmarks' documents.
const docBytes = 1024

// now is the time of all benchmarks: none of them is about expiry.
var now = schema.Now(time.Now())

// template returns a session with a document of docBytes.
func template(tb testing.TB) schema.Session {
	tb.Helper()
	build := func(filler int) schema.Session {
		sections := schema.EmptySections()
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
	return build(docBytes - len(build(0).Doc))
}

// fill creates n sessions, many at once, and returns them.
func fill(tb testing.TB, s backend.Store, n int) []schema.Session {
	tb.Helper()
	sess := template(tb)
	all := make([]schema.Session, n)
	const writers = 256
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for i := w; i < n; i += writers {
				all[i] = sess.WithID(schema.NewID())
				all[i].CreatedAt = now.Add(time.Duration(i/100) * time.Millisecond)
				if err := s.Create(context.Background(), now, all[i]); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	return all
}

// fsyncs returns how many times a second the disk syncs a page of a file in the
// directory: as often as nothing else is going on.
func fsyncs(b *testing.B, dir string) float64 {
	b.Helper()
	f, err := os.Create(filepath.Join(dir, "fsyncs"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	page := make([]byte, 4096)
	n, began := 0, time.Now()
	for ; time.Since(began) < time.Second; n++ {
		if _, err := f.WriteAt(page, int64(n%256)*int64(len(page))); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(began).Seconds()
}

// swap changes sessions from many goroutines, each its own ones in turn.
func swap(b *testing.B, s backend.Store, all []schema.Session, writers int) (perSecond float64) {
	b.Helper()
	share := len(all) / writers
	var left atomic.Int64
	left.Store(int64(b.N))
	var running sync.WaitGroup
	b.ResetTimer()
	for w := range writers {
		own := all[w*share : (w+1)*share]
		running.Go(func() {
			for i := 0; left.Add(-1) >= 0; i = (i + 1) % share {
				next := own[i]
				next.Revision++
				got, err := s.Swap(context.Background(), now, own[i], next)
				if err != nil {
					b.Error(err)
					return
				}
				own[i] = got
			}
		})
	}
	running.Wait()
	b.StopTimer()
	return float64(b.N) / b.Elapsed().Seconds()
}

// BenchmarkSwap compares with what the disk syncs by itself, and with memory.
func BenchmarkSwap(b *testing.B) {
	const sessions = 10_000
	for _, writers := range []int{1, 64} {
		var memoryRate float64
		b.Run(fmt.Sprintf("store=memory/writers=%d", writers), func(b *testing.B) {
			s := memory.New(memory.Options{MaxEntries: 2 * sessions})
			memoryRate = swap(b, s, fill(b, s, sessions), writers)
		})
		for _, interval := range []time.Duration{0, time.Second} {
			name := "always"
			if interval > 0 {
				name = "interval"
			}
			b.Run(fmt.Sprintf("store=bolt/sync=%s/writers=%d", name, writers), func(b *testing.B) {
				dir := b.TempDir()
				s, err := bolt.Open(now, bolt.Options{Dir: dir, Interval: interval, Memory: memory.Options{MaxEntries: 2 * sessions}})
				if err != nil {
					b.Fatal(err)
				}
				all := fill(b, s, sessions)
				disk := fsyncs(b, dir)
				before := diskBytes(b)
				rate := swap(b, s, all, writers)
				b.ReportMetric(float64(diskBytes(b)-before)/float64(b.N), "B-to-disk/op")
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(disk, "fsyncs/s-of-disk")
				if interval > 0 {
					b.ReportMetric(rate/memoryRate, "of-memory")
				} else {
					b.ReportMetric(rate/disk, "writes/fsync")
				}
			})
		}
	}
}

// diskBytes is what the process has written to disks.
func diskBytes(b *testing.B) int64 {
	b.Helper()
	io, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(io), "\nwrite_bytes: ")
	var n int64
	if _, err := fmt.Sscan(rest, &n); err != nil {
		b.Fatal(err)
	}
	return n
}

// BenchmarkFileSize is what a file takes beside what is live in it: after short
// sessions came and went, after a fill, and after changes.
func BenchmarkFileSize(b *testing.B) {
	report := func(b *testing.B, s *bolt.Store, dir string, live int64, unit string) {
		b.Helper()
		info, err := os.Stat(filepath.Join(dir, "sessions.db"))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size()), "B-"+unit)
		b.ReportMetric(float64(info.Size())/float64(max(1, live)), "B/session-"+unit)
		b.ReportMetric(float64(s.File().LiveBytes), "live-B-"+unit)
	}
	open := func(b *testing.B, dir string) *bolt.Store {
		b.Helper()
		s, err := bolt.Open(now, bolt.Options{Dir: dir, Patience: 10 * time.Second, Memory: memory.Options{MaxEntries: 200_000}})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	rss := func(b *testing.B, unit string) {
		b.Helper()
		debug.FreeOSMemory()
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			b.Fatal(err)
		}
		for _, of := range []string{"RssAnon", "RssFile"} {
			_, rest, _ := strings.Cut(string(status), of+":")
			var kib float64
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(kib/1024, of+"-MiB-"+unit)
		}
	}
	b.Run("short sessions", func(b *testing.B) {
		const all, batch = 200_000, 2_000
		for range b.N {
			dir := b.TempDir()
			s := open(b, dir)
			for range all / batch {
				for _, sess := range fill(b, s, batch) {
					go func() { _ = s.Delete(context.Background(), now, sess.Key(), 0) }()
				}
			}
			for s.File().LiveBytes > 1<<20 {
				<-time.After(10 * time.Millisecond)
			}
			report(b, s, dir, 0, "after")
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("long sessions", func(b *testing.B) {
		const all = 100_000
		for range b.N {
			dir := b.TempDir()
			s := open(b, dir)
			sessions := fill(b, s, all)
			report(b, s, dir, all, "filled")
			share := all / 256
			var running sync.WaitGroup
			for w := range 256 {
				running.Go(func() {
					for _, sess := range sessions[w*share : (w+1)*share] {
						next := sess
						next.Revision++
						if _, err := s.Swap(context.Background(), now, sess, next); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			running.Wait()
			report(b, s, dir, all, "patched")
			<-time.After(10 * time.Second) // in which it is written anew
			report(b, s, dir, all, "quiet")
			rss(b, "quiet")
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			s = open(b, dir)
			rss(b, "started")
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkOpen is the start with a file of many sessions.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			if n > 100_000 && testing.Short() {
				b.Skip("takes over a gigabyte")
			}
			o := bolt.Options{Dir: b.TempDir(), Memory: memory.Options{MaxEntries: n}}
			filled := o
			filled.Interval = time.Second
			s, err := bolt.Open(now, filled)
			if err != nil {
				b.Fatal(err)
			}
			fill(b, s, n)
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			info, err := os.Stat(filepath.Join(o.Dir, "sessions.db"))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				s, err := bolt.Open(now, o)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				st, err := s.Stats(b.Context(), now)
				if err != nil || st.Entries != int64(n) {
					b.Fatal("not all are there", st.Entries, err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(info.Size())/float64(n), "B/session")
		})
	}
}
