package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// asks is what one request of a row asks of Redis.
type asks struct {
	// trips are the round trips: how often Redis had something to read. They
	// are counted while one request follows the other, so that no two share one.
	trips float64
	// commands are called by the service and, within them, by scripts.
	commands map[string]float64
}

// asked is how many requests that is the mean of.
const asked = 1_000

// countAsks sends requests one by one. The first time round the service gets to
// know what it may know from then on.
func (l *lab) countAsks(ctx context.Context, r *row, s *subject) (asks, error) {
	send := func(from int) error {
		for i := range asked {
			if _, err := l.try(ctx, s.server.addr, r, s.callers[i%len(s.callers)], from+i); err != nil {
				return err
			}
		}
		return nil
	}
	if err := send(1); err != nil {
		return asks{}, err
	}
	before, err := info(ctx, s.redis)
	if err != nil {
		return asks{}, err
	}
	if err := send(1 + asked); err != nil {
		return asks{}, err
	}
	after, err := info(ctx, s.redis)
	if err != nil {
		return asks{}, err
	}
	return asksBetween(before, after, asked)
}

// asksBetween is what each of so many requests asked between two looks. The
// second look is itself something to read.
func asksBetween(before, after redisInfo, requests float64) (asks, error) {
	const reads = "total_reads_processed"
	a := asks{commands: map[string]float64{}}
	for sign, info := range map[float64]redisInfo{-1: before, 1: after} {
		n, err := info.number(reads)
		if err != nil {
			return asks{}, err
		}
		a.trips += sign * n
		calls, err := info.calls()
		if err != nil {
			return asks{}, err
		}
		for command, n := range calls {
			a.commands[command] += sign * n
		}
	}
	a.trips = (a.trips - 1) / requests
	delete(a.commands, "info")
	for command := range a.commands {
		a.commands[command] /= requests
	}
	return a, nil
}

// String leaves out what happens now and then, such as a ping.
func (a asks) String() string {
	text := fmt.Sprintf("%.2f round trips", a.trips)
	var often []string
	for _, command := range slices.Sorted(maps.Keys(a.commands)) {
		if n := a.commands[command]; n >= 0.01 {
			often = append(often, fmt.Sprintf("%s %.2f", command, n))
		}
	}
	if len(often) > 0 {
		text += " (commands, those of scripts with them: " + strings.Join(often, ", ") + ")"
	}
	return text
}
