package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// onRedis reports whether a row that the options ask for needs a Redis.
func (o *options) onRedis() bool {
	return slices.ContainsFunc(o.selectedRows(), func(r row) bool { return r.onRedis })
}

// portTries is how often a port that was free may turn out to be taken.
const portTries = 3

// startRedis runs an empty redis-server that keeps nothing on disk.
func (l *harness) startRedis(ctx context.Context) (*process, error) {
	var failed error
	for range portTries {
		addr, err := freeAddr(ctx)
		if err != nil {
			return nil, err
		}
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		p, err := start(ctx, l.path("redis.log"), nil, func(log io.Reader) string {
			if redisIsReady(log) {
				return addr
			}
			return ""
		}, "redis-server", "--bind", host, "--port", port, "--dir", l.dir,
			"--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction")
		if err == nil {
			return p, nil
		}
		failed = err
	}
	return nil, failed
}

// freeAddr returns an address of the loopback interface that nobody listens on.
func freeAddr(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// redisIsReady reports whether redis-server says in its log that it listens.
func redisIsReady(log io.Reader) bool {
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			return true
		}
	}
	return false
}

// redisInfo is what INFO says, by name.
type redisInfo map[string]string

// info asks a Redis about itself.
func info(ctx context.Context, redis *process) (redisInfo, error) {
	host, port, err := net.SplitHostPort(redis.addr)
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, "redis-cli", "-h", host, "-p", port, "INFO", "all").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("redis-cli: %w\n%s", err, out)
	}
	return parseInfo(string(out)), nil
}

// parseInfo reads the lines "name:value".
func parseInfo(text string) redisInfo {
	info := redisInfo{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && name[0] != '#' {
			info[name] = value
		}
	}
	return info
}

// number returns one that has to be there.
func (i redisInfo) number(name string) (float64, error) {
	n, err := strconv.ParseFloat(i[name], 64)
	if err != nil {
		return 0, fmt.Errorf("redis-server says no number for %s: %q", name, i[name])
	}
	return n, nil
}

// calls returns how often each command was called, by clients and scripts.
func (i redisInfo) calls() (map[string]float64, error) {
	calls := map[string]float64{}
	for name, value := range i {
		command, ok := strings.CutPrefix(name, "cmdstat_")
		if !ok {
			continue
		}
		text, ok := strings.CutPrefix(value, "calls=")
		text, _, more := strings.Cut(text, ",")
		n, err := strconv.ParseFloat(text, 64)
		if !ok || !more || err != nil {
			return nil, fmt.Errorf("redis-server says no number of calls for %s: %q", command, value)
		}
		calls[command] = n
	}
	return calls, nil
}

// redisVersion returns the version of redis-server, or how to get it and the
// programs that come with it.
func redisVersion(ctx context.Context) (string, error) {
	for _, program := range []string{"redis-server", "redis-benchmark", "redis-cli"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", errors.New(program + " is missing, which the rows on Redis need (-rows can leave them out): tools/need.sh redis-server, or apt-get install redis-server")
		}
	}
	out, err := exec.CommandContext(ctx, "redis-server", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("redis-server: %w", err)
	}
	for word := range strings.FieldsSeq(string(out)) {
		if version, ok := strings.CutPrefix(word, "v="); ok {
			return version, nil
		}
	}
	return "of an unknown version", nil
}
