package redis_test

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
)

// BenchmarkServerCPU measures the processor time that redis-server takes for an
// operation of 32 clients at once, and how many plain commands of redis-benchmark
// with as many clients and values as long take as much.
func BenchmarkServerCPU(b *testing.B) {
	const clients, sessions = 32, 1000
	server := redistest.Start(b)
	tombstones := func(o *redis.Options) { o.Tombstone = 5 * time.Minute }
	s := open(b, server, tombstones)
	now := schema.Now(ahead().Now())
	states := make([][2]schema.Session, sessions)
	for i := range states {
		user := "user-" + strconv.Itoa(i)
		states[i][0] = sized(b, now, 20, user, "reports/2026/11/"+user+".pdf")
		states[i][1] = revised(b, now, states[i][0], spec{user: user, note: strings.Repeat("what somebody wrote, ", 20), files: states[i][0].Files})
		require.NoError(b, s.Create(b.Context(), now, states[i][0]))
	}
	spent := func() time.Duration { return serverCPU(b, server) }
	host, port := hostPort(b, server.Addr())
	plain := func(command string) time.Duration {
		const times = 40_000
		before := spent()
		out, err := exec.CommandContext(b.Context(), "redis-benchmark", "-h", host, "-p", port, "--dbnum", "1", "-c", strconv.Itoa(clients),
			"-n", strconv.Itoa(times), "-r", strconv.Itoa(sessions), "-d", strconv.Itoa(len(states[0][0].Doc)), "-t", command, "--csv").CombinedOutput()
		require.NoError(b, err, string(out))
		return (spent() - before) / times
	}
	plain("set")
	for _, op := range []struct {
		name, beside string
		do           func(ctx context.Context, client, n int) error
	}{
		{"get", "get", func(ctx context.Context, client, n int) error {
			_, err := s.Get(ctx, now, states[(client+n*clients)%sessions][0].Key())
			return err
		}},
		{"touch", "set", func(ctx context.Context, client, n int) error {
			at := now.Add(time.Duration(n) * time.Millisecond)
			_, err := s.Touch(ctx, at, states[(client+n*clients)%sessions][0].Key(), at.Add(hour))
			return err
		}},
		{"swap", "set", func(ctx context.Context, client, n int) error { // each client has sessions of its own
			state := &states[client+n/2%(sessions/clients)*clients]
			_, err := s.Swap(ctx, now, state[n%2], state[1-n%2])
			return err
		}},
		{"create", "set", func(ctx context.Context, client, n int) error {
			at, user := now.Add(time.Duration(n)*time.Millisecond), "user-"+strconv.Itoa(client+n*clients)
			return s.Create(ctx, at, sized(b, at, 20, user, "reports/2026/11/"+user+".pdf"))
		}},
	} {
		b.Run(op.name, func(b *testing.B) {
			each := max(b.N/clients/2*2, 2) // an even number leaves the sessions as they were
			before := plain(op.beside)
			from := spent()
			together(clients, func(client int) {
				for n := range each {
					if err := op.do(b.Context(), client, n); err != nil {
						b.Error(err)
						return
					}
				}
			})
			took := (spent() - from) / time.Duration(each*clients)
			yardstick := (before + plain(op.beside)) / 2
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(took.Nanoseconds())/1e3, "server-µs/op")
			b.ReportMetric(float64(yardstick.Nanoseconds())/1e3, "server-µs/"+op.beside)
			b.ReportMetric(float64(took)/float64(yardstick), "ratio")
		})
	}
}

// serverCPU is the processor time that a server's thread has taken.
func serverCPU(b *testing.B, server *redistest.Server) time.Duration {
	b.Helper()
	var total float64
	for line := range strings.Lines(server.CLI("INFO", "cpu")) {
		for _, name := range []string{"used_cpu_sys_main_thread:", "used_cpu_user_main_thread:"} {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), name); ok {
				seconds, err := strconv.ParseFloat(value, 64)
				require.NoError(b, err)
				total += seconds
			}
		}
	}
	return time.Duration(total * float64(time.Second))
}
