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

func (f *fileIndex) add(e *entry, paths []string) {
	if len(paths) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, path := range paths {
		f.refs.Set(fileRef{path, e})
	}
}

func (f *fileIndex) remove(e *entry, paths []string) { f.removeExcept(e, paths, nil) }

// removeExcept removes the references of e to the paths that are not among
// those to keep.
func (f *fileIndex) removeExcept(e *entry, paths, keep []string) {
	if len(paths) == 0 {
		return
	}
	kept := make(map[string]struct{}, len(keep))
	for _, path := range keep {
		kept[path] = struct{}{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, path := range paths {
		if _, ok := kept[path]; !ok {
			f.refs.Delete(fileRef{path, e})
		}
	}
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

// Files implements store.Store.
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

// HasFile implements store.Store.
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
