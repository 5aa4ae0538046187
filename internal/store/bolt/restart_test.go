package bolt_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/memory"
)

// full returns a session with everything that one can have.
func full(t *testing.T) schema.Session {
	t.Helper()
	sections := schema.EmptySections()
	sections.User = &schema.User{ID: "ada \u2603", Email: "ada@example.org", Roles: []string{"admin"}}
	sections.Inputs = jsontext.Value(`{"n":1.0000000000000000001e400,"s":"\u0000\u2603"}`)
	sections.Results = jsontext.Value(`{"analysis":{"files":["a/b","c"]},"report":"r"}`)
	sess, err := new(schema.Rules).Build(schema.Session{
		Namespace: "shop", ID: "0b7d9c1e-37f5-4c5f-8a51-3f1f2f4a9c11", Revision: 7,
		CreatedAt: now.Add(-time.Hour), UpdatedAt: now.Add(-time.Minute), ExpiresAt: now.Add(1234567 * time.Millisecond),
		TTL: 1234567 * time.Millisecond, OwnTTL: 7654321 * time.Millisecond,
	}, sections)
	require.NoError(t, err)
	return sess
}

func TestRestart(t *testing.T) {
	for name, interval := range map[string]time.Duration{"always": 0, "interval": time.Hour} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			w := newWorld(t, filepath.Join(t.TempDir(), "made"), interval)
			sess := full(t)
			require.NoError(t, w.Create(ctx, now, sess))
			old := w.create()
			next := old.WithID(schema.NewID())
			require.NoError(t, w.Regenerate(ctx, now, old, next, now.Add(time.Minute)))
			delete(w.held, old.Key())
			w.held[next.Key()] = next
			w.end(w.create())
			brief := template(t).WithID(schema.NewID())
			brief.ExpiresAt = now.Add(time.Second)
			require.NoError(t, w.Create(ctx, now, brief))
			touched, err := w.Touch(ctx, now.Add(10*time.Second), next.Key(), now.Add(time.Hour+10*time.Second))
			require.NoError(t, err)
			w.held[next.Key()] = touched

			w.reopen()
			got, err := w.Get(ctx, now, sess.Key())
			require.NoError(t, err)
			assert.Equal(t, sess, got)
			assert.Equal(t, sess.ETag(), got.ETag())
			require.NoError(t, w.Delete(ctx, now, sess.Key(), 7))
			w.ended = append(w.ended, sess.Key())
			led, err := w.Get(ctx, now.Add(time.Minute-time.Millisecond), old.Key())
			require.NoError(t, err)
			assert.Equal(t, next.ID, led.ID)
			_, err = w.Get(ctx, now.Add(time.Minute), old.Key())
			require.ErrorIs(t, err, backend.ErrNotFound)
			require.ErrorIs(t, w.Create(ctx, now, old), backend.ErrEnded, "its id was given up")
			_, err = w.Get(ctx, now.Add(time.Second-time.Millisecond), brief.Key())
			require.NoError(t, err)

			require.NoError(t, w.Close())
			later := now.Add(time.Hour)
			s, err := bolt.Open(later, w.o)
			require.NoError(t, err)
			st, err := s.Stats(ctx, later)
			require.NoError(t, err)
			assert.EqualValues(t, 1, st.Entries, "what has expired is not loaded")
			_, err = s.Get(ctx, later, next.Key())
			require.NoError(t, err, "what was touched has not")
			require.ErrorIs(t, s.Create(ctx, later, brief), backend.ErrLapsed, "it expired while nobody was there")
			require.NoError(t, s.Create(ctx, later.Add(time.Second), brief), "after the window, its id is free")
			require.NoError(t, s.Create(ctx, later, old), "and so is one that was ended long ago")
			require.NoError(t, s.Close())
			report, err := bolt.Check(later, w.dir)
			require.NoError(t, err)
			assert.Equal(t, filepath.Join(w.dir, "sessions.db"), report.Path)
			info, err := os.Stat(report.Path)
			require.NoError(t, err)
			assert.Equal(t, info.Size(), report.Bytes)
			assert.EqualValues(t, 0o600, info.Mode().Perm())
		})
	}
}

// A grace ends with its successor, whatever takes the successor's id later.
func TestRestart_endedGraces(t *testing.T) {
	ctx := t.Context()
	for name, act := range map[string]func(w *world, old, next schema.Session){
		"expired": func(w *world, _, next schema.Session) {
			_, err := w.Sweep(ctx, now.Add(2*time.Hour))
			require.NoError(t, err)
			w.create() // by when that is written
			require.NoError(t, w.Create(ctx, now, next))
		},
		"expired, and not noticed": func(w *world, _, next schema.Session) {
			next.ExpiresAt = now.Add(3 * time.Hour)
			require.NoError(t, w.Create(ctx, now.Add(2*time.Hour), next))
		},
		"deleted": func(w *world, _, next schema.Session) {
			require.NoError(t, w.Delete(ctx, now, next.Key(), 0))
			require.NoError(t, w.Create(ctx, now, next, backend.Revive))
		},
		"regenerated": func(w *world, _, next schema.Session) {
			third := next.WithID(schema.NewID())
			require.NoError(t, w.Regenerate(ctx, now, next, third, now))
			require.NoError(t, w.Create(ctx, now, next, backend.Revive))
		},
		"its id is taken": func(w *world, old, _ schema.Session) {
			require.NoError(t, w.Create(ctx, now, old, backend.Revive))
			require.NoError(t, w.Delete(ctx, now, old.Key(), 0))
		},
	} {
		for _, interval := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprint(name, ", interval ", interval), func(t *testing.T) {
				w := newWorld(t, scratch(t), interval)
				old := w.create()
				next := old.WithID(schema.NewID())
				require.NoError(t, w.Regenerate(ctx, now, old, next, now.Add(5*time.Hour)))
				act(w, old, next)
				_, err := w.Get(ctx, now, old.Key())
				require.ErrorIs(t, err, backend.ErrNotFound)
				w.reopen()
				_, err = w.Get(ctx, now, old.Key())
				require.ErrorIs(t, err, backend.ErrNotFound)
				require.NoError(t, w.Close())
			})
		}
	}
}

func TestOpen_oneProcess(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	w.create()
	_, err := bolt.Open(now, w.o)
	require.ErrorIs(t, err, bolt.ErrInUse)
	assert.ErrorContains(t, err, "another process uses it")
	_, err = bolt.Check(now, w.dir)
	require.ErrorIs(t, err, bolt.ErrInUse)
	_, err = bolt.MoveAside(now, w.dir)
	require.ErrorIs(t, err, bolt.ErrInUse)
	w.requireKept()
	require.NoError(t, w.Close())
}

func TestOpen_directory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := bolt.Open(now, bolt.Options{CommitTimeout: patience, Dir: file})
	require.ErrorContains(t, err, file)
	_, err = bolt.Check(now, filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// newLog returns what the world's store logs from now on.
func newLog(w *world) *bytes.Buffer {
	log := new(bytes.Buffer)
	w.o.Logger = slog.New(slog.NewTextHandler(log, nil))
	return log
}

func overLimit(t *testing.T, w *world) bool {
	t.Helper()
	st, err := w.Stats(t.Context(), now)
	require.NoError(t, err)
	return st.OverLimit
}

func TestOpen_limits(t *testing.T) {
	ctx := t.Context()
	const sessions = 40
	fillUp := func(t *testing.T) (*world, []schema.Session) {
		t.Helper()
		w := newWorld(t, t.TempDir(), 0)
		all := make([]schema.Session, sessions)
		for i := range all {
			sess := template(t).WithID(schema.NewID())
			sess.CreatedAt = now.Add(-time.Duration(i) * time.Minute) // the first is the youngest
			sess.UpdatedAt = now.Add(time.Duration(i) * time.Minute)  // and was used longest ago
			sess.ExpiresAt = now.Add(2*time.Hour + time.Duration(i)*time.Minute)
			sess.TTL = 2 * time.Hour
			require.NoError(t, w.Create(ctx, now, sess))
			all[i] = sess
		}
		require.NoError(t, w.Close())
		return w, all
	}
	kept := func(t *testing.T, s *bolt.Store, all []schema.Session) (first, n int) {
		t.Helper()
		first = -1
		for i := range all {
			if _, err := s.Peek(ctx, now, all[i].Key()); err == nil {
				if n++; first < 0 {
					first = i
				}
			}
		}
		return first, n
	}

	// lowered opens the store with room for half of what it holds.
	lowered := func(t *testing.T, w *world, policy memory.Policy, bytes bool) (log *bytes.Buffer) {
		t.Helper()
		log = newLog(w)
		w.o.Memory.MaxEntries, w.o.Memory.Policy = sessions/2, policy
		if bytes {
			w.open()
			st, err := w.Stats(ctx, now)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			log.Reset()
			w.o.Memory.MaxEntries, w.o.Memory.MaxBytes = 0, st.Bytes/2
		}
		w.open()
		return log
	}
	for _, bytes := range []bool{false, true} {
		of := "entries"
		if bytes {
			of = "bytes"
		}
		for _, policy := range []memory.Policy{memory.LRU, memory.TTL} {
			t.Run("lower ones evict as new ones come, by "+string(policy)+" and "+of, func(t *testing.T) {
				w, all := fillUp(t)
				log := lowered(t, w, policy, bytes)
				_, n := kept(t, w.Store, all)
				assert.Equal(t, sessions, n, "a start drops none")
				assert.Contains(t, log.String(), "sessions="+strconv.Itoa(sessions))
				for i := range sessions / 2 {
					require.True(t, overLimit(t, w), "after %d new ones", i)
					fresh := template(t).WithID(schema.NewID())
					fresh.ExpiresAt = now.Add(24 * time.Hour)
					require.NoError(t, w.Create(ctx, now, fresh))
				}
				assert.False(t, overLimit(t, w))
				first, n := kept(t, w.Store, all)
				assert.Zero(t, n, "two for each new one")
				assert.Equal(t, -1, first)
				require.NoError(t, w.Close())
			})
		}

		t.Run("lower ones refuse new ones where none may be evicted, by "+of, func(t *testing.T) {
			w, all := fillUp(t)
			log := lowered(t, w, memory.None, bytes)
			assert.Contains(t, log.String(), "no new session is taken")
			for i := range sessions / 2 {
				require.True(t, overLimit(t, w))
				require.ErrorIs(t, w.Create(ctx, now, template(t).WithID(schema.NewID())), backend.ErrFull)
				got, err := w.Touch(ctx, now, all[i].Key(), now.Add(2*time.Hour))
				require.NoError(t, err)
				next := got
				next.Revision++
				_, err = w.Swap(ctx, now, got, next)
				require.NoError(t, err)
				renewed := next.WithID(schema.NewID())
				require.NoError(t, w.Regenerate(ctx, now, next, renewed, now))
				require.NoError(t, w.Delete(ctx, now, renewed.Key(), 0))
			}
			assert.False(t, overLimit(t, w))
			_, n := kept(t, w.Store, all)
			assert.Equal(t, sessions/2, n)
			require.NoError(t, w.Delete(ctx, now, all[sessions-1].Key(), 0))
			require.NoError(t, w.Create(ctx, now, template(t).WithID(schema.NewID())))
			w.reopen()
			_, n = kept(t, w.Store, all)
			assert.Equal(t, sessions/2-1, n)
			require.NoError(t, w.Close())
		})
	}

	t.Run("the order of uses stays", func(t *testing.T) {
		w, all := fillUp(t)
		w.o.Memory.MaxEntries = sessions
		w.open()
		for range sessions / 4 {
			require.NoError(t, w.Create(ctx, now, template(t).WithID(schema.NewID())))
		}
		first, n := kept(t, w.Store, all)
		assert.Equal(t, sessions/4, first)
		assert.Equal(t, sessions*3/4, n)
		require.NoError(t, w.Close())
	})

	t.Run("where none may be evicted", func(t *testing.T) {
		w, all := fillUp(t)
		w.o.Memory.MaxEntries, w.o.Memory.Policy = sessions, memory.None
		w.open()
		_, n := kept(t, w.Store, all)
		assert.Equal(t, sessions, n)
		require.ErrorIs(t, w.Create(ctx, now, template(t).WithID(schema.NewID())), backend.ErrFull)
		require.NoError(t, w.Close())
	})
}

// TestLogIsCollected changes sessions so often that the log would not stay
// small by itself, with all that can be in it.
func TestLogIsCollected(t *testing.T) {
	for name, interval := range map[string]time.Duration{"always": 0, "interval": 20 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			w := newWorld(t, scratch(t), interval)
			old := w.create()
			next := old.WithID(schema.NewID())
			require.NoError(t, w.Regenerate(ctx, now, old, next, now.Add(time.Hour)))
			delete(w.held, old.Key())
			w.held[next.Key()] = next
			w.end(w.create())
			const size, changes = 200_000, 4 * bolt.MaxSpare / 200_000
			sections := schema.EmptySections()
			sections.Inputs = jsontext.Value(`{"spec":"` + strings.Repeat("x", size) + `"}`)
			sess, err := new(schema.Rules).Build(template(t), sections)
			require.NoError(t, err)
			require.NoError(t, w.Create(ctx, now, sess))
			w.held[sess.Key()] = sess
			for i := range changes {
				sess = w.change(sess)
				if i%50 == 0 {
					w.create()
				}
				if i == changes/2 {
					_, err := w.Sweep(ctx, now)
					require.NoError(t, err)
				}
			}
			w.requireKept()
			led, err := w.Get(ctx, now, old.Key())
			require.NoError(t, err)
			assert.Equal(t, next.ID, led.ID)
			require.NoError(t, w.Close())
			report, err := bolt.Check(now, w.dir)
			require.NoError(t, err)
			assert.Less(t, report.Bytes, int64(5*bolt.MaxSpare/2), "four times as much as may be dead was written")
			assert.Equal(t, 1, report.Graces)
			assert.Equal(t, 2, report.Tombstones)
			assert.Equal(t, len(w.held), report.Sessions)
		})
	}
}

// TestCompaction lets nearly all that a large file holds expire.
func TestCompaction(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, scratch(t), time.Hour)
	sections := schema.EmptySections()
	sections.Inputs = jsontext.Value(`{"spec":"` + strings.Repeat("x", mib) + `"}`)
	large, err := new(schema.Rules).Build(template(t), sections)
	require.NoError(t, err)
	for range 3 * bolt.MaxSpare / mib {
		large = large.WithID(schema.NewID())
		large.ExpiresAt = now.Add(time.Minute)
		require.NoError(t, w.Create(ctx, now, large))
	}
	require.NoError(t, w.Close())
	before, err := bolt.Check(now, w.dir)
	require.NoError(t, err)
	require.Greater(t, before.Bytes, int64(3*bolt.MaxSpare))

	now := now.Add(2 * time.Minute)
	s, err := bolt.Open(now, w.o)
	require.NoError(t, err)
	stays := template(t)
	require.NoError(t, s.Create(ctx, now, stays))
	for began, quiet := time.Now(), 500*time.Millisecond; ; quiet *= 2 { // what does not count is collected while nothing happens
		require.NoError(t, s.Close())
		info, err := os.Stat(before.Path)
		require.NoError(t, err)
		if info.Size() < 5*bolt.MaxSpare/4 {
			break
		}
		require.Less(t, time.Since(began), patience, "it stays large: %d bytes", info.Size())
		s, err = bolt.Open(now, w.o)
		require.NoError(t, err)
		s.LookAtClocks(now.Add(5*time.Minute), 5*time.Minute)
		<-time.After(quiet) // in which it has the time
	}
	s, err = bolt.Open(now, w.o)
	require.NoError(t, err)
	_, err = s.Get(ctx, now, stays.Key())
	require.NoError(t, err)
	require.NoError(t, s.Close())
}
