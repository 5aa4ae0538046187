package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const eventsPath = "/api/events"

// stream is a client of /api/events, or of something that answers like it.
type stream struct {
	body  io.ReadCloser
	lines *bufio.Scanner
	// lastID is that of the event that was read last.
	lastID string
}

// follow opens a stream. It ends with ctx.
func (l *lab) follow(ctx context.Context, addr, lastID string) (*stream, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+eventsPath, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+l.token)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := l.patient().Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(errors.New("GET "+eventsPath+": "+resp.Status), resp.Body.Close())
	}
	return &stream{body: resp.Body, lines: bufio.NewScanner(resp.Body)}, nil
}

// next reads up to the next event and returns its type.
func (s *stream) next() (kind string, err error) {
	for s.lines.Scan() {
		line := s.lines.Bytes()
		if id, ok := bytes.CutPrefix(line, []byte("id: ")); ok {
			s.lastID = string(id)
		}
		if name, ok := bytes.CutPrefix(line, []byte("event: ")); ok {
			kind = string(name)
		}
		if len(line) > 0 || kind == "" {
			continue // not at the end of an event
		}
		if kind == "reset" || kind == "dropped" {
			return "", errors.New("events were lost: " + kind)
		}
		return kind, nil
	}
	if err := s.lines.Err(); err != nil {
		return "", err
	}
	return "", io.ErrUnexpectedEOF
}

// await reads so many events of a type.
func (s *stream) await(kind string, count int) error {
	for count > 0 {
		got, err := s.next()
		if err != nil {
			return err
		}
		if got == kind {
			count--
		}
	}
	return nil
}

// shared is a load on the row's own service, set otherwise.
type shared struct{ served }

// stop implements side: the service is the row's.
func (*shared) stop() {}

// unfollowed is the row's service without a reader.
var unfollowed = yardstick{name: "no reader", start: startShared}

func startShared(_ context.Context, _ *lab, _ *row, s *subject) (side, error) {
	return &shared{s.served}, nil
}

// reader is the row's service with one client that reads all events.
type reader struct{ shared }

func prepareFollowed(_ context.Context, _ *lab, _ *row, s *subject) (side, error) {
	return &reader{shared{s.served}}, nil
}

// take implements side. The turn is over when the last event has come.
func (r *reader) take(ctx context.Context, l *lab, length time.Duration, round int) (t turn, requests int64, err error) {
	following, hangUp := context.WithCancel(ctx)
	defer hangUp()
	s, err := l.follow(following, r.server.addr, "")
	if err != nil {
		return turn{}, 0, err
	}
	defer func() { _ = s.body.Close() }() // it was only read
	var came atomic.Int64
	ended := make(chan error, 1)
	go func() {
		for {
			kind, err := s.next()
			if err != nil {
				ended <- err
				return
			}
			if kind == "updated" {
				came.Add(1)
			}
		}
	}()
	began := time.Now()
	t, requests, err = r.served.take(ctx, l, length, round)
	if err != nil {
		return turn{}, 0, err
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for came.Load() < requests {
		select {
		case err := <-ended:
			return turn{}, 0, fmt.Errorf("after %d of %d events: %w", came.Load(), requests, err)
		case <-ctx.Done():
			return turn{}, 0, ctx.Err()
		case <-look.C:
		}
	}
	t.took = time.Since(began)
	return t, requests, nil
}
