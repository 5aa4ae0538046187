package memory

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tidwall/btree"
)

// fileIndex leads from files to the sessions that refer to them, expired ones
// that are not swept yet among them.
type fileIndex struct {
	mu   sync.RWMutex
	refs *btree.BTreeG[fileRef]
}

// fileRef is one session's reference to one file. One without an entry stands
// before all others of its file.
type fileRef struct {
	path string
	e    *entry
}

func newFileIndex() fileIndex {
	return fileIndex{refs: btree.NewBTreeGOptions(lessRef, btree.Options{NoLocks: true})}
}

func lessRef(a, b fileRef) bool {
	if c := cmp.Compare(a.path, b.path); c != 0 {
		return c < 0
	}
	if a.e == b.e || b.e == nil {
		return false
	}
	if a.e == nil {
		return true
	}
	ra, rb := a.e.rec.Load(), b.e.rec.Load()
	return cmp.Or(compareAge(ra, rb), cmp.Compare(ra.space.name, rb.space.name)) < 0
}

// refBatch is how many references are added or removed under one hold of the
// lock, which all sessions' files share.
const refBatch = 64

func (f *fileIndex) add(e *entry, paths []string) {
	for some := range slices.Chunk(paths, refBatch) {
		f.mu.Lock()
		for _, path := range some {
			f.refs.Set(fileRef{path, e})
		}
		f.mu.Unlock()
	}
}

func (f *fileIndex) remove(e *entry, paths []string) {
	for some := range slices.Chunk(paths, refBatch) {
		f.mu.Lock()
		for _, path := range some {
			f.refs.Delete(fileRef{path, e})
		}
		f.mu.Unlock()
	}
}

// difference returns the paths that are only before or only after, so that the
// index is touched where a change changes it. Neither list names a path twice.
func difference(before, after []string) (gone, added []string) {
	// What is in order on both sides, as nearly all of it is, needs no looking up.
	for len(before) > 0 && len(after) > 0 && before[0] == after[0] {
		before, after = before[1:], after[1:]
	}
	for n, m := len(before)-1, len(after)-1; n >= 0 && m >= 0 && before[n] == after[m]; n, m = n-1, m-1 {
		before, after = before[:n], after[:m]
	}
	if len(before) == 0 || len(after) == 0 {
		return before, after
	}
	left := make(map[string]struct{}, len(before))
	for _, path := range before {
		left[path] = struct{}{}
	}
	for _, path := range after {
		if _, both := left[path]; both {
			delete(left, path)
		} else {
			added = append(added, path)
		}
	}
	for _, path := range before {
		if _, ok := left[path]; ok {
			gone = append(gone, path)
		}
	}
	return gone, added
}

// firstLive returns the first file at or after from that a session which is
// live at now refers to. f is locked.
func (f *fileIndex) firstLive(from string, now int64) (path string, ok bool) {
	f.refs.Ascend(fileRef{path: from}, func(ref fileRef) bool {
		if ref.e.rec.Load().live(now) {
			path, ok = ref.path, true
		}
		return !ok
	})
	return path, ok
}

// has reports whether a session that is live at now refers to the file. f is
// locked.
func (f *fileIndex) has(path string, now int64) bool {
	found := false
	f.refs.Ascend(fileRef{path: path}, func(ref fileRef) bool {
		found = ref.path == path && ref.e.rec.Load().live(now)
		return !found && ref.path == path
	})
	return found
}

// next returns the first files at or after from that live sessions refer to,
// one batch of them at most.
func (f *fileIndex) next(from string, now int64) []string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	var paths []string
	for len(paths) < batch {
		path, ok := f.firstLive(from, now)
		if !ok {
			break
		}
		paths = append(paths, path)
		from = justAfter(path)
	}
	return paths
}

// justAfter returns the string that follows path in the order of strings.
func justAfter(path string) string { return path + "\x00" }

// Files implements backend.Store.
func (s *Store) Files(ctx context.Context, now time.Time, yield func(path string) error) error {
	if _, err := s.expireAll(ctx, now.UnixMilli()); err != nil { // as read does
		return err
	}
	for from := ""; ; {
		if err := cancelled(ctx); err != nil {
			return err
		}
		paths := s.files.next(from, now.UnixMilli())
		if len(paths) == 0 {
			return nil
		}
		for _, path := range paths {
			if err := yield(path); err != nil {
				return err
			}
		}
		from = justAfter(paths[len(paths)-1])
	}
}

// HasFile implements backend.Store.
func (s *Store) HasFile(ctx context.Context, now time.Time, paths ...string) (bool, error) {
	if _, err := s.expireAll(ctx, now.UnixMilli()); err != nil { // as read does
		return false, err
	}
	s.files.mu.RLock()
	defer s.files.mu.RUnlock()
	return slices.ContainsFunc(paths, func(path string) bool {
		return s.files.has(path, now.UnixMilli())
	}), nil
}
