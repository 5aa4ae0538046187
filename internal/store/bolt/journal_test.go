package bolt

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// frameOf returns a frame of entries with the numbers from first on.
func frameOf(owner ownerID, first uint64, entries int) []byte {
	var records [][]byte
	for n := range entries {
		record := appendEnded(nil, backend.Key{Namespace: "default", ID: "an-id-that-is-long-enough"}, 0)
		records = append(records, seal(record, 0, appendNumber(nil, first+uint64(n))))
	}
	return appendFrame(nil, owner, first, records)
}

func parsed(area []byte, owner ownerID, last uint64) (numbers []uint64, err error) {
	_, err = parseJournal(area, owner, last, func(n uint64, record []byte, off int) error {
		numbers = append(numbers, n)
		_, err := openEntry(appendNumber(nil, n), record)
		if err == nil && !bytes.Equal(record, area[off:off+len(record)]) {
			err = errContent
		}
		return err
	})
	return numbers, err
}

func TestParseJournal(t *testing.T) {
	owner, other := newOwnerID(), newOwnerID()
	frames := [][]byte{frameOf(owner, 11, 1), frameOf(owner, 12, 3), frameOf(owner, 15, 2)}
	area := append(bytes.Join(frames, nil), make([]byte, 500)...)
	all := []uint64{11, 12, 13, 14, 15, 16}

	got, err := parsed(area, owner, 10)
	require.NoError(t, err)
	assert.Equal(t, all, got)
	for _, last := range []uint64{11, 14, 16, 100} {
		got, err := parsed(area, owner, last)
		require.NoError(t, err)
		assert.Empty(t, got, "the log has these, up to %d", last)
	}
	got, err = parsed(area, other, 10)
	require.NoError(t, err)
	assert.Empty(t, got, "another process wrote them before this one took the file")
	_, err = parsed(area, owner, 8)
	require.ErrorIs(t, err, ErrDamaged, "the log lacks 9 and 10")
	got, err = parsed(nil, owner, 0)
	require.NoError(t, err)
	assert.Empty(t, got)

	t.Run("a write that did not finish", func(t *testing.T) {
		before := len(frames[0]) + len(frames[1])
		for cut := range len(frames[2]) {
			torn := bytes.Clone(area)
			clear(torn[before+cut : before+len(frames[2])])
			got, err := parsed(torn, owner, 10)
			require.NoError(t, err)
			if !bytes.Equal(torn, area) {
				require.Equal(t, all[:4], got, "as a whole or not at all")
			}
		}
	})
	t.Run("a bit that changed before the last frame", func(t *testing.T) {
		for at := range len(frames[0]) + len(frames[1]) {
			harmed := bytes.Clone(area)
			harmed[at] ^= 1
			_, err := parsed(harmed, owner, 10)
			require.ErrorIs(t, err, ErrDamaged, at)
		}
	})
	t.Run("a frame after zeros, of which one before is lost", func(t *testing.T) {
		for n := range 2 * len(zeros) {
			alone := slices.Concat(make([]byte, n+1), frames[1], make([]byte, 500))
			_, err := parsed(alone, owner, 10)
			require.ErrorIs(t, err, ErrDamaged, "%d bytes before it", n+1)
		}
	})
	t.Run("a part that was written over what is stale", func(t *testing.T) {
		again := bytes.Clone(area)
		copy(again, frameOf(owner, 17, 1))
		got, err := parsed(again, owner, 16)
		require.NoError(t, err)
		assert.Equal(t, []uint64{17}, got)
	})
}

func FuzzParseJournal(f *testing.F) {
	owner := ownerID{1}
	f.Add([]byte{}, uint64(0))
	f.Add(append(frameOf(owner, 2, 2), frameOf(owner, 4, 1)...), uint64(1))
	f.Fuzz(func(t *testing.T, area []byte, last uint64) {
		got, err := parsed(area, owner, last)
		if err == nil {
			for i, n := range got {
				require.Equal(t, last+1+uint64(i), n)
			}
		}
	})
}

// crashed returns a directory with the data file as it is now.
func crashed(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, dataName))
	require.NoError(t, err)
	to := inMemory(t)
	require.NoError(t, os.WriteFile(filepath.Join(to, dataName), b, 0o600))
	return to
}

// What the journal holds is there after a crash, before and after it was moved to the
// log: each kind of record, and what reads the file without a service.
func TestJournal_crash(t *testing.T) {
	dir := inMemory(t)
	s := opened(t, dir)
	s.within(t, func() {
		require.Positive(t, s.committer.journal.size)
		s.committer.journal.size = 16 << 10 // which is full sooner
	})
	var live, ended []schema.Session
	moved, held := false, 0
	for n := range 100 {
		sess := s.created(t)
		switch n % 4 {
		case 0:
			require.NoError(t, s.Delete(t.Context(), midnight, sess.Key(), 0))
			ended = append(ended, sess)
		case 1:
			next := sess.WithID(schema.NewID())
			require.NoError(t, s.Regenerate(t.Context(), midnight, sess, next, midnight.Add(time.Minute)))
			live = append(live, next)
		default:
			live = append(live, sess)
		}
		now := 0
		s.within(t, func() { now = len(s.committer.journal.records) })
		moved, held = moved || now < held, now
		if n%23 > 0 {
			continue
		}
		to := crashed(t, dir)
		report, err := Check(midnight, to)
		require.NoError(t, err)
		require.Equal(t, len(live), report.Sessions)
		require.Equal(t, n/4+1, report.Tombstones-report.Graces)
		saved := 0
		found, err := Salvage(midnight, to, Sink{Session: func(schema.Session) error { saved++; return nil }})
		require.NoError(t, err)
		require.Equal(t, len(live), saved)
		require.Zero(t, found.Lost)
		if n%2 == 0 {
			done, err := Compact(midnight, to)
			require.NoError(t, err)
			require.Equal(t, int64(report.Sessions+report.Tombstones+report.Graces), done.Entries)
		}
		again := opened(t, to)
		for _, sess := range live {
			_, err := again.Peek(t.Context(), midnight, sess.Key())
			require.NoError(t, err)
		}
		for _, sess := range ended {
			require.ErrorIs(t, again.Create(t.Context(), midnight, sess), backend.ErrEnded)
		}
		require.NoError(t, again.Close())
	}
	assert.True(t, moved, "the journal was full once at least")
	require.NoError(t, s.Close())
	held, err := func() (int, error) {
		file, err := os.Open(filepath.Join(dir, dataName))
		require.NoError(t, err)
		defer func() { _ = file.Close() }()
		c, err := readContent(file, midnight)
		if err != nil {
			return 0, err
		}
		return len(c.journal.records), nil
	}()
	require.NoError(t, err)
	assert.Zero(t, held, "a stop moves all to the log")
}

// A file that another process changed in the journal alone is not trusted.
func TestJournal_custody(t *testing.T) {
	dir := inMemory(t)
	s := opened(t, dir)
	sess := s.created(t)
	var at int64
	s.within(t, func() { at = s.committer.journal.off })
	f, err := os.OpenFile(filepath.Join(dir, dataName), os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(make([]byte, 64), at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	other := s.created(t) // which comes after the look at the file
	to := crashed(t, dir)
	require.NoError(t, s.Close())
	for _, dir := range []string{dir, to} {
		s = opened(t, dir)
		for _, sess := range []schema.Session{sess, other} {
			_, err = s.Peek(t.Context(), midnight, sess.Key())
			require.NoError(t, err)
		}
		require.NoError(t, s.Close())
	}
}
