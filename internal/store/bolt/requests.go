package bolt

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Requests with an Idempotency-Key are records of the log as sessions are, and marked and
// locked by keys as these are. Of requests these have no namespace, which a session always
// has.

// requestID returns the key of a request as the log has it.
func requestID(key backend.RequestKey) backend.Key { return backend.Key{ID: string(key[:])} }

// isRequest reports whether the key is that of a request.
func isRequest(key backend.Key) bool { return key.Namespace == "" }

// requestKeyOf is the reverse of requestID.
func requestKeyOf(key backend.Key) backend.RequestKey {
	var of backend.RequestKey
	copy(of[:], key.ID)
	return of
}

// validRequestID reports whether the key of a record can be that of a request.
func validRequestID(key backend.Key) bool { return key.Namespace == "" && len(key.ID) == sha256.Size }

// BeginRequest implements backend.Requests. Where the request does not begin, the disk is
// not asked.
func (s *Store) BeginRequest(ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) (backend.Request, bool, error) {
	if stored, begins := s.attempt(now, key, r); !begins {
		return stored, false, nil
	}
	t, err := s.begin(ctx, s.lazy, requestID(key))
	if err != nil {
		return backend.Request{}, false, err
	}
	defer t.end()
	stored, begins := s.attempt(now, key, r)
	if !begins {
		return stored, false, nil
	}
	if err := s.writeRequest(ctx, t, now, key, stored); err != nil {
		return backend.Request{}, false, err
	}
	return stored, true, nil
}

// attempt returns what an attempt makes of the request that there is, and whether it
// begins.
func (s *Store) attempt(now time.Time, key backend.RequestKey, r backend.Request) (stored backend.Request, begins bool) {
	if kept, ok := s.Store.Request(now, key); ok {
		return kept.Begin(now, &r)
	}
	return r, true
}

// AnswerRequest implements backend.Requests.
func (s *Store) AnswerRequest(ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) error {
	t, err := s.begin(ctx, s.lazy, requestID(key))
	if err != nil {
		return err
	}
	defer t.end()
	if kept, ok := s.Store.Request(now, key); ok && kept.Answered() {
		return nil
	}
	return s.writeRequest(ctx, t, now, key, r)
}

// AbandonRequest implements backend.Requests.
func (s *Store) AbandonRequest(ctx context.Context, now time.Time, key backend.RequestKey, lease time.Time, forget bool) error {
	id := requestID(key)
	t, err := s.begin(ctx, s.lazy, id)
	if err != nil {
		return err
	}
	defer t.end()
	kept, ok := s.Store.Request(now, key)
	switch {
	case !ok || !kept.IsAttempt(lease):
		return nil
	case !forget:
		kept.Lease = now
		return s.writeRequest(ctx, t, now, key, kept)
	case s.lazy:
		s.Store.ForgetRequest(key)
		return s.changed(id, nil)
	}
	return t.run(ctx, &operation{
		keys:  []backend.Key{id},
		write: func(w *writer) error { w.forgetRequest(id); return nil },
		apply: func() error { s.Store.ForgetRequest(key); return nil },
	})
}

// writeRequest stores the request in the place of what the key has. It is the turn's last
// step.
func (s *Store) writeRequest(ctx context.Context, t *turn, now time.Time, key backend.RequestKey, r backend.Request) error {
	id := requestID(key)
	if s.lazy {
		return s.changed(id, s.Store.PutRequest(now, key, r))
	}
	if !s.Store.HasRoomForRequest(now, key, &r) { // before it gets to the disk
		return fmt.Errorf("%w: other requests are in progress", backend.ErrFull)
	}
	return t.run(ctx, &operation{
		keys:  []backend.Key{id},
		size:  len(r.Plan) + len(r.Answer),
		write: func(w *writer) error { w.request(id, &r); return nil },
		apply: func() error { return s.Store.PutRequest(now, key, r) },
	})
}

// restoreRequest stores a request that was stored elsewhere.
func (s *Store) restoreRequest(ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) error {
	t, err := s.begin(ctx, s.lazy, requestID(key))
	if err != nil {
		return err
	}
	defer t.end()
	return s.writeRequest(ctx, t, now, key, r)
}

// requests puts those that the file holds into memory, the oldest first.
func (l *loader) requests() error {
	buf := l.buffer()
	for i := range l.held.requests {
		e, err := l.held.requests[i].read(buf)
		if err != nil {
			return err
		}
		r, err := e.request()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if l.endAttempts && r.InProgress(l.now) {
			r.Lease = schema.Now(l.now)
		}
		l.s.Store.RestoreRequest(l.now, requestKeyOf(e.key), r)
	}
	return nil
}

// request writes a request.
func (w *writer) request(id backend.Key, r *backend.Request) {
	w.news[id] = news{at: at(w.next, true)}
	from := len(w.values)
	w.values = appendRequest(w.values, id, r)
	w.put(from)
}

// forgetRequest writes that the key has no request.
func (w *writer) forgetRequest(id backend.Key) {
	w.news[id] = news{at: at(w.next, false)}
	from := len(w.values)
	w.values = appendHead(w.values, forgottenKind, id)
	w.put(from)
}

// reconcileRequest makes the file what memory is, for the key of a request.
func (c *committer) reconcileRequest(w *writer, m dirtyKey) {
	if r, ok := c.mem.Request(time.UnixMilli(0), requestKeyOf(m.key)); ok { // whether it has expired or not
		w.request(m.key, &r)
	} else if m.unsure || w.index.of(m.key).live() {
		w.forgetRequest(m.key)
	}
}

// handOnRequest hands on the request of an entry, if it is live at now.
func (s *salvage) handOnRequest(now time.Time, one saved, to Sink, found *Salvaged) error {
	e, err := s.open(one)
	if err == nil {
		var r backend.Request
		if r, err = e.request(); err == nil && r.ExpiresAt.After(now) {
			found.Requests++
			return to.Request(requestKeyOf(e.key), r)
		}
	}
	if err != nil {
		found.Lost++
	}
	return nil
}
