package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// turn is what one side did in one round.
type turn struct {
	rate     float64 // requests per second
	cpu      float64 // processor time per request, in microseconds
	p50, p99 float64 // latency, in milliseconds
	// behind is the processor time of the Redis behind the server, per request,
	// in microseconds.
	behind float64
}

// result is a row's turns; those of a round have the same index.
type result struct {
	row
	service []turn
	rivals  []rival
	// memory is what the service had resident before the load, in bytes.
	memory int64
	// asks is what a request asks of Redis; nothing where it asks nothing.
	asks asks
}

// rival is a yardstick with its turns.
type rival struct {
	name  string
	turns []turn
}

// measure runs everything.
func (l *lab) measure(ctx context.Context) (*report, error) {
	rep := &report{options: l.options, machine: describeMachine(l.programs)}
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
	if l.onRedis() {
		if rep.space, err = l.measureSpace(ctx); err != nil {
			return nil, fmt.Errorf("sessions in Redis: %w", err)
		}
	}
	return rep, nil
}

// measureRow runs the service and the yardsticks side by side, and lets them
// take turns.
func (l *lab) measureRow(ctx context.Context, r *row) (result, error) {
	res := result{row: *r}
	l.say("%s: making %d sessions", r.name, r.sessions)
	service, err := l.open(ctx, r, "service")
	if err != nil {
		return res, err
	}
	defer service.stop()
	res.memory = service.memory
	if r.onRedis {
		if res.asks, err = l.countAsks(ctx, r, service); err != nil {
			return res, err
		}
	}
	var rivals []side
	defer func() {
		for _, against := range rivals {
			against.stop()
		}
	}()
	for _, y := range r.against {
		against, err := y.start(ctx, l, r, service)
		if err != nil {
			return res, fmt.Errorf("%s: %w", y.name, err)
		}
		rivals, res.rivals = append(rivals, against), append(res.rivals, rival{name: y.name})
	}
	l.say("%s: %d rounds", r.name, l.rounds)
	err = l.takeTurns(ctx, &res, service, rivals)
	return res, err
}

// takeTurns measures the rounds: first the service, then the yardsticks. It
// holds what the service says that it did against what wrk counted.
func (l *lab) takeTurns(ctx context.Context, res *result, service *subject, rivals []side) error {
	for _, s := range append([]side{service}, rivals...) {
		if _, _, err := s.take(ctx, l, time.Second, 0); err != nil { // to warm up
			return err
		}
	}
	before, err := l.counters(ctx, service.server)
	if err != nil {
		return err
	}
	var sent int64
	for round := range l.rounds {
		t, n, err := service.take(ctx, l, l.duration, round+1)
		if err != nil {
			return fmt.Errorf("service: %w", err)
		}
		res.service, sent = append(res.service, t), sent+n
		for i, rival := range rivals {
			if t, _, err = rival.take(ctx, l, l.duration, round+1); err != nil {
				return fmt.Errorf("%s: %w", res.rivals[i].name, err)
			}
			res.rivals[i].turns = append(res.rivals[i].turns, t)
		}
	}
	after, err := l.counters(ctx, service.server)
	if err != nil {
		return err
	}
	return res.prove(before, after, sent, int64(l.rounds*l.connections))
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
	p, err := l.startService(ctx, &row{env: errorsOnly}, "service", nil)
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
