package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const backupPath = "/api/backup"

// noBackup is the row's service while it sends no backup.
var noBackup = yardstick{name: "no backup", start: startShared}

// backedUp is the row's service under wrk while it sends one backup after the other.
type backedUp struct {
	sharedService
}

func prepareBackup(_ context.Context, _ *harness, _ *row, s *serviceUnderTest) (contender, error) {
	return &backedUp{sharedService{s.loadedServer}}, nil
}

// measure implements contender. A backup that is not complete at the end is given up.
func (b *backedUp) measure(ctx context.Context, l *harness, length time.Duration, round int) (t sample, requests int64, err error) {
	sending, enough := context.WithCancel(ctx)
	defer enough()
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			err = l.backup(sending, b.server.addr)
		}
		ended <- err
	}()
	t, requests, err = b.loadedServer.measure(ctx, l, length, round)
	enough()
	if failed := <-ended; err == nil && !errors.Is(failed, context.Canceled) {
		err = failed
	}
	return t, requests, err
}

// backup reads a backup to its end.
func (l *harness) backup(ctx context.Context, addr string) error {
	resp, err := l.sendAsService(ctx, http.MethodGet, "http://"+addr+backupPath)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusConflict: // the one that was given up before has not ended yet
		select {
		case <-time.After(restPoll):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	default:
		return fmt.Errorf("backup: %s", resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
