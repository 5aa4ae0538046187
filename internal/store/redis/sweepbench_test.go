//go:build unix

package redis_test

import (
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/redistest"
)

// BenchmarkSweep measures how many sessions a sweep handles in a second, and the
// processor time that redis-server and the instance take for each: of those that Redis
// has freed, and of those that were touched since they were indexed.
func BenchmarkSweep(b *testing.B) {
	const many = 40_000
	for name, lives := range map[string]bool{"freed": false, "touched": true} {
		b.Run(name, func(b *testing.B) {
			server := redistest.Start(b)
			s, client := open(b, server), raw(b, server)
			var took, serverTook, ownTook time.Duration
			for b.Loop() {
				now := schema.Now(ahead().Now())
				fill(b, s, now, many, func(n int) string { return "user-" + strconv.Itoa(n) })
				if lives {
					at := now.Add(hour / 2)
					n := 0
					for cursor := ""; ; {
						page, err := s.List(b.Context(), at, backend.Query{Namespace: schema.DefaultNamespace, Limit: 1000, Cursor: cursor})
						require.NoError(b, err)
						together(len(page.Sessions), func(i int) {
							_, err := s.Touch(b.Context(), at, page.Sessions[i].Key(), at.Add(hour))
							require.NoError(b, err)
						})
						n += len(page.Sessions)
						if cursor = page.Next; cursor == "" {
							break
						}
					}
					require.Equal(b, many, n)
				} else {
					do(b, client, "EVAL", `for _, key in ipairs(redis.call('KEYS', 'session:????????????????*')) do if not string.find(key, '#') then redis.call('DEL', key) end end return 1`, "0")
				}
				began, serverBegan, ownBegan := time.Now(), serverCPU(b, server), ownCPU(b)
				_, err := s.Sweep(b.Context(), now.Add(hour+time.Minute))
				require.NoError(b, err)
				took += time.Since(began)
				serverTook += serverCPU(b, server) - serverBegan
				ownTook += ownCPU(b) - ownBegan
				require.Equal(b, "OK", server.CLI("FLUSHALL"))
			}
			b.ReportMetric(0, "ns/op")
			swept := float64(many * b.N)
			b.ReportMetric(swept/took.Seconds(), "sessions/s")
			b.ReportMetric(float64(serverTook.Nanoseconds())/1e3/swept, "server-µs/session")
			b.ReportMetric(float64(ownTook.Nanoseconds())/1e3/swept, "own-µs/session")
		})
	}
}

// ownCPU is the processor time that this process has taken.
func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
