package cleanup_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a run holds must not grow with the number of files: by so many bytes for
// each of them it may, to leave room for noise. To keep their names alone would
// take five times as much here.
const (
	manyFiles    = 20_000
	nameLength   = 200
	bytesPerFile = 40
)

// All files in one directory, all to be deleted: none is missed although
// they are deleted while the directory is read.
func TestMemoryOneDirectory(t *testing.T) {
	dir := t.TempDir()
	file := write(t, t.TempDir(), "file", old)
	pad := strings.Repeat("x", nameLength)
	for i := range manyFiles {
		// To link a file is far cheaper than to make one.
		require.NoError(t, os.Link(file, filepath.Join(dir, fmt.Sprintf("%d%s", i, pad))))
	}
	checkMemory(t, dir, 0)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1, "the marker")
}

// The same number, ten in each directory.
func TestMemoryManyDirectories(t *testing.T) {
	dir := t.TempDir()
	file := write(t, t.TempDir(), "file", old)
	pad := strings.Repeat("x", nameLength/2)
	for i := range manyFiles / 10 {
		sub := filepath.Join(dir, fmt.Sprintf("%d%s", i, pad))
		require.NoError(t, os.Mkdir(sub, 0o700))
		for k := range 10 {
			require.NoError(t, os.Link(file, filepath.Join(sub, fmt.Sprintf("%d%s", k, pad))))
		}
		setAge(t, sub, old)
	}
	checkMemory(t, dir, manyFiles/10)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1, "the marker")
}

// checkMemory cleans a directory of manyFiles files in dirs more, all of them due, and
// checks how much the heap has grown whenever a thousand are gone.
func checkMemory(t *testing.T, dir string, dirs int) {
	t.Helper()
	s := referring()
	asked, most := 0, uint64(0)
	s.hasFile = func([]string) (bool, error) {
		if asked++; asked%1000 == 0 {
			most = max(most, liveHeap())
		}
		return false, nil
	}
	j := newJob(t, dir, s)
	before := liveHeap()
	report, err := j.Run(t.Context(), false)
	require.NoError(t, err)

	assert.Equal(t, manyFiles, report.Deleted)
	assert.Equal(t, manyFiles, report.Scanned)
	assert.Equal(t, manyFiles+dirs, asked)
	t.Logf("heap: %d before, %d at most", before, most)
	assert.Less(t, most, before+manyFiles*bytesPerFile)
}

// References are held as hashes, not as the strings that clients wrote.
func TestMemoryReferences(t *testing.T) {
	const many = 100_000
	dir, s := t.TempDir(), referring()
	write(t, dir, "file", old)
	pad := strings.Repeat("x", 500)
	s.files = func(_ context.Context, yield func(string) error) error {
		for i := range many {
			if err := yield(fmt.Sprintf("%d/%s", i, pad)); err != nil {
				return err
			}
		}
		return nil
	}
	var held uint64
	s.hasFile = func([]string) (bool, error) { held = liveHeap(); return false, nil }
	j := newJob(t, dir, s)
	before := liveHeap()
	report, err := j.Run(t.Context(), false)
	require.NoError(t, err)
	assert.Equal(t, 1, report.Deleted)
	t.Logf("heap: %d before, %d with the references", before, held)
	assert.Less(t, held, before+many*50)
}

// liveHeap is what is in use after a collection.
func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
