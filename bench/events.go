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
func (l *harness) follow(ctx context.Context, addr, lastID string) (*stream, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+eventsPath, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+l.token)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := l.clientWithoutTimeout().Do(req)
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

// await reads events until count of the type have come.
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

// sharedService is a load on the row's own service.
type sharedService struct{ loadedServer }

// stop implements contender. The row stops the service.
func (*sharedService) stop() {}

// unfollowed is the row's service without a client on /api/events.
var unfollowed = yardstick{name: "no reader", start: startShared}

func startShared(_ context.Context, _ *harness, _ *row, s *serviceUnderTest) (contender, error) {
	return &sharedService{s.loadedServer}, nil
}

// eventReader is the row's service with one client that reads all events.
type eventReader struct{ sharedService }

func prepareFollowed(_ context.Context, _ *harness, _ *row, s *serviceUnderTest) (contender, error) {
	return &eventReader{sharedService{s.loadedServer}}, nil
}

// measure implements contender. It ends when the last event has arrived.
func (r *eventReader) measure(ctx context.Context, l *harness, length time.Duration, round int) (t sample, requests int64, err error) {
	following, hangUp := context.WithCancel(ctx)
	defer hangUp()
	s, err := l.follow(following, r.server.addr, "")
	if err != nil {
		return sample{}, 0, err
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
	t, requests, err = r.loadedServer.measure(ctx, l, length, round)
	if err != nil {
		return sample{}, 0, err
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for came.Load() < requests {
		select {
		case err := <-ended:
			return sample{}, 0, fmt.Errorf("after %d of %d events: %w", came.Load(), requests, err)
		case <-ctx.Done():
			return sample{}, 0, ctx.Err()
		case <-look.C:
		}
	}
	t.elapsed = time.Since(began)
	return t, requests, nil
}
