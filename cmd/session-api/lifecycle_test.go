package main

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/config"
	"session-api/internal/httpserver"
	"session-api/internal/servicetest"
	"session-api/internal/store/memory"
)

// Background work that hangs does not hold the end.
func TestAwait_isBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLogWatch()
		s := &service{log: slog.New(slog.NewJSONHandler(log, nil)), http: httpserver.New(httpserver.Options{Logger: slog.New(slog.DiscardHandler)})}
		var loops sync.WaitGroup
		hang := make(chan struct{})
		loops.Go(func() { <-hang })
		began := time.Now()
		s.await(t.Context(), &loops)
		assert.Equal(t, endGrace, time.Since(began))
		assert.Len(t, log.all("background work or requests did not stop in time"), 1)
		close(hang)
	})
}

func TestRun_whenServingFails(t *testing.T) {
	c, err := config.Load(servicetest.Environment(t))
	require.NoError(t, err)
	s, err := newService(c, memory.New(memory.Options{Policy: memory.LRU}), slog.New(slog.DiscardHandler), nil)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	closed := false
	s.release = func() error { closed = true; return errors.New("disk full") }

	s.http = httpserver.New(httpserver.Options{Logger: slog.New(slog.DiscardHandler)})
	err = s.run(t.Context(), s.http.Start(listener), nil)
	require.ErrorIs(t, err, net.ErrClosed)
	assert.ErrorContains(t, err, "serving: ")
	assert.ErrorContains(t, err, "closing the store: disk full")
	assert.True(t, closed)
}

func TestShortly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		30 * time.Minute: "30m", time.Hour: "1h", 90 * time.Minute: "1h30m", 10 * time.Second: "10s",
		time.Minute + time.Second: "1m1s", time.Hour + 10*time.Second: "1h0m10s", 48 * time.Hour: "48h",
	} {
		assert.Equal(t, want, shortly(d))
	}
}
