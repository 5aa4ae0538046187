package main

import (
	"cmp"
	"context"
	"strings"
	"time"
)

// served is a server under the load of wrk.
type served struct {
	server *process
	load   *load
	behind *process // its Redis, or nil
	// connections are kept busy; 0 for as many as the options say.
	connections int
}

// stop implements side.
func (s *served) stop() { s.server.stop() }

// take implements side.
func (s *served) take(ctx context.Context, l *lab, length time.Duration, round int) (t turn, requests int64, err error) {
	if err := s.server.alive(); err != nil {
		return turn{}, 0, err
	}
	var f figures
	spent, err := spending([]*process{s.server, s.behind}, func() (err error) {
		f, err = s.load.fire(ctx, s.server.addr, cmp.Or(s.connections, l.connections), length, round)
		return err
	})
	if err != nil {
		return turn{}, 0, err
	}
	return turn{
		rate: f.rate(), p50: f.P50 / 1e3, p99: f.P99 / 1e3, p999: f.P999 / 1e3,
		cpu:    float64(spent[0].Microseconds()) / float64(f.Requests),
		behind: float64(spent[1].Microseconds()) / float64(f.Requests),
	}, f.Requests, nil
}

// spending returns the processor time that processes spend while something is
// done; none for nil.
func spending(processes []*process, do func() error) ([]time.Duration, error) {
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

// load writes the files that wrk reads. They have the name in theirs.
func (l *lab) load(r *row, name string, callers []caller) (*load, error) {
	ld := &load{method: r.method, path: r.path}
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
		{&ld.common, "headers", strings.Join(lines(r.header), "\n")},
		{&ld.body, "body", r.body},
	} {
		var err error
		if *f.path, err = l.file(name+"."+f.name, []byte(f.content)); err != nil {
			return nil, err
		}
	}
	return ld, nil
}
