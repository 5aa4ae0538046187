package bolt_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/bolt/disktest"
)

// log is what a store has logged, from any goroutine.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// logged returns a world that logs to what is returned.
func logged(t *testing.T, dir string) (*world, *log) {
	t.Helper()
	w := newWorld(t, dir, 0)
	l := new(log)
	require.NoError(t, w.Close())
	w.o.Logger = slog.New(slog.NewTextHandler(l, nil))
	w.open()
	return w, l
}

// What happens to a file while it is in use is noticed, and what is acknowledged is
// in the file that the next start reads: of what was acknowledged before that and
// after it.
func TestCustody(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, w *world, backup []byte){
		"the file is removed": func(t *testing.T, w *world, _ []byte) {
			t.Helper()
			require.NoError(t, os.Remove(filepath.Join(w.dir, dataFile)))
		},
		"another is renamed over it": func(t *testing.T, w *world, backup []byte) {
			t.Helper()
			other := filepath.Join(w.dir, "other")
			require.NoError(t, os.WriteFile(other, backup, 0o600))
			require.NoError(t, os.Rename(other, filepath.Join(w.dir, dataFile)))
		},
		"the directory is moved": func(t *testing.T, w *world, _ []byte) {
			t.Helper()
			require.NoError(t, os.Rename(w.dir, w.dir+".moved"))
		},
		"the directory is removed": func(t *testing.T, w *world, _ []byte) {
			t.Helper()
			require.NoError(t, os.RemoveAll(w.dir))
		},
		"an old copy is written over it": func(t *testing.T, w *world, backup []byte) {
			t.Helper()
			overwrite(t, filepath.Join(w.dir, dataFile), backup)
		},
		"it is cut off": func(t *testing.T, w *world, _ []byte) {
			t.Helper()
			require.NoError(t, os.Truncate(filepath.Join(w.dir, dataFile), 0))
		},
		"something else is written over it": func(t *testing.T, w *world, backup []byte) {
			t.Helper()
			overwrite(t, filepath.Join(w.dir, dataFile), bytes.Repeat([]byte("x"), len(backup)))
		},
		"a page is damaged": func(t *testing.T, w *world, backup []byte) {
			t.Helper()
			path := filepath.Join(w.dir, dataFile)
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			at := bytes.Index(b, []byte("xxxxxxxx"))
			require.Positive(t, at)
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.WriteAt(bytes.Repeat([]byte{0xff}, int(pageSize())), int64(at)/pageSize()*pageSize())
			require.NoError(t, err)
			require.NoError(t, f.Close())
		},
	} {
		for _, then := range []string{"written", "closed", "idle"} {
			t.Run(name+", then "+then, func(t *testing.T) {
				t.Parallel()
				w, l := logged(t, filepath.Join(scratch(t), "data"))
				w.fill(50)
				backup, err := os.ReadFile(filepath.Join(w.dir, dataFile))
				require.NoError(t, err)
				gone := w.create()
				w.end(gone)
				w.fill(50)
				harm(t, w, backup)
				switch then {
				case "written":
					eventually(t, "a change", func() error {
						sess := template(t).WithID(schema.NewID())
						err := w.Create(t.Context(), now, sess)
						if err == nil {
							w.held[sess.Key()] = sess
						}
						return err
					})
					w.end(w.create())
				case "idle": // and killed, so to say
					for began := time.Now(); !strings.Contains(l.String(), "was written anew"); pause() {
						require.Less(t, time.Since(began), patience, "it is not noticed: %s", l)
					}
				}
				w.requireAll()
				require.NoError(t, w.Close())
				assert.Contains(t, l.String(), "level=ERROR", "an operator is told")
				_, err = bolt.Check(now, w.dir)
				require.NoError(t, err)
				w.open()
				w.requireAll()
				require.NoError(t, w.Close())
			})
		}
	}
}

// overwrite is what cp does.
func overwrite(t *testing.T, path string, content []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	require.NoError(t, err)
	_, err = f.Write(content)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// What was found in the place of the file is kept: it may be the only copy.
func TestCustody_keepsWhatItFinds(t *testing.T) {
	w, _ := logged(t, scratch(t))
	w.create()
	path := filepath.Join(w.dir, dataFile)
	require.NoError(t, os.WriteFile(path+".other", []byte("somebody's"), 0o600))
	require.NoError(t, os.Rename(path+".other", path))
	eventually(t, "a change", func() error { return w.Create(t.Context(), now, template(t).WithID(schema.NewID())) })
	require.NoError(t, w.Close())
	found, err := os.ReadFile(path + ".found")
	require.NoError(t, err)
	assert.Equal(t, "somebody's", string(found))
}

// A file that is written anew has the mode that the old one had.
func TestCustody_mode(t *testing.T) {
	w, _ := logged(t, scratch(t))
	path := filepath.Join(w.dir, dataFile)
	require.NoError(t, w.Close())
	require.NoError(t, os.Chmod(path, 0o640))
	require.NoError(t, os.Chown(path, 1234, 1234))
	w.open()
	require.NoError(t, os.Truncate(path, 0))
	eventually(t, "a change", func() error { return w.Create(t.Context(), now, template(t).WithID(schema.NewID())) })
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	require.NoError(t, w.Close())
}

// A second process that comes by a way where locks do not reach, as on a shared
// file system, has the file from then on. The first one notices before it
// acknowledges anything more, and says so.
func TestCustody_twoProcesses(t *testing.T) {
	disk := disktest.Mount(t)
	first, l := logged(t, disk.Dir)
	sess := first.create()
	other := first.o
	other.Dir = disktest.MountAgain(t, disk)
	second, err := bolt.Open(now, other)
	require.NoError(t, err)
	require.NoError(t, second.Create(t.Context(), now, template(t).WithID(schema.NewID())))

	err = first.Create(t.Context(), now, template(t).WithID(schema.NewID()))
	require.ErrorIs(t, err, backend.ErrReadOnly)
	first.requireReadOnly(sess)
	require.ErrorIs(t, first.Ping(t.Context()), backend.ErrUnavailable)
	assert.False(t, first.File().Writable)
	assert.Contains(t, first.File().State, "another process")
	assert.Contains(t, l.String(), "level=ERROR")
	assert.Contains(t, l.String(), "FUSE", "the file system was named at the start")

	for range 10 {
		require.NoError(t, second.Create(t.Context(), now, template(t).WithID(schema.NewID())))
	}
	assert.Error(t, first.Close())
	require.NoError(t, second.Close())
	report, err := bolt.Check(now, disk.Under)
	require.NoError(t, err)
	assert.Equal(t, 12, report.Sessions)
}
