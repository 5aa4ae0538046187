package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDiskAlone(t *testing.T) {
	s := &serviceUnderTest{data: t.TempDir()}
	d, err := startFsync(t.Context(), nil, nil, s)
	require.NoError(t, err)
	t.Cleanup(d.stop)
	got, writes, err := d.measure(t.Context(), nil, time.Millisecond, 1)
	require.NoError(t, err)
	assert.Positive(t, writes)
	assert.Positive(t, got.rate)

	size, err := sizeOf(s.data)
	require.NoError(t, err)
	assert.Equal(t, int64(pagesAhead*pageBytes), size, "it writes over what is there")
}

func TestSizeOf(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "one"), make([]byte, 1000), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", "two"), make([]byte, 234), 0o600))
	got, err := sizeOf(dir)
	require.NoError(t, err)
	assert.Equal(t, int64(1234), got)
}
