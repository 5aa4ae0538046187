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
	limits RequestLimits

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

func newRequestTable(limits RequestLimits) requestTable {
	return requestTable{
		limits: RequestLimits{cmp.Or(limits.Entries, backend.DefaultRequests), cmp.Or(limits.Bytes, backend.DefaultRequestBytes)},
		byKey:  make(map[backend.RequestKey]*list.Element), guests: list.New(), others: list.New(),
	}
}

// BeginRequest implements backend.Requests.
func (s *Store) BeginRequest(_ context.Context, now time.Time, key backend.RequestKey, r backend.Request) (backend.Request, bool, error) {
	t := &s.requests
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.live(now, key)
	switch {
	case kept == nil:
		if err := t.put(now, key, r); err != nil {
			return backend.Request{}, false, err
		}
		return r, true, nil
	case kept.Answer != nil || kept.InProgress(now):
		return kept.Request, false, nil
	}
	kept.Lease, kept.ExpiresAt = r.Lease, r.ExpiresAt
	return kept.Request, true, nil
}

// AnswerRequest implements backend.Requests.
func (s *Store) AnswerRequest(_ context.Context, now time.Time, key backend.RequestKey, r backend.Request) error {
	t := &s.requests
	t.mu.Lock()
	defer t.mu.Unlock()
	if kept := t.live(now, key); kept != nil {
		if kept.Answer != nil {
			return nil
		}
		t.remove(t.byKey[key])
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
	case kept == nil || kept.Answer != nil || !kept.Lease.Equal(lease):
	case forget:
		t.remove(t.byKey[key])
	default:
		kept.Lease = now
	}
	return nil
}

// live returns the request of the key that has not expired; nil for none.
func (t *requestTable) live(now time.Time, key backend.RequestKey) *keptRequest {
	e, ok := t.byKey[key]
	if !ok {
		return nil
	}
	kept := e.Value.(*keptRequest) //nolint:forcetypeassert // the lists hold nothing else
	if !kept.ExpiresAt.After(now) {
		t.remove(e)
		return nil
	}
	return kept
}

// put adds a request whose key has none, and makes room for it.
func (t *requestTable) put(now time.Time, key backend.RequestKey, r backend.Request) error {
	for len(t.byKey) >= t.limits.Entries || t.bytes+r.Cost() > t.limits.Bytes {
		if !t.forgetOldest(now, t.guests) && !t.forgetOldest(now, t.others) {
			return backend.ErrFull
		}
	}
	t.byKey[key] = t.list(&r).PushBack(&keptRequest{key, r})
	t.bytes += r.Cost()
	return nil
}

// forgetOldest forgets the oldest request of the list that is not in progress.
func (t *requestTable) forgetOldest(now time.Time, among *list.List) bool {
	for e := among.Front(); e != nil; e = e.Next() {
		kept := e.Value.(*keptRequest) //nolint:forcetypeassert // the lists hold nothing else
		if !kept.InProgress(now) || !kept.ExpiresAt.After(now) {
			t.remove(e)
			return true
		}
	}
	return false
}

func (t *requestTable) list(r *backend.Request) *list.List {
	if r.Guest {
		return t.guests
	}
	return t.others
}

func (t *requestTable) remove(e *list.Element) {
	kept := e.Value.(*keptRequest) //nolint:forcetypeassert // the lists hold nothing else
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
		for e := among.Front(); e != nil; {
			next := e.Next()
			if e.Value.(*keptRequest).ExpiresAt.After(now) { //nolint:forcetypeassert // the lists hold nothing else
				break
			}
			t.remove(e)
			e = next
		}
	}
}

// requestUsage returns how many requests are kept, and about what they take.
func (s *Store) requestUsage() (n, bytes int64) {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	return int64(len(s.requests.byKey)), s.requests.bytes
}
