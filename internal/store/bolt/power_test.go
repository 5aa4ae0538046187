package bolt_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/bolt/disktest"
)

// TestPowerCut opens what a disk may hold of a file when the power is cut after
// any of the writes to it: what was synced, and some of the rest, a late write
// without those before it among that. What was acknowledged must be there.
func TestPowerCut(t *testing.T) {
	disk := disktest.Mount(t)
	w := newWorld(t, disk.Dir, 0)
	sess := w.create()
	require.NoError(t, w.Close())
	before, err := os.ReadFile(filepath.Join(disk.Under, dataFile))
	require.NoError(t, err)
	disk.Record(dataFile)
	w.open()
	var ended []backend.Key
	rounds := soaktest.Times(3, 6)
	for range rounds {
		sess = w.change(sess)
		disk.Mark()
		gone := w.create()
		disk.Mark()
		w.end(gone)
		disk.Mark()
		ended = append(ended, gone.Key())
	}
	events := disk.Recorded()
	require.NoError(t, w.Close())

	acknowledged, cuts := 0, 0
	durable := []disktest.Event{{Data: before}}
	var pending []disktest.Event
	for _, e := range events {
		switch {
		case e.Mark():
			acknowledged++
		case e.Sync():
			durable, pending = append(durable, pending...), nil
		default:
			pending = append(pending, e)
		}
		for _, some := range remainders(pending) {
			w.o.Dir = directoryOf(t, disktest.Image(slices.Concat(durable, some)))
			s, err := bolt.Open(now, w.o)
			require.NoError(t, err)
			got, err := s.Peek(t.Context(), now, sess.Key())
			require.NoError(t, err)
			require.GreaterOrEqual(t, got.Revision, sess.Revision-int64(rounds)+int64(acknowledged+2)/3)
			for _, key := range ended[:acknowledged/3] {
				_, err := s.Peek(t.Context(), now, key)
				require.ErrorIs(t, err, backend.ErrNotFound)
				require.ErrorIs(t, s.Create(t.Context(), now, sess.WithID(key.ID)), backend.ErrEnded)
			}
			require.NoError(t, s.Close())
			cuts++
		}
	}
	require.Equal(t, 3*rounds, acknowledged)
	require.Greater(t, cuts, 16*rounds)
}

// remainders returns which of the writes that were not synced may be left.
func remainders(pending []disktest.Event) [][]disktest.Event {
	last := len(pending) - 1
	if last < 0 {
		return [][]disktest.Event{nil}
	}
	some := [][]disktest.Event{nil, pending[last:], pending[:last]}
	if size := len(pending[last].Data); size > 512 {
		torn := pending[last]
		torn.Data = torn.Data[:size/2/512*512]
		some = append(some, append(slices.Clone(pending[:last]), torn))
	}
	return some
}

// A small change costs one write and one wait for the disk.
func TestJournal_oneWrite(t *testing.T) {
	disk := disktest.Mount(t)
	w := newWorld(t, disk.Dir, 0)
	sess := w.create()
	require.NoError(t, w.Close())
	disk.Record(dataFile)
	w.open()
	disk.Mark()
	const changes = 10
	for range changes {
		sess = w.change(sess)
	}
	disk.Mark()
	events := disk.Recorded()
	require.NoError(t, w.Close())
	writes, syncs, marks := 0, 0, 0
	for _, e := range events {
		switch {
		case e.Mark():
			marks++
		case marks != 1:
		case e.Sync():
			syncs++
		default:
			writes++
		}
	}
	require.Equal(t, 2, marks)
	require.Equal(t, changes, syncs)
	require.LessOrEqual(t, writes, 2*changes, "the system may divide one that crosses pages")
}
