package cleanup_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/cleanup"
)

const (
	grace = 10 * time.Minute
	ttl   = 48 * time.Hour

	fresh = time.Minute
	old   = time.Hour
	aged  = 49 * time.Hour
)

// fromStore is a store with just what a job asks for. The functions, where they
// are set, answer in its place.
type store struct {
	mu   sync.Mutex
	refs map[string]bool

	sweep   func(ctx context.Context) (int, error)
	files   func(ctx context.Context, yield func(string) error) error
	hasFile func(paths []string) (bool, error)
}

func referring(paths ...string) *store {
	s := &store{refs: map[string]bool{}}
	for _, p := range paths {
		s.refs[p] = true
	}
	return s
}

func (s *store) Sweep(ctx context.Context, _ time.Time) (int, error) {
	if s.sweep != nil {
		return s.sweep(ctx)
	}
	return 0, ctx.Err()
}

func (s *store) Files(ctx context.Context, _ time.Time, yield func(string) error) error {
	if s.files != nil {
		return s.files(ctx, yield)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.refs {
		if err := yield(p); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) HasFile(_ context.Context, _ time.Time, paths ...string) (bool, error) {
	if s.hasFile != nil {
		return s.hasFile(paths)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range paths {
		if s.refs[p] {
			return true, nil
		}
	}
	return false, nil
}

// options are settings for a directory, and for a store whose clock stands
// still.
func options(dir string, s *store) cleanup.Options {
	now := time.Now()
	o := cleanup.Options{
		Dir: dir, Grace: grace, TTL: ttl, Sweeper: s, References: s,
		// The directories of tests hold files before there is a job.
		AllowNonEmpty: true, StoreKind: "fake", Identity: func(context.Context) (string, error) { return "of the tests", nil },
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
	}
	o.AgeByModTime()
	return o
}

func newJob(t testing.TB, dir string, s *store) *cleanup.Job {
	t.Helper()
	return newJobOf(t, options(dir, s))
}

func newJobOf(t testing.TB, o cleanup.Options) *cleanup.Job {
	t.Helper()
	j, err := cleanup.New(o)
	require.NoError(t, err)
	return j
}

// clean is one run that must not fail.
func clean(t testing.TB, dir string, s *store) cleanup.Report {
	t.Helper()
	report, err := newJob(t, dir, s).Run(t.Context(), false)
	require.NoError(t, err)
	return report
}

// write makes a file of the age, with the directories on the way.
func write(t testing.TB, dir, rel string, age time.Duration) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(rel))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("content"), 0o600))
	setAge(t, path, age)
	return path
}

func mkdir(t testing.TB, dir, rel string, age time.Duration) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(rel))
	require.NoError(t, os.MkdirAll(path, 0o755))
	setAge(t, path, age)
	return path
}

func setAge(t testing.TB, path string, age time.Duration) {
	t.Helper()
	at := time.Now().Add(-age)
	require.NoError(t, os.Chtimes(path, at, at))
}

// only returns the report's single entry of the path.
func only(t testing.TB, report cleanup.Report, path string) cleanup.Entry {
	t.Helper()
	var found []cleanup.Entry
	for _, e := range report.Entries {
		if e.Path == path {
			found = append(found, e)
		}
	}
	require.Len(t, found, 1, "entries of %q in %+v", path, report.Entries)
	return found[0]
}
