package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// turn is what one side did in one round.
type turn struct {
	rate     float64 // requests per second
	cpu      float64 // processor time per request, in microseconds
	p50, p99 float64 // latency, in milliseconds
}

// result is a row's turns; those of a round have the same index.
type result struct {
	row
	service, against []turn
	// memory is what the service had resident before the load, in bytes.
	memory int64
}

// measure runs everything.
func (l *lab) measure(ctx context.Context) (*report, error) {
	rep := &report{options: l.options, machine: describeMachine(l.wrk)}
	var err error
	if rep.start, err = l.measureStart(ctx); err != nil {
		return nil, err
	}
	for _, r := range l.chosen() {
		res, err := l.measureRow(ctx, &r)
		if err != nil {
			return nil, fmt.Errorf("row %s: %w", r.name, err)
		}
		rep.results = append(rep.results, res)
	}
	return rep, nil
}

// measureRow runs the service and the yardstick side by side, and lets them
// take turns.
func (l *lab) measureRow(ctx context.Context, r *row) (result, error) {
	res := result{row: *r}
	l.say("%s: making %d sessions", r.name, r.sessions)
	service, err := l.startService(ctx, r)
	if err != nil {
		return res, err
	}
	defer service.stop()
	sessions, err := l.seed(ctx, service.addr, r.sessions)
	if err != nil {
		return res, err
	}
	if res.memory, err = resident(service.pid()); err != nil {
		return res, err
	}
	callers := r.callers(l, sessions)
	a, err := l.try(ctx, service.addr, r, callers[0])
	if err != nil {
		return res, err
	}
	against, err := r.against.start(ctx, l, a)
	if err != nil {
		return res, err
	}
	defer against.stop()
	ld, err := l.load(r, callers)
	if err != nil {
		return res, err
	}
	l.say("%s: %d rounds", r.name, l.rounds)
	err = l.takeTurns(ctx, &res, ld, service, against)
	return res, err
}

// takeTurns measures the rounds: first the service, then the yardstick. It
// holds what the service says that it did against what wrk counted.
func (l *lab) takeTurns(ctx context.Context, res *result, ld *load, service, against *process) error {
	for _, p := range []*process{service, against} {
		if _, _, err := l.take(ctx, ld, p, time.Second, 0); err != nil { // to warm up
			return err
		}
	}
	before, err := l.counters(ctx, service)
	if err != nil {
		return err
	}
	var sent int64
	for round := range l.rounds {
		t, n, err := l.take(ctx, ld, service, l.duration, round+1)
		if err != nil {
			return fmt.Errorf("service: %w", err)
		}
		res.service, sent = append(res.service, t), sent+n
		if t, _, err = l.take(ctx, ld, against, l.duration, round+1); err != nil {
			return fmt.Errorf("%s: %w", res.row.against.name, err)
		}
		res.against = append(res.against, t)
	}
	after, err := l.counters(ctx, service)
	if err != nil {
		return err
	}
	return res.prove(before, after, sent)
}

// take lets one side have its turn. requests is how many it answered.
func (l *lab) take(ctx context.Context, ld *load, p *process, length time.Duration, round int) (t turn, requests int64, err error) {
	if err := p.alive(); err != nil {
		return turn{}, 0, err
	}
	before, err := cpuTime(p.pid())
	if err != nil {
		return turn{}, 0, err
	}
	f, err := ld.fire(ctx, p.addr, l.connections, length, round)
	if err != nil {
		return turn{}, 0, err
	}
	after, err := cpuTime(p.pid())
	if err != nil {
		return turn{}, 0, err
	}
	return turn{
		rate: f.rate(), p50: f.P50 / 1e3, p99: f.P99 / 1e3,
		cpu: float64((after - before).Microseconds()) / float64(f.Requests),
	}, f.Requests, nil
}

// load writes the files that wrk reads.
func (l *lab) load(r *row, callers []string) (*load, error) {
	ld := &load{method: r.method, path: r.path}
	for _, f := range []struct {
		path    *string
		name    string
		content string
	}{
		{&ld.script, "load.lua", string(loadScript)},
		{&ld.callers, "callers", strings.Join(callers, "\n")},
		{&ld.common, "headers", strings.Join(lines(r.header), "\n")},
		{&ld.body, "body", r.body},
	} {
		var err error
		if *f.path, err = l.file(f.name, []byte(f.content)); err != nil {
			return nil, err
		}
	}
	return ld, nil
}

// startup is what a service that does nothing takes.
type startup struct {
	binary int64         // size of the binary, in bytes
	answer time.Duration // from its start to its first answer
	memory int64         // resident after that, in bytes
}

// measureStart starts the service a few times and returns the medians.
func (l *lab) measureStart(ctx context.Context) (startup, error) {
	info, err := os.Stat(l.binary)
	if err != nil {
		return startup{}, err
	}
	var answers, memories []float64
	for range l.rounds {
		answer, memory, err := l.startOnce(ctx)
		if err != nil {
			return startup{}, fmt.Errorf("starting the service: %w", err)
		}
		answers, memories = append(answers, float64(answer)), append(memories, float64(memory))
	}
	return startup{
		binary: info.Size(),
		answer: time.Duration(spreadOf(answers).median),
		memory: int64(spreadOf(memories).median),
	}, nil
}

func (l *lab) startOnce(ctx context.Context) (answer time.Duration, memory int64, err error) {
	p, err := l.startService(ctx, &row{env: errorsOnly})
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	if _, err := l.ask(ctx, p.addr, "GET", "/healthz", "", 200); err != nil {
		return 0, 0, err
	}
	answer = time.Since(p.began)
	memory, err = resident(p.pid())
	return answer, memory, err
}
