package main

import (
	"context"
	"maps"
	"os"
	"time"
)

// side is one of those that take turns.
type side interface {
	// take is its turn. requests is how many it answered.
	take(ctx context.Context, l *lab, length time.Duration, round int) (t turn, requests int64, err error)
	stop()
}

// subject is the service as a row wants it, with the sessions of the row.
type subject struct {
	served
	redis   *process // nil where sessions are in memory
	data    string   // its directory, where sessions are in a file
	callers []caller
	answer  answer // to the first request of the load
	// backlog is what a client missed, once there is such a client.
	backlog *backlog
	// fileBytes is what the directory holds, once somebody has looked.
	fileBytes int64
}

// stop implements side.
func (s *subject) stop() {
	if s.server != nil {
		s.served.stop()
	}
	if s.redis != nil {
		s.redis.stop()
	}
	if s.data != "" {
		_ = os.RemoveAll(s.data) // the lab's directory goes in any case
	}
}

// open starts the service for a row, and the Redis that it may need. Its files
// have the name in theirs.
func (l *lab) open(ctx context.Context, r *row, name string) (_ *subject, err error) {
	s := &subject{}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if r.onRedis {
		if s.redis, err = l.startRedis(ctx); err != nil {
			return nil, err
		}
	}
	if r.onDisk {
		if s.data, err = os.MkdirTemp(l.dir, name+".data-"); err != nil {
			return nil, err
		}
	}
	if s.server, err = l.startService(ctx, r, name, s); err != nil {
		return nil, err
	}
	s.behind, s.connections = s.redis, r.connections
	sessions, err := l.seed(ctx, s.server.addr, r.sessions)
	if err != nil {
		return nil, err
	}
	s.callers = r.callers(l, sessions)
	if s.answer, err = l.try(ctx, s.server.addr, r, s.callers[0], 0); err != nil {
		return nil, err
	}
	if s.load, err = l.load(r, name, s.callers); err != nil {
		return nil, err
	}
	select {
	case <-time.After(r.rest):
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// startService runs the service as the row wants it, over what the subject has.
func (l *lab) startService(ctx context.Context, r *row, name string, s *subject) (*process, error) {
	return start(ctx, l.path(name+".log"), r.environ(l, s), findAddr, l.binary)
}

// environ is what the service runs with in this row: production, with room for
// everything, and the settings of the row.
func (r *row) environ(l *lab, s *subject) []string {
	env := map[string]string{
		"APP_ENV":                "production",
		"HOST":                   "127.0.0.1",
		"PORT":                   "0",
		"SESSION_SECRET":         l.secret,
		"SERVICE_TOKENS":         l.token,
		"SESSION_MAX_ENTRIES":    "100000000",
		"CREATE_RATE_PER_MINUTE": "0",
		"ANALYSIS_TMP_DIR":       l.files(),
	}
	if s.redis != nil {
		env["REDIS_URL"] = "redis://" + s.redis.addr
	}
	if s.data != "" {
		env["SESSION_DATA_DIR"] = s.data
	}
	maps.Copy(env, r.env)
	if env["ANALYSIS_TMP_DIR"] == treeMark {
		env["ANALYSIS_TMP_DIR"] = l.tree()
	}
	list := make([]string, 0, len(env))
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	return list
}
