package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// loadScript makes wrk's requests and prints its figures.
//
//go:embed load.lua
var loadScript []byte

// maxRounds is the number of rounds for which load.lua has numbers.
const maxRounds = 80

// wrkTimeout is how long wrk waits for an answer. A later answer fails the row.
const wrkTimeout = "10s"

// threads returns the number of wrk's threads: half of the cores.
func threads() int { return max(1, runtime.NumCPU()/2) }

// threadsFor bounds the threads by the number of connections.
func threadsFor(connections int) int { return min(threads(), connections) }

// wrkLoad is the load of wrk, as files.
type wrkLoad struct {
	script, method, path  string
	callers, common, body string
}

// wrkResult is what wrk counted in one round.
type wrkResult struct {
	Requests int64
	Micros   int64   // how long it took
	P50, P99 float64 // latency, in microseconds
	P999     float64
	Max      float64
	Failed   struct{ Connect, Read, Write, Timeout, Status int64 }
}

// run runs wrk for one round against an address.
func (ld *wrkLoad) run(ctx context.Context, addr string, connections int, length time.Duration, round int) (wrkResult, error) {
	threads := strconv.Itoa(threadsFor(connections))
	cmd := exec.CommandContext(ctx, "wrk",
		"--threads", threads, "--connections", strconv.Itoa(connections),
		"--duration", fmt.Sprintf("%ds", length/time.Second), "--timeout", wrkTimeout, "--latency", "--script", ld.script, "http://"+addr+ld.path,
		"--", ld.method, ld.path, threads, strconv.Itoa(round), ld.callers, ld.common, ld.body)
	endWithParent(cmd)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return wrkResult{}, fmt.Errorf("wrk: %w\n%s%s", err, out, &stderr)
	}
	f, err := parseWrkResult(string(out))
	if err != nil {
		return wrkResult{}, fmt.Errorf("%w\n%s%s", err, out, &stderr)
	}
	err = f.check()
	return f, err
}

// parseWrkResult parses the line that load.lua prints at the end.
func parseWrkResult(output string) (wrkResult, error) {
	var f wrkResult
	for line := range strings.Lines(output) {
		text, ok := strings.CutPrefix(line, "result ")
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			return f, fmt.Errorf("wrk: reading the result: %w", err)
		}
		return f, nil
	}
	return f, errors.New("wrk printed no result")
}

// check returns an error if a request failed, which makes the result meaningless.
func (f *wrkResult) check() error {
	switch n := f.Failed; {
	case n.Status > 0:
		return fmt.Errorf("%d of %d answers had a status of 400 or above", n.Status, f.Requests)
	case n.Connect+n.Read+n.Write+n.Timeout > 0:
		return fmt.Errorf("connections failed: %d connecting, %d reading, %d writing, %d timed out", n.Connect, n.Read, n.Write, n.Timeout)
	case f.Requests == 0 || f.Micros == 0:
		return errors.New("wrk got no answer")
	}
	return nil
}

// rate is requests per second.
func (f *wrkResult) rate() float64 { return float64(f.Requests) / float64(f.Micros) * 1e6 }

// wrkVersion returns the version of wrk, or how to get it.
func wrkVersion(ctx context.Context) (string, error) {
	path, err := exec.LookPath("wrk")
	if err != nil {
		return "", errors.New("wrk is missing, which makes the load: tools/need.sh wrk, or apt-get install wrk")
	}
	// It prints its version, then its usage, and exits with 1.
	out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput()
	if err != nil && ctx.Err() != nil {
		return "", err
	}
	if fields := strings.Fields(string(out)); len(fields) > 1 && fields[0] == "wrk" {
		return fields[1], nil
	}
	return "of an unknown version", nil
}
