package cleanup_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/cleanup"
)

// clock is a wall clock that can be set, and a clock beside it that cannot.
type clock struct {
	mu      sync.Mutex
	wall    time.Time
	elapsed time.Duration
}

// run lets time go by.
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.elapsed = c.wall.Add(d), c.elapsed+d
}

// set sets the wall clock that much forward, or back.
func (c *clock) set(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *clock) since() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.elapsed
}

// clocked is a job with such a clock.
func clocked(t *testing.T, dir string, s *store, change ...func(*cleanup.Options)) (*cleanup.Job, *clock) {
	t.Helper()
	c := &clock{wall: time.Now(), elapsed: 5 * time.Hour}
	o := options(dir, s)
	o.Now, o.Elapsed = c.now, c.since
	for _, f := range change {
		f(&o)
	}
	return newJobOf(t, o), c
}

func run(t *testing.T, j *cleanup.Job) cleanup.Report {
	t.Helper()
	report, err := j.Run(t.Context(), false)
	require.NoError(t, err)
	return report
}

// inUse fills a directory with what is in use.
func inUse(t *testing.T, dir string) *store {
	t.Helper()
	s := referring("runs/7/referenced")
	write(t, dir, "just-written", fresh)
	write(t, dir, "runs/7/referenced", old)
	write(t, dir, "runs/7/just-written", fresh)
	mkdir(t, dir, "empty", fresh)
	return s
}

// A clock that is put forward makes all files old, and all sessions expired.
// Nothing goes for that in the run which notices, nor in the next ones, until
// the clock has gone well for the grace.
func TestAClockThatIsPutForward(t *testing.T) {
	for _, jump := range []time.Duration{11 * time.Minute, time.Hour, 24 * time.Hour, 72 * time.Hour} {
		t.Run(fmt.Sprint(jump), func(t *testing.T) {
			dir := t.TempDir()
			s := inUse(t, dir)
			j, c := clocked(t, dir, s)
			before := tree(t, dir)
			first := run(t, j)
			assert.Equal(t, 3, first.Kept)
			assert.Empty(t, first.Entries)

			c.pass(30 * time.Second)
			c.set(jump)
			delete(s.refs, "runs/7/referenced")
			swept := 0
			s.sweep = func(context.Context) (int, error) { swept++; return 1, nil }
			for _, wait := range []time.Duration{0, grace / 2, grace/2 - time.Second} {
				c.pass(wait)
				report := run(t, j)
				assert.Equal(t, before, tree(t, dir))
				assert.Equal(t, 3, report.Scanned)
				assert.Equal(t, 3, report.Kept)
				assert.Zero(t, report.Deleted+report.DirsRemoved+report.Errors)
				entry := only(t, report, "runs/7/referenced")
				assert.Equal(t, cleanup.ActionKept, entry.Action)
				assert.Equal(t, cleanup.ReasonClockSet, entry.Reason)
				assert.Equal(t, cleanup.ReasonClockSet, only(t, report, "just-written").Reason)
			}
			assert.Equal(t, 3, swept, "expired sessions go as ever")

			c.pass(time.Second)
			report := run(t, j)
			assert.Equal(t, 3, report.Deleted, "the clock means it")
			assert.NotZero(t, report.DirsRemoved)
		})
	}
}

// Put forward by mistake, and back again before the grace is over: nothing goes.
func TestAClockThatIsPutRight(t *testing.T) {
	dir := t.TempDir()
	s := inUse(t, dir)
	j, c := clocked(t, dir, s)
	before := tree(t, dir)
	for _, jump := range []time.Duration{24 * time.Hour, -24 * time.Hour, 72 * time.Hour, -72 * time.Hour} {
		c.set(jump)
		run(t, j)
		assert.Equal(t, before, tree(t, dir))
	}
	c.pass(grace)
	report := run(t, j)
	assert.FileExists(t, dir+"/runs/7/referenced")
	assert.Equal(t, 2, report.Deleted, "what was written and is not referred to is old by now")
}

// Another jump starts the wait anew.
func TestAClockThatKeepsJumping(t *testing.T) {
	dir := t.TempDir()
	j, c := clocked(t, dir, inUse(t, dir))
	for range 5 {
		c.pass(grace - time.Second)
		c.set(time.Hour)
		assert.Zero(t, run(t, j).Deleted)
	}
	c.pass(grace)
	assert.NotZero(t, run(t, j).Deleted)
}

// What is put back makes files younger, or of the future: they stay, and what
// is still old goes.
func TestAClockThatIsPutBack(t *testing.T) {
	for _, jump := range []time.Duration{-time.Hour, -24 * time.Hour} {
		t.Run(fmt.Sprint(jump), func(t *testing.T) {
			dir := t.TempDir()
			j, c := clocked(t, dir, referring())
			write(t, dir, "new", fresh)
			write(t, dir, "forsaken", old-jump)
			c.set(jump)
			report := run(t, j)
			assert.Equal(t, 1, report.Deleted)
			assert.Equal(t, cleanup.ReasonUnreferenced, only(t, report, "forsaken").Reason)
			assert.Equal(t, cleanup.ReasonFutureTime, only(t, report, "new").Reason)
		})
	}
}

// The clock is put forward while the references are being read.
func TestAClockThatIsPutForwardDuringARun(t *testing.T) {
	dir := t.TempDir()
	s := inUse(t, dir)
	j, c := clocked(t, dir, s)
	s.files = func(context.Context, func(string) error) error {
		c.set(24 * time.Hour)
		return nil
	}
	before := tree(t, dir)
	assert.Zero(t, run(t, j).Deleted)
	assert.Equal(t, before, tree(t, dir))
}

// Clocks that are kept right by small steps are good clocks, and without a grace
// the wait is a minute.
func TestSmallDifferencesOfClocks(t *testing.T) {
	dir := t.TempDir()
	j, c := clocked(t, dir, referring())
	for range 10 {
		write(t, dir, "forsaken", 0)
		c.pass(30 * time.Minute)
		c.set(3 * time.Second) // 0.17 %
		assert.Equal(t, 1, run(t, j).Deleted)
	}
	c.pass(10 * 24 * time.Hour)
	c.set(10 * time.Minute) // 0.07 %
	write(t, dir, "forsaken", 0)
	assert.Equal(t, 1, run(t, j).Deleted)

	j, c = clocked(t, dir, referring(), func(o *cleanup.Options) { o.Grace = 0 })
	write(t, dir, "forsaken", fresh)
	c.set(time.Hour)
	assert.Zero(t, run(t, j).Deleted)
	c.pass(time.Minute)
	assert.Equal(t, 1, run(t, j).Deleted)
}

func TestAClockThatIsPutForwardIsLogged(t *testing.T) {
	dir := t.TempDir()
	var buf bytes.Buffer
	j, c := clocked(t, dir, inUse(t, dir), func(o *cleanup.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&buf, nil))
	})
	c.set(time.Hour)
	dry, err := j.Run(t.Context(), true)
	require.NoError(t, err)
	report := run(t, j)
	dry.DryRun, dry.StartedAt, dry.DurationMs = false, report.StartedAt, report.DurationMs
	assert.Equal(t, report, dry, "a dry run says what would be")
	assert.Contains(t, buf.String(), "level=WARN msg=\"the clock was put forward")
	assert.Contains(t, buf.String(), "jump=1h0m0s hold=10m0s")
	assert.Equal(t, 1, bytes.Count(buf.Bytes(), []byte("put forward")))
	assert.Equal(t, 2, bytes.Count(buf.Bytes(), []byte("held=10m0s")))
}
