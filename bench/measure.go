package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// turn is what one side did in one round.
type turn struct {
	rate     float64 // requests per second
	cpu      float64 // processor time per request, in microseconds
	p50, p99 float64 // latency, in milliseconds
	p999     float64
	// took is how long something took that is done once in a turn.
	took time.Duration
	// memory is by how much the server grew, in bytes.
	memory int64
	// perFlush is how many requests came to one time that a disk was told to write
	// what it has; 0 where that is not known.
	perFlush float64
	// behind is the processor time of the Redis behind the server, per request,
	// in microseconds.
	behind float64
}

// result is a row's turns; those of a round have the same index.
type result struct {
	row
	service []turn
	rivals  []rival
	// loaded is what the service had resident at the end of the load, and rested
	// what it had some time later, in bytes: where the row wants it.
	loaded, rested int64
	// document is the length of a session's document, where an answer is one.
	document int
	// fileBytes is what the sessions take on disk, where they are on one.
	fileBytes int64
	// asks is what a request asks of Redis; nothing where it asks nothing.
	asks asks
}

// rival is a yardstick with its turns.
type rival struct {
	name  string
	turns []turn
}

// measure runs everything. Rows that fail are missing in the report, and in the
// error.
func (l *lab) measure(ctx context.Context) (*report, error) {
	rep := &report{options: l.options, machine: describeMachine(l.programs)}
	began := time.Now()
	var failed, err error
	if rep.start, err = l.measureStart(ctx); err != nil {
		return nil, err
	}
	for _, r := range l.chosen() {
		res, err := l.measureRow(ctx, &r)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("row %s: %w", r.name, err))
		default:
			rep.results = append(rep.results, res)
		}
	}
	if l.onRedis() {
		if rep.space, err = l.measureSpace(ctx); err != nil {
			return nil, fmt.Errorf("sessions in Redis: %w", err)
		}
	}
	if l.wants(worstRow) {
		if rep.holds, err = l.measureWorst(ctx); err != nil {
			return nil, fmt.Errorf("row %s: %w", worstRow, err)
		}
	}
	if l.wants(storeRow) {
		if rep.store, err = l.measureStore(ctx); err != nil {
			return nil, fmt.Errorf("row %s: %w", storeRow, err)
		}
	}
	if l.wants(dataFileRow) {
		if rep.dataFile, err = l.measureDataFile(ctx); err != nil {
			return nil, fmt.Errorf("row %s: %w", dataFileRow, err)
		}
	}
	l.say("%v in all", time.Since(began).Round(time.Second))
	return rep, failed
}

// measureRow runs the service and the yardsticks side by side, and lets them
// take turns.
func (l *lab) measureRow(ctx context.Context, r *row) (result, error) {
	res := result{row: *r}
	service, ours, err := l.prepareRow(ctx, r)
	if err != nil {
		return res, err
	}
	defer service.stop()
	res.document = len(service.answer.Body)
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
	if err := l.takeTurns(ctx, &res, service, ours, rivals); err != nil {
		return res, err
	}
	res.fileBytes = service.fileBytes
	if !r.rests {
		return res, nil
	}
	if res.loaded, err = resident(service.server.pid()); err != nil {
		return res, err
	}
	if err := rest(ctx); err != nil {
		return res, err
	}
	res.rested, err = resident(service.server.pid())
	return res, err
}

// prepareRow returns the service for a row, and what it does in its turns. It
// is the service that is to be stopped.
func (l *lab) prepareRow(ctx context.Context, r *row) (*subject, side, error) {
	l.say("%s: making %d sessions", r.name, r.sessions)
	service, err := l.open(ctx, r, "service")
	if err != nil || r.prepare == nil {
		return service, service, err
	}
	ours, err := r.prepare(ctx, l, r, service)
	if err != nil {
		service.stop()
		return nil, nil, err
	}
	return service, ours, nil
}

// takeTurns measures the rounds: first the service, then the yardsticks. It
// holds what the service says that it did against what wrk counted; a side that
// is more than wrk's requests has proofs of its own.
func (l *lab) takeTurns(ctx context.Context, res *result, service *subject, ours side, rivals []side) error {
	for _, s := range append([]side{ours}, rivals...) {
		if _, _, err := s.take(ctx, l, time.Second, 0); err != nil { // to warm up
			return err
		}
	}
	plain := res.prepare == nil
	var before, after counters
	var err error
	if plain {
		if before, err = l.counters(ctx, service.server); err != nil {
			return err
		}
	}
	var sent int64
	for round := range l.rounds {
		toldBefore := flushes(service.data)
		t, n, err := ours.take(ctx, l, l.duration, round+1)
		if err != nil {
			return fmt.Errorf("service: %w", err)
		}
		if told := flushes(service.data) - toldBefore; told > 0 {
			t.perFlush = float64(n) / float64(told)
		}
		res.service, sent = append(res.service, t), sent+n
		for i, rival := range rivals {
			if t, _, err = rival.take(ctx, l, l.duration, round+1); err != nil {
				return fmt.Errorf("%s: %w", res.rivals[i].name, err)
			}
			res.rivals[i].turns = append(res.rivals[i].turns, t)
		}
	}
	if !plain {
		return nil
	}
	if after, err = l.counters(ctx, service.server); err != nil {
		return err
	}
	return res.prove(before, after, sent, int64(l.rounds*cmp.Or(res.connections, l.connections)))
}

// startup is what a service that does nothing takes.
type startup struct {
	binary int64  // size of the binary, in bytes
	answer spread // from its start to its first answer, in milliseconds
	memory spread // resident after that, in megabytes
}

// measureStart starts the service a few times.
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
		answers, memories = append(answers, float64(answer.Microseconds())/1e3), append(memories, float64(memory)/1e6)
	}
	return startup{binary: info.Size(), answer: spreadOf(answers), memory: spreadOf(memories)}, nil
}

func (l *lab) startOnce(ctx context.Context) (answer time.Duration, memory int64, err error) {
	p, err := l.startService(ctx, &row{env: errorsOnly}, "service", &subject{})
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
