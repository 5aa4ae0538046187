package store_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// tended is a store that counts what loops do to it.
type tended struct {
	backend.Store
	sweeps    int
	sweepErr  error
	overLimit bool

	leases   int
	noLease  bool
	heldBack int
	looks    int
}

func (s *tended) Sweep(context.Context, time.Time) (int, error) {
	s.sweeps++
	return 0, s.sweepErr
}

func (s *tended) Stats(context.Context, time.Time) (backend.Stats, error) {
	return backend.Stats{Entries: 3, MaxEntries: 2, OverLimit: s.overLimit}, nil
}

func (s *tended) HeldBack() int         { return s.heldBack }
func (s *tended) LookAtClock(time.Time) { s.looks++; s.heldBack-- }

// tendedByMany is one that instances share.
type tendedByMany struct{ *tended }

func (s tendedByMany) Lock(context.Context, string, time.Duration) (unlock func(), held bool, err error) {
	s.leases++
	return func() { s.leases-- }, !s.noLease, nil
}

// looping runs a loop for that long on a fake clock, and returns what it has logged.
func looping(t *testing.T, b backend.Store, length time.Duration, loop func(context.Context, *store.Sessions, *slog.Logger)) string {
	t.Helper()
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		s := store.NewSessions(b, new(schema.Rules), store.Lifetimes{}, store.UserLimit{})
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		loop(ctx, s, slog.New(slog.NewTextHandler(&log, nil)))
	})
	return log.String()
}

func TestSweepLoop(t *testing.T) {
	sweeping := func(ctx context.Context, s *store.Sessions, logger *slog.Logger) {
		s.SweepLoop(ctx, time.Minute, logger)
	}
	const length = 3*time.Minute + time.Second
	newTended := func() *tended { return &tended{Store: memory.New(memory.Options{})} }

	t.Run("goes on after an error", func(t *testing.T) {
		s := newTended()
		s.sweepErr = errors.New("the store is away")
		log := looping(t, s, length, sweeping)
		assert.Equal(t, 3, s.sweeps)
		assert.Equal(t, 3, strings.Count(log, "sweeping expired sessions"))
	})
	t.Run("one instance at a time", func(t *testing.T) {
		s := newTended()
		assert.Empty(t, looping(t, tendedByMany{s}, length, sweeping))
		assert.Equal(t, 3, s.sweeps)
		assert.Zero(t, s.leases, "they are given back")
		s.noLease = true
		assert.Empty(t, looping(t, tendedByMany{s}, length, sweeping))
		assert.Equal(t, 3, s.sweeps)
	})
}

func TestOverLimitLoop(t *testing.T) {
	for over, lines := range map[bool]int{true: 2, false: 0} {
		s := &tended{Store: memory.New(memory.Options{}), overLimit: over}
		log := looping(t, s, 2*time.Hour+time.Minute, func(ctx context.Context, s *store.Sessions, logger *slog.Logger) {
			s.OverLimitLoop(ctx, "none", logger)
		})
		assert.Equal(t, lines, strings.Count(log, "sessions=3 maxEntries=2 bytes=0 policy=none"), log)
	}
}

// The loop ends with its work.
func TestClockLoop(t *testing.T) {
	watching := func(ctx context.Context, s *store.Sessions, _ *slog.Logger) {
		s.ClockLoop(ctx)
		assert.NoError(t, ctx.Err(), "nothing is held back, and it goes on")
	}
	for _, n := range []int{0, 1, 3} {
		s := &tended{Store: memory.New(memory.Options{}), heldBack: n}
		looping(t, s, time.Hour, watching)
		assert.Equal(t, n, s.looks)
	}
	looping(t, memory.New(memory.Options{}), time.Hour, watching)
}
