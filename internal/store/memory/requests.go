package memory

import (
	"cmp"
	"container/list"
	"context"
	"sync"
	"time"

	"session-api/internal/store/backend"
)

// RequestLimits are how many requests with an Idempotency-Key are kept;
// backend.DefaultRequests and backend.DefaultRequestBytes where they are 0.
type RequestLimits struct {
	Entries int
	Bytes   int64
}

// requestTable keeps requests with an Idempotency-Key. All live for the same time as a
// rule, so the order in which they begin is that in which they expire.
type requestTable struct {
	limits   RequestLimits
	onForget func(backend.RequestKey)

	mu    sync.Mutex
	byKey map[backend.RequestKey]*list.Element // of *keptRequest
	// guests and others hold the requests of both kinds in the order in which they began.
	guests, others *list.List
	bytes          int64
}

// keptRequest is a request in a requestTable.
type keptRequest struct {
	key backend.RequestKey
	backend.Request
}

func newRequestTable(limits RequestLimits, onForget func(backend.RequestKey)) requestTable {
	return requestTable{
		limits:   RequestLimits{cmp.Or(limits.Entries, backend.DefaultRequests), cmp.Or(limits.Bytes, backend.DefaultRequestBytes)},
		onForget: onForget,
		byKey:    make(map[backend.RequestKey]*list.Element), guests: list.New(), others: list.New(),
	}
}

// BeginRequest implements backend.Requests.
func (s *Store) BeginRequest(_ context.Context, now time.Time, key backend.RequestKey, r backend.Request) (backend.Request, bool, error) {
	t := &s.requests
	t.mu.Lock()
	defer t.mu.Unlock()
	stored, begins := r, true
	if kept := t.live(now, key); kept != nil {
		stored, begins = kept.Begin(now, &r)
	}
	if !begins {
		return stored, false, nil
	}
	if err := t.put(now, key, stored); err != nil {
		return backend.Request{}, false, err
	}
	return stored, true, nil
}

// AnswerRequest implements backend.Requests.
func (s *Store) AnswerRequest(_ context.Context, now time.Time, key backend.RequestKey, r backend.Request) error {
	t := &s.requests
	t.mu.Lock()
	defer t.mu.Unlock()
	if kept := t.live(now, key); kept != nil && kept.Answered() {
		return nil
	}
	return t.put(now, key, r)
}

// AbandonRequest implements backend.Requests.
func (s *Store) AbandonRequest(_ context.Context, now time.Time, key backend.RequestKey, lease time.Time, forget bool) error {
	t := &s.requests
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.live(now, key)
	switch {
	case kept == nil || !kept.IsAttempt(lease):
	case forget:
		t.remove(t.byKey[key])
	default:
		kept.Lease = now
	}
	return nil
}

// What follows is for a store that keeps the requests of this one elsewhere as well.

// Request returns the request of the key, if it has one that has not expired.
func (s *Store) Request(now time.Time, key backend.RequestKey) (backend.Request, bool) {
	t := &s.requests
	t.mu.Lock()
	defer t.mu.Unlock()
	if kept := t.live(now, key); kept != nil {
		return kept.Request, true
	}
	return backend.Request{}, false
}

// PutRequest stores r in the place of what the key has. Returns ErrFull, and nothing has
// changed then.
func (s *Store) PutRequest(now time.Time, key backend.RequestKey, r backend.Request) error {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	return s.requests.put(now, key, r)
}

// RestoreRequest is PutRequest of a request that was stored before, which stays if it is
// in progress and there is no room for it.
func (s *Store) RestoreRequest(now time.Time, key backend.RequestKey, r backend.Request) {
	t := &s.requests
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.put(now, key, r) == nil {
		return
	}
	if r.InProgress(now) {
		t.add(key, r)
	} else if t.onForget != nil {
		t.onForget(key)
	}
}

// ForgetRequest leaves the key without a request.
func (s *Store) ForgetRequest(key backend.RequestKey) {
	t := &s.requests
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.byKey[key]; ok {
		t.remove(e)
	}
}

// HasRoomForRequest reports whether PutRequest would find room for r.
func (s *Store) HasRoomForRequest(now time.Time, key backend.RequestKey, r *backend.Request) bool {
	t := &s.requests
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.room(now, key, r)
	return ok
}

// RequestKeys returns the keys that have a request.
func (s *Store) RequestKeys() []backend.RequestKey {
	t := &s.requests
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := make([]backend.RequestKey, 0, len(t.byKey))
	for _, among := range [...]*list.List{t.guests, t.others} {
		for e := among.Front(); e != nil; e = e.Next() {
			keys = append(keys, requestOf(e).key)
		}
	}
	return keys
}

// The methods of requestTable are for who holds its mutex.

// requestOf returns the request of an element of a list.
func requestOf(e *list.Element) *keptRequest {
	return e.Value.(*keptRequest) //nolint:forcetypeassert // the lists hold nothing else
}

// live returns the request of the key that has not expired; nil for none.
func (t *requestTable) live(now time.Time, key backend.RequestKey) *keptRequest {
	e, ok := t.byKey[key]
	if !ok {
		return nil
	}
	kept := requestOf(e)
	if !kept.ExpiresAt.After(now) {
		t.forget(e)
		return nil
	}
	return kept
}

// put stores a request in the place of what its key has, and makes room for it. Where
// there is none, nothing changes.
func (t *requestTable) put(now time.Time, key backend.RequestKey, r backend.Request) error {
	oldest, ok := t.room(now, key, &r)
	if !ok {
		return backend.ErrFull
	}
	for _, e := range oldest {
		t.forget(e)
	}
	if e, ok := t.byKey[key]; ok {
		t.remove(e)
	}
	t.add(key, r)
	return nil
}

// room returns what has to be forgotten for r: the oldest that are not in progress, those
// of guests first. ok is false where that is not enough.
func (t *requestTable) room(now time.Time, key backend.RequestKey, r *backend.Request) (oldest []*list.Element, ok bool) {
	entries, bytes := len(t.byKey)+1, t.bytes+r.Cost()
	own := t.byKey[key]
	if own != nil {
		entries, bytes = entries-1, bytes-requestOf(own).Cost()
	}
	fits := func() bool { return entries <= t.limits.Entries && bytes <= t.limits.Bytes }
	if r.Cost() > t.limits.Bytes { // whatever is forgotten
		return nil, false
	}
	for _, among := range [...]*list.List{t.guests, t.others} {
		for e := among.Front(); e != nil && !fits(); e = e.Next() {
			if kept := requestOf(e); e != own && (!kept.InProgress(now) || !kept.ExpiresAt.After(now)) {
				oldest = append(oldest, e)
				entries, bytes = entries-1, bytes-kept.Cost()
			}
		}
	}
	return oldest, fits()
}

func (t *requestTable) add(key backend.RequestKey, r backend.Request) {
	t.byKey[key] = t.list(&r).PushBack(&keptRequest{key, r})
	t.bytes += r.Cost()
}

func (t *requestTable) list(r *backend.Request) *list.List {
	if r.Guest {
		return t.guests
	}
	return t.others
}

// forget is remove of what nobody asked to remove.
func (t *requestTable) forget(e *list.Element) {
	t.remove(e)
	if t.onForget != nil {
		t.onForget(requestOf(e).key)
	}
}

func (t *requestTable) remove(e *list.Element) {
	kept := requestOf(e)
	t.list(&kept.Request).Remove(e)
	delete(t.byKey, kept.key)
	t.bytes -= kept.Cost()
}

// sweepRequests frees the requests that have expired, from the oldest on.
func (s *Store) sweepRequests(now time.Time) {
	t := &s.requests
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, among := range [...]*list.List{t.guests, t.others} {
		for e := among.Front(); e != nil && !requestOf(e).ExpiresAt.After(now); e = among.Front() {
			t.forget(e)
		}
	}
}

// requestUsage returns how many requests are kept, and about what they take.
func (s *Store) requestUsage() (n, bytes int64) {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	return int64(len(s.requests.byKey)), s.requests.bytes
}
