package bolt_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
)

// While nothing can be written, the store says so; it is not ready once that has
// lasted.
func TestFile_unready(t *testing.T) {
	disk, w := newDiskWorld(t, 0)
	require.NoError(t, w.Close())
	w.o.UnreadyAfter = time.Second
	w.open()
	sess := w.create()
	st := w.File()
	assert.True(t, st.Writable)
	assert.Equal(t, "writable", st.State)
	assert.Positive(t, st.Bytes)
	assert.Positive(t, st.LiveBytes)
	assert.Positive(t, st.VolumeFreeBytes)
	assert.Positive(t, st.Commits)
	assert.Zero(t, st.CommitFailures)
	require.NoError(t, w.Ping(t.Context()))

	failed := time.Now()
	disk.FailWrites(syscall.EIO)
	w.untilFails()
	if err := w.Ping(t.Context()); time.Since(failed) < w.o.UnreadyAfter {
		require.NoError(t, err, "it may pass")
	}
	st = w.File()
	assert.False(t, st.Writable)
	assert.Contains(t, st.State, "cannot be written")
	assert.Positive(t, st.CommitFailures)
	for w.Ping(t.Context()) == nil {
		require.Less(t, time.Since(failed), patience)
		pause()
	}
	require.ErrorIs(t, w.Ping(t.Context()), backend.ErrUnavailable)
	w.requireReadOnly(sess)
	disk.FailWrites(0)
	w.heals()
	require.NoError(t, w.Ping(t.Context()))
	assert.True(t, w.File().Writable)
	w.requireKept()
	require.NoError(t, w.Close())
}

// A disk that takes half a second for each of its flushes refuses nothing once it
// is known for that, and with an interval nothing at all.
func TestSlowDisk_isWaitedFor(t *testing.T) {
	for _, interval := range []time.Duration{0, 50 * time.Millisecond} {
		t.Run(interval.String(), func(t *testing.T) {
			t.Parallel()
			disk, w := newDiskWorld(t, interval)
			w.useCommitTimeout(bolt.DefaultCommitTimeout)
			disk.SlowSyncs(500 * time.Millisecond)
			refused, made := 0, 0
			for began := time.Now(); made < soaktest.Times(5, 20); {
				require.Less(t, time.Since(began), patience)
				sess := template(t).WithID(schema.NewID())
				if err := w.Create(t.Context(), now, sess); err != nil {
					require.ErrorIs(t, err, backend.ErrReadOnly)
					refused++
					pause()
					continue
				}
				made++
				w.held[sess.Key()] = sess
			}
			if interval > 0 {
				assert.Zero(t, refused)
			}
			if soaktest.Long() { // on a busy machine, the disk is slower than it says
				assert.LessOrEqual(t, refused, 60, "while the first transaction was on its way")
			}
			disk.SlowSyncs(0)
			w.settleUnknown()
			w.requireKept()
			require.NoError(t, w.Close())
		})
	}
}
