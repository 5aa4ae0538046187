package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// redisCost is what one request of a row asks of Redis.
type redisCost struct {
	// trips are the round trips: how often Redis had something to read. They
	// are counted while one request follows the other, so that no two share one.
	trips float64
	// commands are called by the service and, within them, by scripts.
	commands map[string]float64
}

// costRequests is how many requests that is the mean of.
const costRequests = 1_000

// measureRedisCost sends requests one by one. The first time round the service gets to
// know what it may know from then on.
func (l *harness) measureRedisCost(ctx context.Context, r *row, s *serviceUnderTest) (redisCost, error) {
	send := func(from int) error {
		for i := range costRequests {
			if _, err := l.doCaller(ctx, s.server.addr, r, s.callers[i%len(s.callers)], from+i); err != nil {
				return err
			}
		}
		return nil
	}
	if err := send(1); err != nil {
		return redisCost{}, err
	}
	before, err := info(ctx, s.redis)
	if err != nil {
		return redisCost{}, err
	}
	if err := send(1 + costRequests); err != nil {
		return redisCost{}, err
	}
	after, err := info(ctx, s.redis)
	if err != nil {
		return redisCost{}, err
	}
	return redisCostBetween(before, after, costRequests)
}

// redisCostBetween is what each of so many requests asked between two looks. The
// second look is itself something to read.
func redisCostBetween(before, after redisInfo, requests float64) (redisCost, error) {
	const reads = "total_reads_processed"
	a := redisCost{commands: map[string]float64{}}
	for sign, info := range map[float64]redisInfo{-1: before, 1: after} {
		n, err := info.number(reads)
		if err != nil {
			return redisCost{}, err
		}
		a.trips += sign * n
		calls, err := info.calls()
		if err != nil {
			return redisCost{}, err
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
func (a redisCost) String() string {
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
