package api_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// slowWrites is a memory store that reads at once. Its touches wait until they
// are let go, or for as long as they may.
type slowWrites struct {
	*memory.Store
	letGo            chan struct{}
	waiting, touched atomic.Int64
}

func newSlowWrites() *slowWrites {
	return &slowWrites{Store: memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 1000}), letGo: make(chan struct{})}
}

func (s *slowWrites) Touch(ctx context.Context, now time.Time, key backend.Key, until time.Time) (schema.Session, error) {
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	select {
	case <-s.letGo:
		s.touched.Add(1)
		return s.Store.Touch(ctx, now, key, until)
	case <-ctx.Done():
		return schema.Session{}, fmt.Errorf("%w: %w", backend.ErrUnavailable, ctx.Err())
	}
}

// A touch that takes longer than a gateway waits goes on after the answer.
func TestVerifyAnswersBeforeALateTouch(t *testing.T) {
	kept := newSlowWrites()
	s := start(t, func(set *settings) { set.store, set.VerifyTimeout = kept, 30*time.Millisecond })
	c := s.client()
	made := c.create(ada)
	s.clock.advance(time.Hour)
	for range 3 {
		a := c.do("GET", verify, "").expect(200)
		assert.Equal(t, made.ID, identity(t, a.Header)[0])
		assert.Empty(t, a.Header["Set-Cookie"], "it has not moved yet")
		assert.EqualValues(t, 1, kept.waiting.Load(), "one touch of a session is enough")
	}
	close(kept.letGo)
	require.Eventually(t, func() bool { return kept.touched.Load() == 1 }, patience, time.Millisecond)
	s.api.Settle(t.Context())
	d := c.do("GET", "/api/session?touch=false", "").expect(200).document()
	assert.Equal(t, s.clock.Now().Add(24*time.Hour), d.ExpiresAt)
	c.do("GET", verify, "").expect(200)
}

// A store that cannot write does not collect what waits for it.
func TestVerifyBoundsLateTouches(t *testing.T) {
	const visitors = 100
	kept := newSlowWrites()
	s := start(t, func(set *settings) { set.store, set.VerifyTimeout = kept, 3*time.Millisecond })
	clients := make([]*client, visitors)
	for i := range clients {
		clients[i] = s.client()
		clients[i].create(ada)
	}
	s.clock.advance(time.Hour)
	statuses := make(chan int, visitors)
	for _, c := range clients {
		go func() { statuses <- c.do("GET", verify, "").StatusCode }()
	}
	for range visitors {
		assert.Equal(t, 200, <-statuses)
	}
	assert.LessOrEqual(t, kept.waiting.Load(), int64(64))
	s.api.Settle(t.Context())
	assert.Zero(t, kept.waiting.Load())
	assert.Contains(t, s.log.String(), "cannot be moved")

	before := kept.waiting.Load()
	for _, c := range clients[:3] {
		c.do("GET", verify, "").expect(200)
	}
	assert.Equal(t, before, kept.waiting.Load(), "nothing begins when the store is about to be closed")
}

// slowReads is a memory store whose reads take long.
type slowReads struct {
	*memory.Store
	takes atomic.Int64
}

func (s *slowReads) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	timer := time.NewTimer(time.Duration(s.takes.Load()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return s.Store.Get(ctx, now, key)
	case <-ctx.Done():
		return schema.Session{}, fmt.Errorf("%w: %w", backend.ErrUnavailable, ctx.Err())
	}
}

// The whole time is for reading: the touch takes none of it away.
func TestVerifyTimeoutIsForReading(t *testing.T) {
	const timeout = 2 * time.Second
	kept := &slowReads{Store: memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 10})}
	s := start(t, func(set *settings) { set.store, set.VerifyTimeout = kept, timeout })
	c := s.client()
	c.create(ada)
	s.clock.advance(time.Hour)
	kept.takes.Store(int64(timeout * 7 / 10)) // beyond two thirds
	require.Eventually(t, func() bool { return c.do("GET", verify, "").StatusCode == http.StatusOK }, patience, time.Millisecond)
	kept.takes.Store(int64(time.Hour))
	began := time.Now()
	c.do("GET", verify, "").problem(503, "store_unavailable")
	assert.GreaterOrEqual(t, time.Since(began), timeout)
}

// panics is a memory store whose touches do.
type panics struct{ *memory.Store }

func (panics) Touch(context.Context, time.Time, backend.Key, time.Time) (schema.Session, error) {
	panic("broken")
}

func TestVerifyOutlivesATouchThatPanics(t *testing.T) {
	s := start(t, func(set *settings) {
		set.store = panics{memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 10})}
	})
	c := s.client()
	c.create(ada)
	s.clock.advance(time.Hour)
	for range 2 {
		c.do("GET", verify, "").expect(200)
	}
	assert.Contains(t, s.log.String(), `"msg":"panic"`)
	s.api.Settle(t.Context())
}
