package datafile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"session-api/internal/store/bolt/datafile"
)

// written returns a bbolt file with a bucket of many small values and one of a large
// value, and what is in it.
func written(t *testing.T) (file []byte, want map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true})
	require.NoError(t, err)
	want = map[string]string{"large/value": string(bytes.Repeat([]byte("large"), 5000))}
	for n := range 5000 {
		want[fmt.Sprintf("small/%05d", n)] = fmt.Sprint("value ", n)
	}
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		for path, value := range want {
			b, err := tx.CreateBucketIfNotExists([]byte(path[:5]))
			if err == nil {
				err = b.Put([]byte(path[6:]), []byte(value))
			}
			if err != nil {
				return err
			}
		}
		return tx.Bucket([]byte("small")).SetSequence(42)
	}))
	require.NoError(t, db.Close())
	file, err = os.ReadFile(path)
	require.NoError(t, err)
	return file, want
}

// read returns what Buckets visits, and the sequence numbers of the buckets.
func read(file []byte) (map[string]string, map[string]uint64, error) {
	f, err := datafile.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	got, sequences := map[string]string{}, map[string]uint64{}
	err = f.Buckets(func(name string, sequence uint64) (func() datafile.Visitor, error) {
		sequences[name] = sequence
		return func() datafile.Visitor {
			return func(key, value []byte, off int64) error {
				mu.Lock()
				defer mu.Unlock()
				got[name+"/"+string(key)] = string(value)
				if !bytes.Equal(value, file[off:off+int64(len(value))]) {
					return fmt.Errorf("%s is not at %d", key, off)
				}
				return nil
			}
		}, nil
	})
	return got, sequences, err
}

func TestBuckets(t *testing.T) {
	file, want := written(t)
	got, sequences, err := read(file)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Equal(t, map[string]uint64{"small": 42, "large": 0}, sequences)
}

// Whatever is written over the head of a page in use is noticed, and no page is free
// that was visited.
func TestBuckets_damaged(t *testing.T) {
	file, want := written(t)
	pageSize := os.Getpagesize()
	noticed := 0
	for at := 2 * pageSize; at < len(file); at += pageSize {
		harmed := bytes.Clone(file)
		copy(harmed[at:], bytes.Repeat([]byte{0xff}, 16))
		got, _, err := read(harmed)
		if err != nil {
			require.ErrorIs(t, err, datafile.ErrDamaged)
			noticed++
			continue
		}
		if got["large/value"] == want["large/value"] { // in its pages there are no heads
			require.Equal(t, want, got, "page %d", at/pageSize)
		}
	}
	assert.Greater(t, noticed, 20)
	for _, cut := range []int{0, 100, pageSize, len(file) / 2} {
		_, _, err := read(file[:cut])
		require.ErrorIs(t, err, datafile.ErrDamaged, "cut to %d", cut)
	}
}

func TestBuffer(t *testing.T) {
	content := make([]byte, 1<<20)
	for i := range content {
		content[i] = byte(i * 7 >> 3)
	}
	b := datafile.NewBuffer(bytes.NewReader(content), int64(len(content)))
	for _, off := range []int64{0, 100, 4000, 9000, 9000, 500_000, 504_096, 1_000_000, 3} {
		got, err := b.Read(off, 4096)
		require.NoError(t, err)
		require.Equal(t, content[off:off+4096], got, off)
	}
}
