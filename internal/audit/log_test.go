package audit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/audit"
)

// reSum gives a line the sum of its text.
func reSum(t testing.TB, line []byte) []byte {
	t.Helper()
	text, _, ok := bytes.Cut(line, []byte(`,"sum":"`))
	require.True(t, ok)
	sum := sha256.Sum256(text)
	return []byte(string(text) + `,"sum":"` + hex.EncodeToString(sum[:]) + "\"}\n")
}

func TestFileGoesOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	for range 3 {
		write(t, path, 2)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	r := verify(t, content)
	require.Empty(t, found(r))
	require.Equal(t, 7, r.Lines, "one begins the chain")
}

func TestFileIsOneProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	l, err := audit.OpenFile(path, audit.Options{})
	require.NoError(t, err)
	_, err = audit.OpenFile(path, audit.Options{})
	require.ErrorContains(t, err, "in use")
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Append(audit.Entry{}), audit.ErrUnwritten)
	write(t, path, 1)
}

func TestFileOfSomethingElse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "other")
	require.NoError(t, os.WriteFile(path, []byte("precious\n"), 0o600))
	_, err := audit.OpenFile(path, audit.Options{})
	require.ErrorContains(t, err, "move it away")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "precious\n", string(content))

	_, err = audit.OpenFile(t.TempDir(), audit.Options{})
	require.ErrorContains(t, err, "not a regular file")
}

// At whichever byte a crash tears the last line, the next start closes it.
func TestTornLineIsClosed(t *testing.T) {
	t.Parallel()
	path, lines := chain(t, 3)
	whole := bytes.Join(lines[:3], nil)
	for cut := 1; cut < len(lines[3]); cut++ {
		require.NoError(t, os.WriteFile(path, append(bytes.Clone(whole), lines[3][:cut]...), 0o600))
		write(t, path, 2)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		r := verify(t, content)
		require.Empty(t, found(r), "%d bytes", cut)
		if cut == len(lines[3])-1 { // all but the line break
			require.Empty(t, r.Notes)
			require.EqualValues(t, 6, r.Last)
			continue
		}
		require.Len(t, r.Notes, 1)
		require.EqualValues(t, 6, r.Last, "%d bytes", cut)
	}
}

// What somebody has done to the last line is not taken for a crash.
func TestChangedLastLineStaysFound(t *testing.T) {
	t.Parallel()
	path, lines := chain(t, 3)
	for i := range lines[3] {
		changed := bytes.Clone(lines[3])
		changed[i] ^= 1
		require.NoError(t, os.WriteFile(path, append(bytes.Join(lines[:3], nil), changed...), 0o600))
		write(t, path, 1)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NotEmpty(t, verify(t, content).Findings, "byte %d", i)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	l, err := audit.OpenFile(path, audit.Options{})
	require.NoError(t, err)
	require.NoError(t, l.Append(audit.Entry{Act: audit.Export}))
	require.NoError(t, l.Reopen(), "nothing was renamed")
	require.NoError(t, os.Rename(path, path+".1"))
	require.NoError(t, l.Append(audit.Entry{Act: audit.Export}), "into the renamed file")
	require.NoError(t, l.Reopen())
	require.NoError(t, l.Append(audit.Entry{Act: audit.Import}))

	require.NoError(t, os.Rename(path, path+".2"))
	require.NoError(t, os.Mkdir(path, 0o700))
	require.Error(t, l.Reopen())
	require.NoError(t, l.Append(audit.Entry{Act: audit.Backup}), "into the renamed file")
	require.NoError(t, os.Remove(path))
	require.NoError(t, l.Reopen())
	require.NoError(t, l.Close())

	var texts [][]byte
	for _, name := range []string{path + ".1", path + ".2", path} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		texts = append(texts, text)
	}
	r := verify(t, texts...)
	require.Empty(t, found(r))
	require.Empty(t, r.Notes)
	require.EqualValues(t, 7, r.Last)
	for i := range texts {
		r := verify(t, texts[i:]...)
		require.Empty(t, found(r))
		require.Len(t, r.Notes, min(i, 1), "it says that there are earlier files")
	}
	require.NotEmpty(t, verify(t, texts[0], texts[2]).Findings, "a file is missing")
}

func TestAppendConcurrently(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	l, err := audit.OpenFile(path, audit.Options{Sync: true})
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 20 {
				assert.NoError(t, l.Append(audit.Entry{Act: audit.SessionEnded}))
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 321, l.Sequence())
	require.NoError(t, l.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	r := verify(t, content)
	require.Empty(t, found(r))
	require.Equal(t, 321, r.Lines)
}

// faulty is an output that does what a test says.
type faulty struct {
	mu       sync.Mutex
	text     bytes.Buffer
	failing  error
	unsynced error
	hang     chan struct{} // nil, or what a write waits for
	syncs    int
}

func (o *faulty) Write(lines []byte) error {
	o.mu.Lock()
	hang, err := o.hang, o.failing
	o.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if err == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.text.Write(lines)
	}
	return err
}

func (o *faulty) Sync() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.syncs++
	return o.unsynced
}

func (o *faulty) set(change func(*faulty)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(o)
}

// synced is how often Sync was called.
func (o *faulty) synced() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.syncs
}

func (o *faulty) report(t *testing.T) audit.Report {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	return verify(t, bytes.Clone(o.text.Bytes()))
}

var errNoSpace = errors.New("no space left on device")

func TestFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out := &faulty{failing: errNoSpace}
		l := audit.NewTo(out, audit.Options{})
		require.NoError(t, l.Ready())
		for range 3 {
			require.ErrorIs(t, l.Append(audit.Entry{Act: audit.Export}), audit.ErrUnwritten)
			require.ErrorIs(t, l.Ready(), audit.ErrUnwritten)
		}
		require.EqualValues(t, 3, l.Failures())
		out.set(func(o *faulty) { o.failing = nil })
		<-time.After(audit.RetryAfter)
		synctest.Wait()
		require.NoError(t, l.Ready())
		require.NoError(t, l.Append(audit.Entry{Act: audit.Import}))
		require.NoError(t, l.Close())
		require.Zero(t, l.Losses())
		r := out.report(t)
		require.Empty(t, found(r))
		require.Equal(t, 5, r.Lines, "what could not be written is written later")
	})
}

// An output that hangs delays a caller once, and memory stays bounded.
func TestHangingOutput(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		out := &faulty{hang: hang}
		l := audit.NewTo(out, audit.Options{Patience: time.Second})
		begin := time.Now()
		for range audit.MaxWaiting + 10 {
			require.ErrorIs(t, l.Append(audit.Entry{Act: audit.Export}), audit.ErrUnwritten)
		}
		require.Equal(t, time.Second, time.Since(begin))
		require.EqualValues(t, 10, l.Losses())
		out.set(func(o *faulty) { o.hang = nil })
		close(hang)
		synctest.Wait()
		require.NoError(t, l.Ready())
		require.NoError(t, l.Close())
		r := out.report(t)
		require.Empty(t, found(r))
		require.Equal(t, audit.MaxWaiting+2, r.Lines, "one begins the chain, one says what was lost")
		require.Equal(t, 1, strings.Count(out.text.String(), `"act":"audit.lost","outcome":"failed","details":{"count":10}`))
	})
}

func TestWhenItIsOnTheDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out := &faulty{}
		l := audit.NewTo(out, audit.Options{})
		for range 10 {
			require.NoError(t, l.Append(audit.Entry{}))
		}
		require.Zero(t, out.synced())
		<-time.After(audit.SyncAfter)
		synctest.Wait()
		require.Equal(t, 1, out.synced())
		require.NoError(t, l.Close())
		require.Equal(t, 1, out.synced(), "nothing was written since")
	})
	synctest.Test(t, func(t *testing.T) {
		out := &faulty{}
		l := audit.NewTo(out, audit.Options{Sync: true})
		require.NoError(t, l.Append(audit.Entry{}))
		require.Equal(t, 1, out.synced())

		out.set(func(o *faulty) { o.unsynced = errNoSpace })
		require.ErrorIs(t, l.Append(audit.Entry{}), audit.ErrUnwritten)
		require.ErrorIs(t, l.Ready(), audit.ErrUnwritten)
		out.set(func(o *faulty) { o.unsynced = nil })
		<-time.After(audit.RetryAfter)
		synctest.Wait()
		require.NoError(t, l.Ready())
		require.NoError(t, l.Append(audit.Entry{}))
		require.NoError(t, l.Close())
		r := out.report(t)
		require.Empty(t, found(r))
		require.Equal(t, 4, r.Lines, "each once")
	})
}
