package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// backlogSessions are made to have that many events.
const backlogSessions = 200 * thousand

// backlog is a client that comes back and reads what it has missed.
type backlog struct {
	server *process
	lastID string
	events int
}

func prepareBacklog(ctx context.Context, l *lab, r *row, s *subject) (side, error) {
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
	l.say("%s: making %d events", r.name, b.events)
	if _, err = l.seed(ctx, s.server.addr, b.events); err != nil {
		return nil, err
	}
	s.backlog = b
	return b, nil
}

// stop implements side: the service is the row's.
func (*backlog) stop() {}

// take implements side. It reads them again and again.
func (b *backlog) take(ctx context.Context, l *lab, length time.Duration, _ int) (t turn, events int64, err error) {
	var reading time.Duration
	spent, err := spending([]*process{b.server}, func() error {
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
		return turn{}, 0, err
	}
	t.rate = float64(events) / reading.Seconds()
	t.cpu = float64(spent[0].Microseconds()) / float64(events)
	return t, events, nil
}

// read reads them once. The time counts from the answer's headers on: before,
// the service waits a little by intent.
func (b *backlog) read(ctx context.Context, l *lab) (time.Duration, error) {
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

// bareStream is net/http that sends the same events in one piece.
var bareStream = yardstick{name: "net/http", start: startBareStream}

func startBareStream(ctx context.Context, l *lab, _ *row, s *subject) (side, error) {
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
	recorded := answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: content.Bytes()}
	server, err := l.startBareServer(ctx, &recorded)
	if err != nil {
		return nil, err
	}
	return &bareBacklog{backlog{server: server, events: b.events}}, nil
}

// bareBacklog has a server of its own.
type bareBacklog struct{ backlog }

// stop implements side.
func (b *bareBacklog) stop() { b.server.stop() }
