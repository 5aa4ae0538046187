package cleanup_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/cleanup"
)

// leases are what a store that instances share keeps for them.
type leases struct {
	mu    sync.Mutex
	taken map[string]bool
	asked int
	err   error
}

func (l *leases) Lock(_ context.Context, name string, lease time.Duration) (func(), bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if l.err != nil || l.taken[name] || lease <= 0 {
		return nil, false, l.err
	}
	if l.taken == nil {
		l.taken = map[string]bool{}
	}
	l.taken[name] = true
	return sync.OnceFunc(func() { l.set(name, false) }), true, nil
}

func (l *leases) set(name string, taken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken == nil {
		l.taken = map[string]bool{}
	}
	l.taken[name] = taken
}

func (l *leases) free() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.taken["cleanup"]
}

// sharing are the options of one of several instances.
func sharing(dir string, s *store, l *leases) cleanup.Options {
	o := options(dir, s)
	o.Locker = l
	return o
}

func TestInstancesTakeTurns(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		shared := &leases{}
		s := referring()
		var mu sync.Mutex
		under, most, runs := 0, 0, 0
		s.sweep = func(context.Context) (int, error) {
			mu.Lock()
			under++
			most = max(most, under)
			mu.Unlock()
			time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock: it costs nothing
			mu.Lock()
			defer mu.Unlock()
			under--
			runs++
			return 0, nil
		}
		for range 5 {
			j := newJobOf(t, sharing(dir, s, shared))
			go func() {
				_, err := j.Run(t.Context(), false)
				assert.NoError(t, err)
			}()
		}
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock: it costs nothing
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, 5, runs)
		assert.Equal(t, 1, most)
		assert.True(t, shared.free())
	})
}

func TestRunWhileAnotherInstanceCleans(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		write(t, dir, "stray", old)
		shared := &leases{taken: map[string]bool{"cleanup": true}}
		j := newJobOf(t, sharing(dir, referring(), shared))

		began := time.Now()
		report, err := j.Run(t.Context(), false)
		require.ErrorIs(t, err, cleanup.ErrBusy)
		assert.Equal(t, 15*time.Second, time.Since(began), "it waits first")
		assert.Zero(t, report)
		assert.Zero(t, j.Totals())
		_, ran := j.Last()
		assert.False(t, ran)

		asked := shared.asked
		report, err = j.Run(t.Context(), true)
		require.NoError(t, err, "a dry run stands in nobody's way")
		assert.Equal(t, 1, report.Deleted)
		assert.Equal(t, asked, shared.asked)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = j.Run(ctx, false)
		require.ErrorIs(t, err, context.DeadlineExceeded, "a caller who leaves ends the wait")

		time.AfterFunc(3*time.Second, func() { shared.set("cleanup", false) })
		report, err = j.Run(t.Context(), false)
		require.NoError(t, err)
		assert.Equal(t, 1, report.Deleted)
		assert.True(t, shared.free(), "the next may clean")
	})
}

// A store that cannot be asked whose turn it is fails the run: it could not say
// either which files are referred to.
func TestRunWithoutAnAnswerWhoseTurnItIs(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "stray", old)
	s := referring()
	s.sweep = func(context.Context) (int, error) { panic("not to be asked") }
	j := newJobOf(t, sharing(dir, s, &leases{err: errStore}))
	report, err := j.Run(t.Context(), false)
	require.ErrorIs(t, err, errStore)
	assert.Zero(t, report.Deleted)
	assert.FileExists(t, dir+"/stray")
	entry := only(t, report, "")
	assert.NotContains(t, entry.Detail, "10.1.2.3", "the report is for callers")
	last, ran := j.Last()
	assert.True(t, ran)
	assert.Equal(t, report, last)
}

func TestLeaseEndsWithTheRun(t *testing.T) {
	for name, sweep := range map[string]func(context.Context) (int, error){
		"that fails":  func(context.Context) (int, error) { return 0, errStore },
		"that panics": func(context.Context) (int, error) { panic("in the store") },
	} {
		t.Run(name, func(t *testing.T) {
			shared, s := &leases{}, referring()
			s.sweep = sweep
			_, err := newJobOf(t, sharing(t.TempDir(), s, shared)).Run(t.Context(), false)
			require.Error(t, err)
			assert.True(t, shared.free())
		})
	}
}

// A run of the loop that comes at the wrong time is left out, and made up for
// well before the next is due.
func TestLoopWhileAnotherInstanceCleans(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		const interval = 30 * time.Minute
		shared := &leases{taken: map[string]bool{"cleanup": true}}
		var buf bytes.Buffer
		s := referring()
		var at []time.Duration
		began := time.Now()
		s.sweep = func(context.Context) (int, error) {
			at = append(at, time.Since(began))
			return 0, nil
		}
		o := sharing(dir, s, shared)
		o.Interval, o.Logger = interval, slog.New(slog.NewJSONHandler(&buf, nil))
		j := newJobOf(t, o)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { j.Loop(ctx); close(ended) }()

		time.AfterFunc(35*time.Minute, func() { shared.set("cleanup", false) })
		time.Sleep(100 * time.Minute) //nolint:forbidigo // the bubble's clock: it costs nothing
		cancel()
		<-ended
		assert.Equal(t, []time.Duration{36 * time.Minute, 66 * time.Minute, 96 * time.Minute}, at)
		assert.Equal(t, 2, bytes.Count(buf.Bytes(), []byte("cleanup left to another instance")))
	})
}
