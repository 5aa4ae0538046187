package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// backlogSessions is the number of sessions created, and so of events in the backlog.
const backlogSessions = 200 * thousand

// backlog is a client that reconnects and reads the events that it missed.
type backlog struct {
	server *process
	lastID string
	events int
}

func prepareBacklog(ctx context.Context, l *harness, r *row, s *serviceUnderTest) (contender, error) {
	b := &backlog{server: s.server, events: backlogSessions}
	following, hangUp := context.WithCancel(ctx)
	defer hangUp()
	one, err := l.follow(following, s.server.addr, "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = one.body.Close() }() // it was only read
	if _, err := l.seed(ctx, s.server.addr, 1); err != nil {
		return nil, err
	}
	if err := one.await("deleted", 1); err != nil { // of the model
		return nil, err
	}
	if err := one.await("created", 1); err != nil {
		return nil, err
	}
	b.lastID = one.lastID
	l.logf("%s: making %d events", r.name, b.events)
	if _, err = l.seed(ctx, s.server.addr, b.events); err != nil {
		return nil, err
	}
	s.backlog = b
	return b, nil
}

// stop implements contender. The row stops the service.
func (*backlog) stop() {}

// measure implements contender. It reads them again and again.
func (b *backlog) measure(ctx context.Context, l *harness, length time.Duration, _ int) (t sample, events int64, err error) {
	var reading time.Duration
	spent, err := cpuSpent([]*process{b.server}, func() error {
		for reading < length {
			took, err := b.read(ctx, l)
			if err != nil {
				return err
			}
			reading += took
			events += int64(b.events)
		}
		return nil
	})
	if err != nil {
		return sample{}, 0, err
	}
	t.rate = float64(events) / reading.Seconds()
	t.cpu = float64(spent[0].Microseconds()) / float64(events)
	return t, events, nil
}

// read reads the backlog once. The time starts with the response headers: before them,
// the service waits for a while on purpose.
func (b *backlog) read(ctx context.Context, l *harness) (time.Duration, error) {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	s, err := l.follow(ctx, b.server.addr, b.lastID)
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.body.Close() }() // it was only read
	began := time.Now()
	if err := s.await("created", b.events); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// netHTTPStream is net/http that sends the same events in one piece.
var netHTTPStream = yardstick{name: "net/http", start: startNetHTTPStream}

func startNetHTTPStream(ctx context.Context, l *harness, _ *row, s *serviceUnderTest) (contender, error) {
	b := s.backlog
	following, hangUp := context.WithCancel(ctx)
	defer hangUp()
	all, err := l.follow(following, b.server.addr, b.lastID)
	if err != nil {
		return nil, err
	}
	defer func() { _ = all.body.Close() }() // it was only read
	var content bytes.Buffer
	all.lines = bufio.NewScanner(io.TeeReader(all.body, &content))
	if err := all.await("created", b.events); err != nil {
		return nil, err
	}
	recorded := response{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: content.Bytes()}
	server, err := l.startNetHTTPServer(ctx, &recorded)
	if err != nil {
		return nil, err
	}
	return &netHTTPBacklog{backlog{server: server, events: b.events}}, nil
}

// netHTTPBacklog is a backlog served by net/http alone.
type netHTTPBacklog struct{ backlog }

// stop implements contender.
func (b *netHTTPBacklog) stop() { b.server.stop() }
