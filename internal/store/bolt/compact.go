package bolt

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// Compaction is what Compact has done.
type Compaction struct {
	Path           string
	Before, After  int64 // bytes of the file
	Entries, Freed int64 // entries that were kept, and that were not
}

// Compact writes the data file of a stopped service anew, without what does not
// count any more: replaced and ended sessions, tombstones whose time is over and
// free pages. Sessions that have expired it keeps as they are:
// whether a clock is right is for the service to see. The file keeps its owner and
// mode. Returns ErrInUse, ErrDamaged and ErrNoData.
func Compact(now time.Time, dir string) (done Compaction, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("data directory %s: %w", dir, err)
		}
	}()
	if _, err := prepareDirectory(dir, true); err != nil {
		return done, err
	}
	d, err := openDirectory(dir)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, giveOver(dir, lockName), d.close()) }()
	file, err := openForReading(d.data())
	if err != nil {
		return done, fmt.Errorf("opening the data file: %w", withoutPath(err))
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return done, fmt.Errorf("reading the data file: %w", withoutPath(err))
	}
	done.Path, done.Before = d.data(), info.Size()
	readAhead(file)
	w, err := newFileWriter(filepath.Join(dir, tempName))
	if err != nil {
		return done, err
	}
	if done.Entries, done.Freed, err = copyWhatCounts(w, file, now); err != nil {
		return done, errors.Join(err, w.abandon())
	}
	if err := w.finish(info); err != nil {
		return done, errors.Join(err, os.Remove(w.path))
	}
	after, err := os.Stat(w.path)
	if err != nil {
		return done, fmt.Errorf("the new data file: %w", err)
	}
	done.After = after.Size()
	return done, d.adopt(w.path)
}

// copyWhatCounts copies the entries of a file that count, and what its meta says.
// The file is checked before.
func copyWhatCounts(w *fileWriter, file *os.File, now time.Time) (kept, freed int64, err error) {
	held, err := readContent(file, now)
	if err != nil {
		return 0, 0, err
	}
	src, err := bbolt.Open(file.Name(), 0, &bbolt.Options{ReadOnly: true, Timeout: lockWait})
	if err != nil {
		return 0, 0, fmt.Errorf("opening the data file: %w", err)
	}
	defer func() { _ = src.Close() }()
	renumbered := make(map[uint64]uint64, len(held.live))
	err = src.View(func(tx *bbolt.Tx) error {
		put := func(number, value []byte) error {
			counts, err := held.counts(number, value)
			if err != nil || !counts {
				freed++
				return err
			}
			kept++
			n, _ := parseNumber(number)
			renumbered[n] = uint64(kept)           //nolint:gosec // it counts
			key := appendNumber(nil, uint64(kept)) //nolint:gosec // as above
			return w.put(logBucket, key, seal(bytes.Clone(value[:len(value)-sumBytes]), 0, key))
		}
		if err := tx.Bucket([]byte(logBucket)).ForEach(put); err != nil {
			return err
		}
		for i, record := range held.journal.records {
			if err := put(appendNumber(nil, held.last-uint64(len(held.journal.records)-1-i)), record); err != nil { //nolint:gosec // it counts
				return err
			}
		}
		if err := w.noteTally(kept); err != nil {
			return err
		}
		return tx.Bucket([]byte(metaBucket)).ForEach(func(key, value []byte) error {
			if bytes.HasPrefix(key, []byte(reserveKey)) {
				return nil // the next start takes it anew
			}
			if string(key) == recencyKey {
				value = held.recency.renumber(renumbered)
			}
			return w.put(metaBucket, key, value)
		})
	})
	return kept, freed, err
}

// renumber returns the order of uses in a file whose entries have other numbers.
func (r recency) renumber(to map[uint64]uint64) []byte {
	old := slices.Collect(maps.Keys(r))
	slices.SortFunc(old, func(a, b uint64) int { return cmp.Compare(r[a].place, r[b].place) })
	value := []byte{format}
	for _, number := range old {
		n, ok := to[number]
		if !ok {
			continue
		}
		n <<= 1
		if r[number].again {
			n++
		}
		value = binary.AppendUvarint(value, n)
	}
	return seal(value, 0, []byte(recencyKey))
}

// counts reports whether an entry says what holds of its key.
func (c *content) counts(number, value []byte) (bool, error) {
	n, _ := parseNumber(number)
	e, err := openEntry(number, value)
	if err != nil {
		return false, err
	}
	switch e.kind {
	case sessionKind, requestKind:
		return c.index.of(e.key) == at(n, true), nil
	case endedKind, forgottenKind:
		return c.index.of(e.key) == at(n, false), nil
	default:
		to, err := e.grace()
		lead, ok := c.graces[e.key]
		return err == nil && ok && lead == to, err
	}
}
