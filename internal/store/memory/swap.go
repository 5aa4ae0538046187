package memory

import (
	"context"
	"slices"
	"strings"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Swap implements backend.Store.
func (s *Store) Swap(ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
	if err := checkDocument(next.Doc, old.ID); err != nil {
		return schema.Session{}, err
	}
	key := old.Key()
	hash := s.hash(key)
	sh := s.shardOf(hash)
	var got schema.Session
	err := s.withCapacity(ctx, now, &key, nil, func() error {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		e, was := s.current(sh, hash, key, now.UnixMilli())
		switch {
		case e == nil:
			return backend.ErrNotFound
		case !was.unchanged(&old):
			return backend.ErrConflict
		}
		rec := repack(&next, was)
		rec.created = was.created
		if was.sameTTL(&next) {
			rec.expires = max(rec.expires, was.expires)
		}
		s.limited(rec)
		if err := s.capacity.take(was.usage(), rec.usage(), next.Trusted); err != nil {
			return err
		}
		if rec.user != was.user {
			s.endGrace(sh, e) // before a reader can see the other user
		}
		s.replace(sh, e, was, rec)
		got = rec.session(key.ID)
		s.emit(backend.EventUpdated, now.UnixMilli(), key, rec)
		s.emitClientChanged(now.UnixMilli(), key, was, rec, rec)
		return nil
	})
	if err != nil {
		return schema.Session{}, err
	}
	s.sets.Add(1)
	return got, nil
}

// repack is pack for a session that was another record: what is as it was, they
// share.
func repack(s *schema.Session, was *record) *record {
	user, life, details := was.user, was.life, was.details
	if s.UserID != user {
		user, life = strings.Clone(s.UserID), s.Life
	}
	if !was.same(s) || !slices.Equal(s.Files, was.files) {
		details = was.space.detailsOf(s)
		share(details.files, was.files)
	}
	rec := newRecord(s, user, details)
	rec.life = life
	return rec
}

// share puts the strings of before in the place of equal ones: the index by file
// keeps those that it has.
func share(files, before []string) {
	if len(files) == 0 || len(before) == 0 {
		return
	}
	had := make(map[string]string, len(before))
	for _, path := range before {
		had[path] = path
	}
	for i, path := range files {
		if old, ok := had[path]; ok {
			files[i] = old
		}
	}
}

// replace gives e another record.
func (s *Store) replace(sh *shard, e *entry, was, rec *record) {
	if s.policy == LRU {
		e.use(s.clock.Add(1)) // no longer disposable, if it was
	}
	if slices.Equal(was.files, rec.files) {
		was.space.setRecord(e, was, rec)
	} else {
		gone, added := difference(was.files, rec.files)
		s.files.add(e, added)
		was.space.setRecord(e, was, rec)
		s.files.remove(e, gone)
	}
	s.requeue(sh, e, was.expires, rec.expires)
	if to := s.classOf(rec, e.class == served, true); to != e.class {
		s.reclass(sh, e, to)
	}
}
