package cleanup_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/cleanup"
)

func TestLastAndTotals(t *testing.T) {
	dir := t.TempDir()
	s := referring("kept")
	j := newJob(t, dir, s)
	_, ran := j.Last()
	assert.False(t, ran)
	assert.Zero(t, j.Totals())

	write(t, dir, "kept", old)
	write(t, dir, "one", old)
	first, err := j.Run(t.Context(), false)
	require.NoError(t, err)
	write(t, dir, "two", old)
	write(t, dir, "three", old)
	s.sweep = func(context.Context) (int, error) { return 0, errStore }
	second, err := j.Run(t.Context(), false)
	require.Error(t, err)
	_, err = j.Run(t.Context(), true)
	require.NoError(t, err)

	last, ran := j.Last()
	assert.True(t, ran)
	assert.Equal(t, second, last)
	assert.NotEqual(t, first, last)
	totals := j.Totals()
	assert.Equal(t, int64(2), totals.Runs)
	assert.Equal(t, int64(5), totals.Scanned)
	assert.Equal(t, int64(3), totals.Deleted)
	assert.Equal(t, int64(21), totals.BytesFreed)
	assert.Equal(t, int64(1), totals.Errors)
}

func TestRunsTakeTurns(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := referring()
		var under, most, runs atomic.Int32
		s.sweep = func(context.Context) (int, error) {
			most.Store(max(most.Load(), under.Add(1)))
			time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock: it costs nothing
			under.Add(-1)
			runs.Add(1)
			return 0, nil
		}
		j := newJob(t, dir, s)
		for range 5 {
			go func() {
				_, err := j.Run(t.Context(), false)
				assert.NoError(t, err)
			}()
		}
		synctest.Wait()

		// One that gives up while it waits has done nothing.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		report, err := j.Run(ctx, false)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, report)

		time.Sleep(time.Hour) //nolint:forbidigo // the bubble's clock: it costs nothing
		assert.Equal(t, int32(5), runs.Load())
		assert.Equal(t, int32(1), most.Load())
	})
}

func TestRunWithACancelledContext(t *testing.T) {
	s := referring()
	s.sweep = func(context.Context) (int, error) { panic("not to be asked") }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newJob(t, t.TempDir(), s).Run(ctx, false)
	require.ErrorIs(t, err, context.Canceled)
}

// No failure ends the loop, and none delays the next run.
func TestLoop(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		const interval = 30 * time.Minute
		s := referring()
		var runs atomic.Int32
		s.sweep = func(context.Context) (int, error) {
			switch runs.Add(1) {
			case 1:
				panic("in the store")
			case 2:
				return 0, errStore
			}
			return 0, nil
		}
		s.files = func(context.Context, func(string) error) error {
			if runs.Load() == 3 {
				panic("in the store")
			}
			return nil
		}
		o := options(dir, s)
		o.Interval = interval
		o.Logger = slog.New(panicking{slog.DiscardHandler, &runs, 4})
		var after atomic.Int32
		o.AfterRun = func(cleanup.Report, error) { after.Add(1) }
		j := newJobOf(t, o)

		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { j.Loop(ctx); close(ended) }()

		for i := range 6 {
			time.Sleep(interval - time.Second) //nolint:forbidigo // the bubble's clock: it costs nothing
			synctest.Wait()
			assert.Equal(t, int32(i), runs.Load())
			time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock: it costs nothing
			synctest.Wait()
			assert.Equal(t, int32(i+1), runs.Load())
		}
		assert.Equal(t, int32(5), after.Load(), "after each but that in which the logger panicked")
		_, err := j.Run(t.Context(), false)
		require.NoError(t, err, "on request as well")
		assert.Equal(t, int32(5), after.Load(), "its caller has the report")

		cancel()
		<-ended
	})
}

// panicking is a log handler that panics in one of the runs.
type panicking struct {
	slog.Handler
	runs *atomic.Int32
	in   int32
}

func (p panicking) Enabled(context.Context, slog.Level) bool { return true }

func (p panicking) Handle(context.Context, slog.Record) error {
	if p.runs.Load() == p.in {
		panic("in the log")
	}
	return nil
}

func TestLoopOnlyOnRequest(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := referring()
		s.sweep = func(context.Context) (int, error) { return 0, errors.New("nobody asked") }
		o := options(dir, s)
		o.Interval = 0
		j := newJobOf(t, o)
		ctx, cancel := context.WithTimeout(t.Context(), 1000*time.Hour)
		defer cancel()
		j.Loop(ctx)
		assert.ErrorIs(t, ctx.Err(), context.DeadlineExceeded, "it waits for the end")
		assert.Zero(t, j.Totals())
	})
}

// line is one line of a JSON log.
type line struct {
	Level, Msg, Path, Error   string
	Scanned, Deleted, Errors  int
	References                int
	ReferencesIgnored         int
	DryRun                    bool
	Kept, Skipped, BytesFreed int
}

func logged(t *testing.T, buf *bytes.Buffer) []line {
	t.Helper()
	var lines []line
	for text := range strings.Lines(buf.String()) {
		var l line
		require.NoError(t, json.Unmarshal([]byte(text), &l))
		lines = append(lines, l)
	}
	buf.Reset()
	return lines
}

func TestLog(t *testing.T) {
	dir := t.TempDir()
	s := referring("kept", "../outside")
	write(t, dir, "kept", old)
	write(t, dir, "file", old)
	var buf bytes.Buffer
	o := options(dir, s)
	o.Logger = slog.New(slog.NewJSONHandler(&buf, nil))
	j := newJobOf(t, o)
	assert.Empty(t, buf.String())

	_, err := j.Run(t.Context(), true)
	require.NoError(t, err)
	lines := logged(t, &buf)
	require.Len(t, lines, 1)
	assert.True(t, lines[0].DryRun)

	_, err = j.Run(t.Context(), false)
	require.NoError(t, err)
	assert.Equal(t, []line{{
		Level: "INFO", Msg: "cleanup run", Scanned: 2, Kept: 1, Deleted: 1, BytesFreed: 7,
		References: 1, ReferencesIgnored: 1,
	}}, logged(t, &buf))

	s.sweep = func(context.Context) (int, error) { return 0, errStore }
	_, err = j.Run(t.Context(), false)
	require.Error(t, err)
	lines = logged(t, &buf)
	require.Len(t, lines, 2)
	assert.Equal(t, "WARN", lines[0].Level)
	assert.Contains(t, lines[0].Error, errStore.Error())
	assert.Equal(t, "WARN", lines[1].Level)
	assert.Equal(t, 1, lines[1].Errors)
}

// A run with very many failures does not flood the log.
func TestLogIsBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 300 {
		write(t, dir, fmt.Sprintf("%s%d/file", strings.Repeat("d/", 64), i), fresh)
	}
	var buf bytes.Buffer
	o := options(dir, referring())
	o.Logger = slog.New(slog.NewTextHandler(&buf, nil))
	report, err := newJobOf(t, o).Run(t.Context(), false)
	require.NoError(t, err)
	assert.Equal(t, 300, report.Errors)
	assert.True(t, report.Truncated)
	assert.LessOrEqual(t, strings.Count(buf.String(), "\n"), 30)
}
