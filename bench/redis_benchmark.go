package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// redisGet and redisSet are what redis-benchmark gets out of the row's Redis:
// one command at a time on each of as many connections, values as long as the
// row's document. That is how fast Redis answers clients that do not share
// connections.
var (
	redisGet = yardstick{name: "redis-benchmark GET", start: startRedisBenchmark("GET")}
	redisSet = yardstick{name: "redis-benchmark SET", start: startRedisBenchmark("SET")}
)

// redisBenchmark is a Redis under the load of redis-benchmark.
type redisBenchmark struct {
	redis   *process
	command string
	keys    int
	size    int     // of a value
	rate    float64 // of the turn before, to know how many make up a turn
}

const (
	// foreignDB is the database of redis-benchmark. The service's is 0.
	foreignDB = "1"
	// firstRate is what the first turn expects.
	firstRate = 20_000
)

func startRedisBenchmark(command string) func(context.Context, *harness, *row, *serviceUnderTest) (contender, error) {
	return func(ctx context.Context, l *harness, r *row, s *serviceUnderTest) (contender, error) {
		b := &redisBenchmark{
			redis: s.redis, command: command, keys: r.sessions, size: len(s.response.Body), rate: firstRate,
		}
		// Keys are drawn by lot: so many draws miss one key in a billion.
		_, err := b.run(ctx, l, "SET", 20*b.keys)
		return b, err
	}
}

// stop implements contender. The Redis is the row's.
func (b *redisBenchmark) stop() {}

// measure implements contender.
func (b *redisBenchmark) measure(ctx context.Context, l *harness, length time.Duration, _ int) (t sample, requests int64, err error) {
	n := max(l.connections, int(b.rate*length.Seconds()))
	spent, err := cpuSpent([]*process{b.redis}, func() (err error) {
		t, err = b.run(ctx, l, b.command, n)
		return err
	})
	if err != nil {
		return sample{}, 0, err
	}
	b.rate = t.rate
	t.cpu = float64(spent[0].Microseconds()) / float64(n)
	return t, int64(n), nil
}

// run sends a command so many times.
func (b *redisBenchmark) run(ctx context.Context, l *harness, command string, times int) (sample, error) {
	host, port, err := net.SplitHostPort(b.redis.addr)
	if err != nil {
		return sample{}, err
	}
	cmd := exec.CommandContext(ctx, "redis-benchmark", "-h", host, "-p", port, "--dbnum", foreignDB,
		"-c", strconv.Itoa(l.connections), "-n", strconv.Itoa(times), "-P", "1",
		"-r", strconv.Itoa(b.keys), "-d", strconv.Itoa(b.size), "-t", strings.ToLower(command), "--csv")
	endWithParent(cmd)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return sample{}, fmt.Errorf("redis-benchmark: %w\n%s%s", err, out, &stderr)
	}
	t, err := parseRedisBenchmark(string(out), command)
	if err != nil {
		return sample{}, fmt.Errorf("%w\n%s%s", err, out, &stderr)
	}
	return t, nil
}

// parseRedisBenchmark reads what --csv prints: the line of a command, by the
// names of the columns.
func parseRedisBenchmark(output, command string) (sample, error) {
	lines, err := csv.NewReader(strings.NewReader(output)).ReadAll()
	if err != nil {
		return sample{}, fmt.Errorf("redis-benchmark: %w", err)
	}
	for _, line := range lines {
		if line[0] != command {
			continue
		}
		values := map[string]float64{}
		for i, name := range lines[0] {
			if i == 0 {
				continue // the command
			}
			if values[name], err = strconv.ParseFloat(line[i], 64); err != nil {
				return sample{}, fmt.Errorf("redis-benchmark: no number: %w", err)
			}
		}
		t := sample{rate: values["rps"], p50: values["p50_latency_ms"], p99: values["p99_latency_ms"]}
		if t.rate == 0 || t.p50 == 0 || t.p99 == 0 {
			return sample{}, errors.New("redis-benchmark: no rate or no latency")
		}
		return t, nil
	}
	return sample{}, fmt.Errorf("redis-benchmark printed nothing for %s", command)
}
