package redistest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/redis/redistest"
)

// verdict is a test that notes how it was ended.
type verdict struct {
	testing.TB
	skipped, failed, logged string
}

func (v *verdict) Helper() {}

func (v *verdict) Skip(args ...any) {
	v.skipped = fmt.Sprint(args...)
	runtime.Goexit()
}

func (v *verdict) Fatal(args ...any) {
	v.failed = fmt.Sprint(args...)
	runtime.Goexit()
}

func (v *verdict) Fatalf(format string, args ...any) { v.Fatal(fmt.Sprintf(format, args...)) }
func (v *verdict) Logf(format string, args ...any)   { v.logged += fmt.Sprintf(format, args...) }
func (v *verdict) Failed() bool                      { return v.failed != "" }

// judge runs test, and returns how it was ended. Its cleanups run.
func judge(t *testing.T, test func(testing.TB)) *verdict {
	t.Helper()
	v := &verdict{}
	t.Run("judged", func(t *testing.T) {
		v.TB = t
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			test(v)
		}()
		<-ended
	})
	return v
}

// install makes a PATH of executables that do nothing.
func install(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o700))
	}
	t.Setenv("PATH", dir)
	return dir
}

func TestBinaries(t *testing.T) {
	t.Run("both", func(t *testing.T) {
		dir := install(t, "redis-server", "valkey-server")
		want := []string{filepath.Join(dir, "redis-server"), filepath.Join(dir, "valkey-server")}
		assert.Equal(t, want, redistest.Binaries(t))
	})
	t.Run("only Valkey", func(t *testing.T) {
		dir := install(t, "valkey-server")
		assert.Equal(t, []string{filepath.Join(dir, "valkey-server")}, redistest.Binaries(t))
	})
	t.Run("one under two names", func(t *testing.T) {
		dir := install(t, "valkey-server")
		require.NoError(t, os.Symlink("valkey-server", filepath.Join(dir, "redis-server")))
		assert.Equal(t, []string{filepath.Join(dir, "redis-server")}, redistest.Binaries(t))
	})
}

func TestWithoutBinaries(t *testing.T) {
	start := func(tb testing.TB) { redistest.Start(tb) }
	install(t)
	t.Run("skips", func(t *testing.T) {
		t.Setenv("CI", "")
		v := judge(t, start)
		assert.Contains(t, v.skipped, "apt-get install redis-server")
		assert.Empty(t, v.failed)
	})
	t.Run("fails in CI", func(t *testing.T) {
		t.Setenv("CI", "true")
		v := judge(t, start)
		assert.Contains(t, v.failed, "apt-get install redis-server")
		assert.Empty(t, v.skipped)
	})
}

func TestFailedStartShowsWhy(t *testing.T) {
	redistest.Binaries(t) // else it would fail for want of one
	v := judge(t, func(tb testing.TB) { redistest.Start(tb, redistest.Set("no-such-directive", "yes")) })
	assert.Contains(t, v.failed, "no-such-directive")
	assert.Contains(t, v.logged, "no-such-directive", "the log of a failed test's server")
}
