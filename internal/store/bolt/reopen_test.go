package bolt_test

import (
	"cmp"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/storetest"
)

// TestStoreReopened runs the suite on a store that is closed and opened again
// after each change. With an interval, that is written at the end which is written
// with each change otherwise; so it takes part in what ends sessions and moves them.
func TestStoreReopened(t *testing.T) {
	soaktest.RandomRuns(t, 8)
	for name, interval := range map[string]time.Duration{"always": 0, "interval": time.Hour} {
		t.Run(name, func(t *testing.T) {
			// Events are those of reopened, and one change at a time is under way.
			without := []string{"Concurrent", "Events", "Follow", "Settings", "Many"}
			if interval > 0 {
				without = append(without, "LimitLife", "List", "Cursor", "Count", "Clear", "Cancelled", "Stats",
					"Namespaces", "Files", "Sessions", "Put", "SignIn", "Attempts")
			}
			storetest.RunWithout(t, func(t testing.TB, limits storetest.Limits) (backend.Store, storetest.Clock) {
				t.Helper()
				clock := storetest.NewFakeClock()
				o := options(scratch(t), limits)
				o.Interval = interval
				r := &reopened{t: t, clock: clock, o: o, events: backend.NewEventLog(cmp.Or(limits.Events, 1000))}
				r.o.Memory.OnEvent = func(ev backend.Event) { r.events.Publish(&ev) }
				s, err := bolt.Open(clock.Now(), r.o)
				require.NoError(t, err)
				r.s = s
				return r, clock
			}, without...)
		})
	}
}

// reopened is a store that is another one after each change. What a process
// counts, and its events, it keeps for all of them, as the suite expects of a
// store.
type reopened struct {
	t     testing.TB
	clock storetest.Clock
	o     bolt.Options

	mu sync.RWMutex // for reading to use s, for writing to replace it
	s  *bolt.Store
	// changes is how many there were.
	changes int
	// before are the counters of those that are closed, dropped is how many
	// sessions had expired, but were not swept, when one was.
	before  backend.Stats
	dropped int64
	events  *backend.EventLog
	limit   time.Duration // see LimitLife
}

var _ backend.Store = (*reopened)(nil)

func (r *reopened) get() (s *bolt.Store, done func()) {
	r.mu.RLock()
	return r.s, r.mu.RUnlock
}

func (r *reopened) stats(now time.Time) backend.Stats {
	st, err := r.s.Stats(context.Background(), now)
	require.NoError(r.t, err)
	return st
}

// eachChange is after how many changes of a case, each of which is seen through, only
// one of thenEach is: more than a case of the suite makes that is about a few sessions.
var eachChange = soaktest.Times(15, 40)

const thenEach = 50

// again replaces the store after a change, once nobody uses it. What was refused
// changes nothing; if it did on disk, the next change's store would show it.
func (r *reopened) again(refused error) {
	if refused != nil && !soaktest.Long() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changes++; r.changes > eachChange && r.changes%thenEach != 0 {
		return
	}
	now := r.clock.Now()
	last := r.stats(now)
	require.NoError(r.t, r.s.Close())
	s, err := bolt.Open(now, r.o)
	require.NoError(r.t, err)
	s.LimitLife(r.limit)
	r.s = s
	r.dropped += last.Entries - r.stats(now).Entries
	r.before.Hits += last.Hits
	r.before.Misses += last.Misses
	r.before.Sets += last.Sets
	r.before.Deletes += last.Deletes
	r.before.Evictions += last.Evictions
	r.before.Expirations += last.Expirations
}

func (r *reopened) LoadState(ctx context.Context, name string) ([]byte, error) {
	s, done := r.get()
	defer done()
	return s.LoadState(ctx, name)
}

func (r *reopened) SwapState(ctx context.Context, name string, old, next []byte) (err error) {
	defer func() { r.again(err) }()
	s, done := r.get()
	defer done()
	return s.SwapState(ctx, name, old, next)
}

func (r *reopened) BeginRequest(ctx context.Context, now time.Time, key backend.RequestKey, req backend.Request) (_ backend.Request, begun bool, err error) {
	defer func() { r.again(err) }()
	s, done := r.get()
	defer done()
	return s.BeginRequest(ctx, now, key, req)
}

func (r *reopened) AnswerRequest(ctx context.Context, now time.Time, key backend.RequestKey, req backend.Request) (err error) {
	defer func() { r.again(err) }()
	s, done := r.get()
	defer done()
	return s.AnswerRequest(ctx, now, key, req)
}

func (r *reopened) AbandonRequest(ctx context.Context, now time.Time, key backend.RequestKey, lease time.Time, forget bool) (err error) {
	defer func() { r.again(err) }()
	s, done := r.get()
	defer done()
	return s.AbandonRequest(ctx, now, key, lease, forget)
}

func (r *reopened) LimitLife(limit time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limit = limit
	r.s.LimitLife(limit)
}

func (r *reopened) Name() string { return "bolt" }

func (r *reopened) Create(ctx context.Context, now time.Time, sess schema.Session, opts ...backend.CreateOption) (err error) {
	defer func() { r.again(err) }()
	s, done := r.get()
	defer done()
	return s.Create(ctx, now, sess, opts...)
}

func (r *reopened) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	s, done := r.get()
	defer done()
	return s.Get(ctx, now, key)
}

func (r *reopened) Peek(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	s, done := r.get()
	defer done()
	return s.Peek(ctx, now, key)
}

func (r *reopened) Swap(ctx context.Context, now time.Time, old, next schema.Session) (_ schema.Session, err error) {
	defer func() { r.again(err) }()
	s, done := r.get()
	defer done()
	return s.Swap(ctx, now, old, next)
}

func (r *reopened) Touch(ctx context.Context, now time.Time, key backend.Key, until time.Time) (_ schema.Session, err error) {
	defer func() { r.again(err) }()
	s, done := r.get()
	defer done()
	return s.Touch(ctx, now, key, until)
}

func (r *reopened) Regenerate(ctx context.Context, now time.Time, old, next schema.Session, graceUntil time.Time) (err error) {
	defer func() { r.again(err) }()
	s, done := r.get()
	defer done()
	return s.Regenerate(ctx, now, old, next, graceUntil)
}

func (r *reopened) Delete(ctx context.Context, now time.Time, key backend.Key, revision int64) (err error) {
	defer func() { r.again(err) }()
	s, done := r.get()
	defer done()
	return s.Delete(ctx, now, key, revision)
}

func (r *reopened) Clear(ctx context.Context, now time.Time, f backend.Filter) (_ int, err error) {
	defer func() { r.again(err) }()
	s, done := r.get()
	defer done()
	return s.Clear(ctx, now, f)
}

func (r *reopened) GetAll(ctx context.Context, now time.Time, b backend.Batch) ([]backend.Found[schema.Session], error) {
	s, done := r.get()
	defer done()
	return s.GetAll(ctx, now, b)
}

func (r *reopened) Summarize(ctx context.Context, now time.Time, namespace string, ids []string) ([]backend.Found[schema.Summary], error) {
	s, done := r.get()
	defer done()
	return s.Summarize(ctx, now, namespace, ids)
}

func (r *reopened) DeleteAll(ctx context.Context, now time.Time, namespace string, ids []string) (_ []bool, err error) {
	defer func() { r.again(err) }()
	s, done := r.get()
	defer done()
	return s.DeleteAll(ctx, now, namespace, ids)
}

func (r *reopened) Summaries(ctx context.Context, now time.Time, q backend.Query) (backend.SummaryPage, error) {
	s, done := r.get()
	defer done()
	return s.Summaries(ctx, now, q)
}

func (r *reopened) List(ctx context.Context, now time.Time, q backend.Query) (backend.Page, error) {
	s, done := r.get()
	defer done()
	return s.List(ctx, now, q)
}

func (r *reopened) Count(ctx context.Context, now time.Time, f backend.Filter) (int, error) {
	s, done := r.get()
	defer done()
	return s.Count(ctx, now, f)
}

func (r *reopened) Namespaces(ctx context.Context, now time.Time) ([]string, error) {
	s, done := r.get()
	defer done()
	return s.Namespaces(ctx, now)
}

func (r *reopened) Files(ctx context.Context, now time.Time, yield func(path string) error) error {
	s, done := r.get()
	done() // what is yielded may make changes; memory can be read for ever
	return s.Files(ctx, now, yield)
}

func (r *reopened) HasFile(ctx context.Context, now time.Time, paths ...string) (bool, error) {
	s, done := r.get()
	defer done()
	return s.HasFile(ctx, now, paths...)
}

func (r *reopened) Follow(ctx context.Context, after string, yield func(backend.Event) error) error {
	return r.events.Follow(ctx, after, yield)
}

func (r *reopened) Sweep(ctx context.Context, now time.Time) (int, error) {
	defer r.again(nil)
	s, done := r.get()
	defer done()
	n, err := s.Sweep(ctx, now)
	n += int(r.dropped)
	r.before.Expirations += r.dropped
	r.dropped = 0
	return n, err
}

func (r *reopened) Stats(_ context.Context, now time.Time) (backend.Stats, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.stats(now)
	st.Entries += r.dropped
	st.Hits += r.before.Hits
	st.Misses += r.before.Misses
	st.Sets += r.before.Sets
	st.Deletes += r.before.Deletes
	st.Evictions += r.before.Evictions
	st.Expirations += r.before.Expirations
	return st, nil
}

func (r *reopened) Ping(ctx context.Context) error {
	s, done := r.get()
	defer done()
	return s.Ping(ctx)
}

func (r *reopened) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.s.Close()
}
