package bolt

import (
	"context"
	"fmt"
	"slices"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// What ends sessions waits for the disk in any case.

// Delete implements backend.Store.
func (s *Store) Delete(ctx context.Context, now time.Time, key backend.Key, revision int64) error {
	t, err := s.beginEnd(ctx, key)
	if err != nil {
		return err
	}
	defer t.end()
	was, err := s.live(ctx, now, key)
	switch {
	case err != nil:
		if back, ok := s.held.forget(key); ok { // whoever ends what has expired means it
			s.giveUp([]schema.Session{back})
		}
		return err
	case !backend.AtRevision(revision, was.Revision):
		return backend.ErrConflict
	}
	return t.run(ctx, &operation{
		keys:  []backend.Key{key},
		ends:  true,
		write: func(w *writer) error { s.writeEnd(w, now, key); return nil },
		apply: func() error {
			s.graces.forget(key)
			return s.Store.Delete(context.WithoutCancel(ctx), now, key, revision)
		},
	})
}

// writeEnd writes that the session of the key is ended.
func (s *Store) writeEnd(w *writer, now time.Time, key backend.Key) {
	w.endLead(key)
	var t tombstone
	if s.tombstoneTTL > 0 {
		t = tombstone(now.Add(s.tombstoneTTL).UnixMilli())
	}
	w.setTombstone(key, t)
}

// Regenerate implements backend.Store.
func (s *Store) Regenerate(ctx context.Context, now time.Time, old, next schema.Session, graceUntil time.Time) error {
	if string(schema.DocID(next.Doc)) != next.ID {
		return s.Store.Regenerate(ctx, now, old, next, graceUntil) // which says what is wrong
	}
	key, nextKey := old.Key(), next.Key()
	t, err := s.beginEnd(ctx, key, nextKey)
	if err != nil {
		return err
	}
	defer t.end()
	was, err := s.unchanged(ctx, now, &old)
	if err != nil {
		return err
	}
	if _, err := s.live(ctx, now, nextKey); err == nil {
		return backend.ErrExists
	}
	leads, to := graceUntil.After(now) && next.UserID == was.UserID, grace{nextKey, graceUntil.UnixMilli()}
	return t.run(ctx, &operation{
		keys: []backend.Key{key, nextKey},
		ends: true,
		size: len(next.Doc),
		write: func(w *writer) error {
			s.writeEnd(w, now, key)
			w.endLead(nextKey)
			w.session(&next)
			if leads {
				w.lead(key, to)
			}
			return nil
		},
		apply: func() error {
			s.graces.forget(key)
			s.graces.forget(nextKey)
			if leads {
				s.graces.set(key, to)
			}
			return s.Store.Regenerate(context.WithoutCancel(ctx), now, old, next, graceUntil)
		},
	})
}

// clearBatch is how many sessions Clear ends with one operation.
const clearBatch = 1024

// Clear implements backend.Store. It ends the first sessions that match until
// there are none: one that is regenerated meanwhile changes its place in the
// list, but does not escape.
func (s *Store) Clear(ctx context.Context, now time.Time, f backend.Filter) (int, error) {
	ended := 0
	s.giveUp(s.held.take(f.Matches))
	for {
		page, err := s.Store.List(ctx, now, backend.Query{Namespace: f.Namespace, UserID: f.UserID, Created: f.Created, Limit: clearBatch})
		if err != nil {
			return ended, err
		}
		keys := make([]backend.Key, 0, len(page.Sessions))
		for i := range page.Sessions {
			if page.Sessions[i].ID != f.Except {
				keys = append(keys, page.Sessions[i].Key())
			}
		}
		if len(keys) == 0 {
			return ended, nil
		}
		n, err := s.endThose(ctx, now, keys, f.Matches)
		ended += len(n)
		if err != nil {
			return ended, err
		}
	}
}

// DeleteAll implements backend.Store.
func (s *Store) DeleteAll(ctx context.Context, now time.Time, namespace string, ids []string) ([]bool, error) {
	ended := make([]bool, len(ids))
	places := make(map[backend.Key]int, len(ids))
	keys := make([]backend.Key, 0, len(ids))
	for i, id := range ids {
		key := backend.Key{Namespace: namespace, ID: id}
		if _, twice := places[key]; !twice {
			places[key] = i
			keys = append(keys, key)
		}
	}
	for some := range slices.Chunk(keys, clearBatch) {
		for _, key := range some {
			if back, ok := s.held.forget(key); ok {
				s.giveUp([]schema.Session{back})
			}
		}
		gone, err := s.endThose(ctx, now, slices.Clone(some), func(*schema.Session) bool { return true })
		for _, key := range gone {
			ended[places[key]] = true
		}
		if err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// endThose ends those of the sessions that match, with one operation, and returns
// which they were. It uses keys for that.
func (s *Store) endThose(ctx context.Context, now time.Time, keys []backend.Key, matches func(*schema.Session) bool) ([]backend.Key, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", backend.ErrUnavailable, err)
	}
	t, err := s.beginEnd(ctx, keys...)
	if err != nil {
		return nil, err
	}
	defer t.end()
	match := keys[:0]
	for _, key := range keys {
		if sess, err := s.live(ctx, now, key); err == nil && matches(&sess) {
			match = append(match, key)
		}
	}
	if len(match) == 0 {
		return nil, nil
	}
	ended := make([]backend.Key, 0, len(match))
	err = t.run(ctx, &operation{
		keys: match,
		ends: true,
		write: func(w *writer) error {
			for _, key := range match {
				s.writeEnd(w, now, key)
			}
			return nil
		},
		apply: func() error {
			for _, key := range match {
				s.graces.forget(key)
				if s.Store.Delete(context.WithoutCancel(ctx), now, key, 0) == nil {
					ended = append(ended, key)
				}
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return ended, nil
}
