package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// sample is the result of one contender in one round.
type sample struct {
	rate     float64 // requests per second
	cpu      float64 // processor time per request, in microseconds
	p50, p99 float64 // latency, in milliseconds
	p999     float64
	// elapsed is the duration of an operation that is done once in a round.
	elapsed time.Duration
	// memory is the growth of the server's resident memory, in bytes.
	memory int64
	// writesPerFlush is the number of writes for each flush of the disk; 0 if unknown.
	writesPerFlush float64
	// redisCPU is the processor time of Redis per request, in microseconds.
	redisCPU float64
}

// result is a row's samples; those of a round have the same index.
type result struct {
	row
	service    []sample
	yardsticks []yardstickResult
	// loaded and rested are the service's resident memory at the end of the load and
	// memoryReturnDelay later, in bytes, for rows that measure it.
	loaded, rested int64
	// document is the length of a session's document, for rows that answer with one.
	document int
	// fileBytes is the size of the data file, for rows that have one.
	fileBytes int64
	// redisCost is what a request costs on Redis.
	redisCost redisCost
}

// yardstickResult is a yardstick with its samples.
type yardstickResult struct {
	name    string
	samples []sample
}

// measure measures all selected rows. Rows that fail are missing in the report and part
// of the error.
func (l *harness) measure(ctx context.Context) (*report, error) {
	rep := &report{options: l.options, machine: describeMachine(l.programs)}
	began := time.Now()
	var failed, err error
	if rep.start, err = l.measureStart(ctx); err != nil {
		return nil, err
	}
	for _, r := range l.selectedRows() {
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
		if rep.redisMemory, err = l.measureRedisMemory(ctx); err != nil {
			return nil, fmt.Errorf("sessions in Redis: %w", err)
		}
	}
	if l.matches(worstRow) {
		if rep.worst, err = l.measureWorst(ctx); err != nil {
			return nil, fmt.Errorf("row %s: %w", worstRow, err)
		}
	}
	if l.matches(storeRow) {
		if rep.store, err = l.measureStore(ctx); err != nil {
			return nil, fmt.Errorf("row %s: %w", storeRow, err)
		}
	}
	if l.matches(dataFileRow) {
		if rep.dataFile, err = l.measureDataFile(ctx); err != nil {
			return nil, fmt.Errorf("row %s: %w", dataFileRow, err)
		}
	}
	l.logf("%v in all", time.Since(began).Round(time.Second))
	return rep, failed
}

// measureRow starts the service and the row's yardsticks, and measures them in turn.
func (l *harness) measureRow(ctx context.Context, r *row) (result, error) {
	res := result{row: *r}
	service, ours, err := l.prepareRow(ctx, r)
	if err != nil {
		return res, err
	}
	defer service.stop()
	res.document = len(service.response.Body)
	if r.onRedis {
		if res.redisCost, err = l.measureRedisCost(ctx, r, service); err != nil {
			return res, err
		}
	}
	var rivals []contender
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
		rivals, res.yardsticks = append(rivals, against), append(res.yardsticks, yardstickResult{name: y.name})
	}
	l.logf("%s: %d rounds", r.name, l.rounds)
	if err := l.measureRounds(ctx, &res, service, ours, rivals); err != nil {
		return res, err
	}
	res.fileBytes = service.fileBytes
	if !r.rests {
		return res, nil
	}
	if res.loaded, err = resident(service.server.pid()); err != nil {
		return res, err
	}
	if err := waitForRest(ctx); err != nil {
		return res, err
	}
	res.rested, err = resident(service.server.pid())
	return res, err
}

// prepareRow starts the service for a row, and returns it with the contender that loads
// it. The caller stops the service.
func (l *harness) prepareRow(ctx context.Context, r *row) (*serviceUnderTest, contender, error) {
	l.logf("%s: making %d sessions", r.name, r.sessions)
	service, err := l.startRow(ctx, r, "service")
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

// measureRounds measures the rounds: in each, first the service and then the yardsticks.
// It compares the service's counters with what wrk counted. Contenders other than wrk
// check their own results.
func (l *harness) measureRounds(ctx context.Context, res *result, service *serviceUnderTest, ours contender, rivals []contender) error {
	for _, s := range append([]contender{ours}, rivals...) {
		if _, _, err := s.measure(ctx, l, time.Second, 0); err != nil { // to warm up
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
		t, n, err := ours.measure(ctx, l, l.duration, round+1)
		if err != nil {
			return fmt.Errorf("service: %w", err)
		}
		if told := flushes(service.data) - toldBefore; told > 0 {
			t.writesPerFlush = float64(n) / float64(told)
		}
		res.service, sent = append(res.service, t), sent+n
		for i, rival := range rivals {
			if t, _, err = rival.measure(ctx, l, l.duration, round+1); err != nil {
				return fmt.Errorf("%s: %w", res.yardsticks[i].name, err)
			}
			res.yardsticks[i].samples = append(res.yardsticks[i].samples, t)
		}
	}
	if !plain {
		return nil
	}
	if after, err = l.counters(ctx, service.server); err != nil {
		return err
	}
	return res.verifyCounters(before, after, sent, int64(l.rounds*cmp.Or(res.connections, l.connections)))
}

// startup is the cost of an idle service.
type startup struct {
	binary int64  // size of the binary, in bytes
	answer spread // from its start to its first answer, in milliseconds
	memory spread // resident after that, in megabytes
}

// measureStart starts the service a few times.
func (l *harness) measureStart(ctx context.Context) (startup, error) {
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

func (l *harness) startOnce(ctx context.Context) (answer time.Duration, memory int64, err error) {
	p, err := l.startService(ctx, &row{env: errorsOnly}, "service", &serviceUnderTest{})
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	if _, err := l.do(ctx, p.addr, "GET", "/healthz", "", 200); err != nil {
		return 0, 0, err
	}
	answer = time.Since(p.began)
	memory, err = resident(p.pid())
	return answer, memory, err
}
