package main

import "context"

// space is what sessions take in Redis.
type space struct {
	sessions, document int
	// each is what one takes, the document included, in bytes.
	each float64
}

// counted is how many sessions the space is measured with.
const counted = 10_000

// measureSpace fills a Redis with sessions.
func (l *lab) measureSpace(ctx context.Context) (space, error) {
	l.say("making %d sessions in Redis", counted)
	// Some come before, for what the first ones cost beside their own space.
	plain := get(row{env: errorsOnly, onRedis: true, sessions: thousand})
	s, err := l.open(ctx, &plain, "space")
	if err != nil {
		return space{}, err
	}
	defer s.stop()
	before, err := usedMemory(ctx, s.redis)
	if err != nil {
		return space{}, err
	}
	if _, err := l.seed(ctx, s.server.addr, counted); err != nil {
		return space{}, err
	}
	after, err := usedMemory(ctx, s.redis)
	if err != nil {
		return space{}, err
	}
	return space{sessions: counted, document: len(s.answer.Body), each: (after - before) / counted}, nil
}

// usedMemory is what a Redis has allocated, in bytes.
func usedMemory(ctx context.Context, redis *process) (float64, error) {
	i, err := info(ctx, redis)
	if err != nil {
		return 0, err
	}
	return i.number("used_memory")
}
