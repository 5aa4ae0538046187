package bolt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// turn is a writer's, with the locks that it holds.
type turn struct {
	s     *Store
	slots []int
}

// begin takes the locks of the keys. It fails at once while the file cannot be
// written. A change that may wait for the disk must not wait for too long: then
// its writer waits instead. It does so before it has the locks, which others may
// want that need not wait, and looks once more when it has them.
func (s *Store) begin(ctx context.Context, mayWait bool, keys ...backend.Key) (*turn, error) {
	if err := s.committer.refusal(false); err != nil {
		return nil, err
	}
	return s.take(ctx, mayWait, keys)
}

// beginEnd is begin for what ends sessions, and may be done on a full volume.
func (s *Store) beginEnd(ctx context.Context, keys ...backend.Key) (*turn, error) {
	if err := s.committer.refusal(true); err != nil {
		return nil, err
	}
	return s.take(ctx, false, keys)
}

func (s *Store) take(ctx context.Context, mayWait bool, keys []backend.Key) (*turn, error) {
	c := &s.committer
	if mayWait {
		if err := c.pass(ctx); err != nil {
			return nil, err
		}
	}
	t := &turn{s, s.locks.places(keys...)}
	if err := s.locks.lock(ctx, &c.stuck, t.slots); err != nil {
		return nil, fmt.Errorf("%w: waiting for other writers: %w", backend.ErrReadOnly, err)
	}
	if mayWait {
		if err := c.pass(ctx); err != nil {
			t.end()
			return nil, err
		}
	}
	return t, nil
}

// end releases the locks, unless an operation has them.
func (t *turn) end() { t.s.locks.unlock(t.slots) }

// run hands the locks and the operation to the committer, and waits for what
// comes of it. It is the turn's last step.
func (t *turn) run(ctx context.Context, op *operation) error {
	op.slots, t.slots = t.slots, nil
	op.done = make(chan error, 1)
	t.s.queue.put(op)
	var cause error
	select {
	case err := <-op.done:
		return err
	case <-t.s.committer.stuck.whenOn():
		cause = errStuck
	case <-ctx.Done():
		cause = ctx.Err()
	}
	if t.s.queue.withdraw(op) {
		t.s.locks.unlock(op.slots)
		return fmt.Errorf("%w: %w", backend.ErrReadOnly, cause)
	}
	select {
	case err := <-op.done:
		return err
	default:
		return fmt.Errorf("%w: whether it is made will show: %w", backend.ErrReadOnly, cause)
	}
}

// changed notes a change that may wait for the disk, if there was no error.
func (s *Store) changed(key backend.Key, err error) error {
	if err == nil {
		s.queue.markTold(key)
	}
	return err
}

// live returns the session of the key itself.
func (s *Store) live(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	sess, err := s.Store.Peek(ctx, now, key)
	if err == nil && sess.ID != key.ID { // a grace
		err = backend.ErrNotFound
	}
	return sess, err
}

// unchanged returns the session that old was, if it still is.
func (s *Store) unchanged(ctx context.Context, now time.Time, old *schema.Session) (schema.Session, error) {
	was, err := s.live(ctx, now, old.Key())
	if err != nil {
		return was, err
	}
	if backend.VersionOf(&was) != backend.VersionOf(old) {
		return was, backend.ErrConflict
	}
	return was, nil
}

// Create implements backend.Store.
func (s *Store) Create(ctx context.Context, now time.Time, sess schema.Session, opts ...backend.CreateOption) error {
	if string(schema.DocID(sess.Doc)) != sess.ID {
		return s.Store.Create(ctx, now, sess, opts...) // which says what is wrong
	}
	revive := backend.Revives(opts)
	key := sess.Key()
	t, err := s.begin(ctx, s.lazy, key)
	if err != nil {
		return err
	}
	defer t.end()
	if s.lazy {
		err := s.changed(key, s.Store.Create(ctx, now, sess, opts...))
		if err != nil {
			return err
		}
		if ended := s.graces.forget(key); len(ended) > 0 {
			s.queue.markLed(ended)
		}
		return nil
	}
	if _, err := s.live(ctx, now, key); err == nil {
		return backend.ErrExists
	}
	if !revive {
		if err := tombstoneOf(s.Store.Buried(key)).err(now.UnixMilli()); err != nil {
			return err
		}
	}
	full := s.fits(ctx, now, &sess)
	if full != nil && !errors.Is(full, backend.ErrFull) {
		return full
	}
	return t.run(ctx, &operation{
		keys: []backend.Key{key},
		size: len(sess.Doc),
		write: func(w *writer) error {
			if !revive {
				if err := w.tombstone(key).err(now.UnixMilli()); err != nil {
					return err
				}
			}
			if full != nil {
				return full
			}
			w.endLead(key)
			w.session(&sess)
			return nil
		},
		apply: func() error {
			s.graces.forget(key)
			return s.Store.Create(context.WithoutCancel(ctx), now, sess, opts...)
		},
	})
}

// fits reports whether there is room for a session more, where memory would
// only refuse it once it is written: a flood must not get to the disk.
func (s *Store) fits(ctx context.Context, now time.Time, sess *schema.Session) error {
	if !s.refuses && !sess.Additional || s.HasRoom(sess) {
		return nil
	}
	if _, err := s.Store.Sweep(ctx, now); err != nil {
		return err
	}
	return s.Refused(sess)
}

// Swap implements backend.Store.
func (s *Store) Swap(ctx context.Context, now time.Time, old, next schema.Session) (got schema.Session, err error) {
	if string(schema.DocID(next.Doc)) != old.ID {
		return s.Store.Swap(ctx, now, old, next) // which says what is wrong
	}
	key := old.Key()
	t, err := s.begin(ctx, s.lazy, key)
	if err != nil {
		return schema.Session{}, err
	}
	defer t.end()
	endsLead := next.UserID != old.UserID && s.graces.leadTo(key)
	if s.lazy && !endsLead { // what ends tokens waits for the disk in any case
		got, err = s.Store.Swap(ctx, now, old, next)
		return got, s.changed(key, err)
	}
	was, err := s.unchanged(ctx, now, &old)
	if err != nil {
		return schema.Session{}, err
	}
	written := next
	written.Namespace, written.ID, written.CreatedAt = was.Namespace, was.ID, was.CreatedAt
	if next.UserID == was.UserID {
		written.Life = was.Life
	}
	if next.TTL == was.TTL && next.OwnTTL == was.OwnTTL && was.ExpiresAt.After(next.ExpiresAt) {
		written.ExpiresAt = was.ExpiresAt
	}
	return s.rewrite(ctx, t, &written, endsLead, func(ctx context.Context) (schema.Session, error) {
		if endsLead {
			s.graces.endLead(key)
		}
		return s.Store.Swap(ctx, now, old, next)
	})
}

// rewrite runs a change that leaves the session as written, and perhaps ends the
// grace that leads to it.
func (s *Store) rewrite(ctx context.Context, t *turn, written *schema.Session, endsLead bool, change func(context.Context) (schema.Session, error)) (schema.Session, error) {
	var got schema.Session
	err := t.run(ctx, &operation{
		keys: []backend.Key{written.Key()},
		size: len(written.Doc),
		write: func(w *writer) error {
			if endsLead {
				w.endLead(written.Key())
			}
			w.session(written)
			return nil
		},
		apply: func() (err error) {
			got, err = change(context.WithoutCancel(ctx))
			return err
		},
	})
	if err != nil {
		return schema.Session{}, err
	}
	return got, nil
}

// Touch implements backend.Store.
func (s *Store) Touch(ctx context.Context, now time.Time, key backend.Key, until time.Time) (got schema.Session, err error) {
	t, err := s.begin(ctx, s.lazy, key)
	if err != nil {
		return schema.Session{}, err
	}
	defer t.end()
	was, err := s.live(ctx, now, key)
	if err != nil {
		return schema.Session{}, err
	}
	written := was
	written.ExpiresAt = backend.Touched(now, until, was.TTL)
	switch {
	case written.ExpiresAt.UnixMilli() <= was.ExpiresAt.UnixMilli(): // nothing to write
		return s.Store.Touch(ctx, now, key, until)
	case s.lazy:
		got, err = s.Store.Touch(ctx, now, key, until)
		return got, s.changed(key, err)
	}
	return s.rewrite(ctx, t, &written, false, func(ctx context.Context) (schema.Session, error) {
		return s.Store.Touch(ctx, now, key, until)
	})
}
