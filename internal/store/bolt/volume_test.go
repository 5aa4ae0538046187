package bolt_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/bolt/disktest"
	"session-api/internal/store/memory"
)

const mib = 1 << 20

// volumes are those that the tests fill, of 16 MB.
var volumes = map[string]func(t testing.TB) string{
	"ext4":  func(t testing.TB) string { t.Helper(); return disktest.Ext4(t, 16*mib) },
	"tmpfs": func(t testing.TB) string { t.Helper(); return disktest.Tmpfs(t, "16m") },
}

// fillVolume takes all that is left of a volume, and returns what gives it back.
func fillVolume(t *testing.T, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	require.NoError(t, err)
	for size := 1 << 20; size >= 512; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	return func() { require.NoError(t, os.Remove(name)) }
}

// eventually calls until it succeeds.
func eventually(t *testing.T, what string, do func() error) {
	t.Helper()
	for began := time.Now(); ; pause() {
		err := do()
		if err == nil {
			return
		}
		require.ErrorIs(t, err, backend.ErrReadOnly, what)
		require.Less(t, time.Since(began), patience, what)
	}
}

func sizeOf(t *testing.T, dir string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, dataFile))
	require.NoError(t, err)
	return info.Size()
}

// Sessions that come and go never fill a volume that has room for a few times what
// is live.
func TestVolume_sessionsComeAndGo(t *testing.T) {
	const live, most = 1500, 20_000
	all := soaktest.Times(most/2, most)
	for name, mount := range volumes {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(mount(t), "data")
			w := newWorld(t, dir, 0)
			// Transactions are shared: what is tried is the room, not the disk's pace.
			var kept []schema.Session
			for made := 0; made < all; {
				batch := fill(t, w, 500)
				made += len(batch)
				require.False(t, t.Failed(), "after %d sessions", made)
				if kept = append(kept, batch...); len(kept) < live {
					continue
				}
				endAll(t, w, kept[:500])
				kept = kept[500:]
			}
			assert.Less(t, sizeOf(t, dir), int64(2*(live*1500+most*150)+mib), "tombstones are live as well")
			w.reopen()
			st, err := w.Stats(t.Context(), now)
			require.NoError(t, err)
			assert.EqualValues(t, len(kept), st.Entries)
			require.NoError(t, w.Close())
		})
	}
}

// On a full volume, sessions can end and get new ids, and that brings everything
// else back. Reads go on, and nothing that was acknowledged is lost.
func TestVolume_full(t *testing.T) {
	for name, mount := range volumes {
		for _, interval := range []time.Duration{0, 50 * time.Millisecond} {
			t.Run(name+", interval "+interval.String(), func(t *testing.T) {
				dir := mount(t)
				w := newWorld(t, filepath.Join(dir, "data"), interval)
				sess := w.change(w.create())
				w.fill(400)
				<-time.After(4 * interval) // until they are on the disk
				free := fillVolume(t, dir)
				w.untilFull()
				eventually(t, "a session ends", func() error {
					gone := w.anyBut(sess)
					err := w.Delete(t.Context(), now, gone.Key(), 0)
					if err == nil {
						delete(w.held, gone.Key())
						w.ended = append(w.ended, gone.Key())
					}
					return err
				})
				for n := range 300 {
					w.end(w.anyBut(sess))
					if n%10 == 0 {
						old := w.anyBut(sess)
						next := old.WithID(schema.NewID())
						require.NoError(t, w.Regenerate(t.Context(), now, old, next, now))
						delete(w.held, old.Key())
						w.ended = append(w.ended, old.Key())
						w.held[next.Key()] = next
					}
				}
				for began := time.Now(); ; pause() { // what was acknowledged before comes first
					next := template(t).WithID(schema.NewID())
					if err := w.Create(t.Context(), now, next); err == nil {
						w.held[next.Key()] = next
						break
					}
					require.Less(t, time.Since(began), patience, "it does not heal")
					if len(w.held) > 100 {
						w.end(w.anyBut(sess))
					}
				}
				free() // what follows creates
				w.settleUnknown()
				w.requireKept()
				require.NoError(t, w.Close())
			})
		}
	}
}

// anyBut returns a session that is held.
func (w *world) anyBut(spare schema.Session) schema.Session {
	w.t.Helper()
	for key, sess := range w.held {
		if key != spare.Key() {
			return sess
		}
	}
	w.t.Fatal("there is none left")
	return schema.Session{}
}

// untilFull creates sessions until that fails.
func (w *world) untilFull() {
	w.t.Helper()
	for began := time.Now(); ; {
		sess := template(w.t).WithID(schema.NewID())
		if err := w.Create(w.t.Context(), now, sess); err != nil {
			require.ErrorIs(w.t, err, backend.ErrReadOnly)
			return
		}
		w.held[sess.Key()] = sess
		if w.o.Interval > 0 { // what was acknowledged and is not written has to go, too
			<-time.After(w.o.Interval / 20)
		}
		require.Less(w.t, time.Since(began), patience, "it is never full")
	}
}

// What expires makes room, too, as does what others delete.
func TestVolume_fullAndBack(t *testing.T) {
	for _, how := range []string{"sessions expire", "others make room", "it is closed meanwhile", "it was full at the start"} {
		t.Run(how, func(t *testing.T) {
			mount := volumes["ext4"](t)
			dir := filepath.Join(mount, "data")
			w := newWorld(t, dir, 0)
			w.fill(500)
			free := fillVolume(t, mount)
			w.untilFull()
			now := now
			switch how {
			case "sessions expire":
				now = now.Add(2 * time.Hour)
				_, err := w.Sweep(t.Context(), now)
				require.NoError(t, err)
				clear(w.held)
			case "others make room":
				free()
			case "it is closed meanwhile":
				require.NoError(t, w.Close(), "nothing that was acknowledged is lost")
				free()
				w.open()
			default:
				require.NoError(t, w.Close())
				w.open()
				w.end(w.anyBut(schema.Session{}))
				for range 150 {
					w.end(w.anyBut(schema.Session{}))
				}
			}
			eventually(t, "it heals", func() error {
				sess := template(t).WithID(schema.NewID())
				sess.ExpiresAt = now.Add(time.Hour)
				err := w.Create(t.Context(), now, sess)
				if err == nil {
					w.held[sess.Key()] = sess
				}
				return err
			})
			require.NoError(t, w.Close())
			s, err := bolt.Open(now, w.o)
			require.NoError(t, err)
			st, err := s.Stats(t.Context(), now)
			require.NoError(t, err)
			assert.EqualValues(t, len(w.held), st.Entries)
			require.NoError(t, s.Close())
		})
	}
}

// A start counts what is dead in the file, and gives the room back.
func TestVolume_startWithDeadRecords(t *testing.T) {
	mount := volumes["ext4"](t)
	o := bolt.Options{CommitTimeout: patience, Dir: filepath.Join(mount, "data"), Memory: memory.Options{MaxEntries: 100_000}}
	s, err := bolt.Open(now, o)
	require.NoError(t, err)
	fill(t, s, 3000)
	require.NoError(t, s.Close())
	before := sizeOf(t, o.Dir)
	later := now.Add(2 * time.Hour)
	s, err = bolt.Open(later, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	s.LookAtClocks(later.Add(5*time.Minute), 5*time.Minute) // the clock is right: they are dead
	for began := time.Now(); sizeOf(t, o.Dir) > before/2; pause() {
		require.Less(t, time.Since(began), patience, "the file stays as large as it was")
	}
	require.NoError(t, s.Close())
}

// A file that is nearly as large as it may be is made smaller when nothing else is to
// be done.
func TestVolume_quiet(t *testing.T) {
	o := bolt.Options{CommitTimeout: patience, Dir: filepath.Join(disktest.Tmpfs(t, "16m"), "data"), Memory: memory.Options{MaxEntries: 100_000}}
	s, err := bolt.Open(now, o)
	require.NoError(t, err)
	sessions := fill(t, s, 2000)
	for n := range 2750 { // more than is right for a quiet file, and less than for one that is written
		sess := &sessions[n%len(sessions)]
		*sess, err = s.Swap(t.Context(), now, *sess, changed(*sess))
		require.NoError(t, err)
	}
	before := sizeOf(t, o.Dir)
	for began := time.Now(); sizeOf(t, o.Dir) > before*3/4; pause() {
		require.Less(t, time.Since(began), patience, "the file stays as large as it was: %+v", s.File())
	}
	require.NoError(t, s.Close())
}

// endAll ends sessions, many at once.
func endAll(t *testing.T, s backend.Store, sessions []schema.Session) {
	t.Helper()
	const writers = 100
	done := make(chan error, writers)
	for n := range writers {
		go func() {
			var err error
			for i := n; i < len(sessions) && err == nil; i += writers {
				err = s.Delete(t.Context(), now, sessions[i].Key(), 0)
			}
			done <- err
		}()
	}
	for range writers {
		require.NoError(t, <-done)
	}
}
