package main

import (
	"cmp"
	"context"
	"strings"
	"time"
)

// loadedServer is a server under the load of wrk.
type loadedServer struct {
	server *process
	load   *wrkLoad
	redis  *process // nil without Redis
	// connections is the number of connections; 0 for that of the options.
	connections int
}

// stop implements contender.
func (s *loadedServer) stop() { s.server.stop() }

// measure implements contender.
func (s *loadedServer) measure(ctx context.Context, l *harness, length time.Duration, round int) (t sample, requests int64, err error) {
	if err := s.server.alive(); err != nil {
		return sample{}, 0, err
	}
	var f wrkResult
	spent, err := cpuSpent([]*process{s.server, s.redis}, func() (err error) {
		f, err = s.load.run(ctx, s.server.addr, cmp.Or(s.connections, l.connections), length, round)
		return err
	})
	if err != nil {
		return sample{}, 0, err
	}
	return sample{
		rate: f.rate(), p50: f.P50 / 1e3, p99: f.P99 / 1e3, p999: f.P999 / 1e3,
		cpu:      float64(spent[0].Microseconds()) / float64(f.Requests),
		redisCPU: float64(spent[1].Microseconds()) / float64(f.Requests),
	}, f.Requests, nil
}

// cpuSpent returns the processor time of each process while do runs; 0 for nil.
func cpuSpent(processes []*process, do func() error) ([]time.Duration, error) {
	look := func() ([]time.Duration, error) {
		times := make([]time.Duration, len(processes))
		for i, p := range processes {
			if p == nil {
				continue
			}
			var err error
			if times[i], err = cpuTime(p.pid()); err != nil {
				return nil, err
			}
		}
		return times, nil
	}
	before, err := look()
	if err != nil {
		return nil, err
	}
	if err := do(); err != nil {
		return nil, err
	}
	spent, err := look()
	for i := range spent {
		spent[i] -= before[i]
	}
	return spent, err
}

// load writes the files that wrk reads, with name in theirs.
func (l *harness) load(r *row, name string, callers []caller) (*wrkLoad, error) {
	ld := &wrkLoad{method: r.method, path: r.path}
	var who strings.Builder
	for _, c := range callers {
		who.WriteString(c.path + "\t" + c.header + "\n")
	}
	for _, f := range []struct {
		path    *string
		name    string
		content string
	}{
		{&ld.script, "load.lua", string(loadScript)},
		{&ld.callers, "callers", who.String()},
		{&ld.common, "headers", strings.Join(headerLines(r.header), "\n")},
		{&ld.body, "body", r.body},
	} {
		var err error
		if *f.path, err = l.file(name+"."+f.name, []byte(f.content)); err != nil {
			return nil, err
		}
	}
	return ld, nil
}
