package main

import "context"

// redisMemory is what sessions take in Redis.
type redisMemory struct {
	sessions, document int
	// each is what one takes, the document included, in bytes.
	each float64
}

// memorySessions is how many sessions the space is measured with.
const memorySessions = 10_000

// measureRedisMemory fills a Redis with sessions.
func (l *harness) measureRedisMemory(ctx context.Context) (redisMemory, error) {
	l.logf("making %d sessions in Redis", memorySessions)
	// Some come before, for what the first ones cost beside their own space.
	plain := get(row{env: errorsOnly, onRedis: true, sessions: thousand})
	s, err := l.startRow(ctx, &plain, "space")
	if err != nil {
		return redisMemory{}, err
	}
	defer s.stop()
	before, err := usedMemory(ctx, s.redis)
	if err != nil {
		return redisMemory{}, err
	}
	if _, err := l.seed(ctx, s.server.addr, memorySessions); err != nil {
		return redisMemory{}, err
	}
	after, err := usedMemory(ctx, s.redis)
	if err != nil {
		return redisMemory{}, err
	}
	return redisMemory{sessions: memorySessions, document: len(s.response.Body), each: (after - before) / memorySessions}, nil
}

// usedMemory is what a Redis has allocated, in bytes.
func usedMemory(ctx context.Context, redis *process) (float64, error) {
	i, err := info(ctx, redis)
	if err != nil {
		return 0, err
	}
	return i.number("used_memory")
}
