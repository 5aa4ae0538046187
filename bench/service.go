package main

import (
	"context"
	"maps"
	"os"
	"time"
)

// contender is what is measured: the service, or a yardstick.
type contender interface {
	// measure measures one round. requests is the number of requests answered.
	measure(ctx context.Context, l *harness, length time.Duration, round int) (t sample, requests int64, err error)
	stop()
}

// serviceUnderTest is the service with the settings and sessions of a row.
type serviceUnderTest struct {
	loadedServer
	data     string // the directory of the data file; empty without one
	callers  []caller
	response response // to the first request of the load
	// backlog is set for rows that read one.
	backlog *backlog
	// fileBytes is the size of the data directory, once it was measured.
	fileBytes int64
}

// stop implements contender.
func (s *serviceUnderTest) stop() {
	if s.server != nil {
		s.loadedServer.stop()
	}
	if s.redis != nil {
		s.redis.stop()
	}
	if s.data != "" {
		_ = os.RemoveAll(s.data) // the harness removes it in any case
	}
}

// startRow starts the service for a row, and the Redis that it may need. The names of
// their files begin with name.
func (l *harness) startRow(ctx context.Context, r *row, name string) (_ *serviceUnderTest, err error) {
	s := &serviceUnderTest{}
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
	s.connections = r.connections
	sessions, err := l.seed(ctx, s.server.addr, r.sessions)
	if err != nil {
		return nil, err
	}
	if err := r.nameSessions(sessions); err != nil {
		return nil, err
	}
	s.callers = r.callers(l, sessions)
	if s.response, err = l.doCaller(ctx, s.server.addr, r, s.callers[0], 0); err != nil {
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

// startService runs the service with the settings of the row.
func (l *harness) startService(ctx context.Context, r *row, name string, s *serviceUnderTest) (*process, error) {
	return start(ctx, l.path(name+".log"), r.environ(l, s), findAddr, l.binary)
}

// environ returns the environment of the service: production, with capacity for every
// row, and the settings of the row.
func (r *row) environ(l *harness, s *serviceUnderTest) []string {
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
