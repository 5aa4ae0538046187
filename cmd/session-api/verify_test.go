package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/config"
	"session-api/internal/schema"
	"session-api/internal/servicetest"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// watched is a memory store that tells of what is asked of it.
type watched struct {
	*memory.Store
	deadline atomic.Int64  // how long the last Get had, in nanoseconds
	touching chan struct{} // a touch has begun
	letGo    chan struct{} // and waits for this
	touched  atomic.Bool
	closed   atomic.Bool
}

func (w *watched) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	if at, ok := ctx.Deadline(); ok {
		w.deadline.Store(int64(time.Until(at)))
	}
	return w.Store.Get(ctx, now, key)
}

func (w *watched) Touch(ctx context.Context, now time.Time, key backend.Key, until time.Time) (schema.Session, error) {
	close(w.touching)
	<-w.letGo
	defer w.touched.Store(true)
	return w.Store.Touch(ctx, now, key, until)
}

func (w *watched) Close() error {
	w.closed.Store(w.touched.Load())
	return w.Store.Close()
}

// VERIFY_TIMEOUT_MS is how long a session may be read for a gateway, and a touch
// that is late is over before the store is closed.
func TestVerify_timeoutAndEnd(t *testing.T) {
	environ := servicetest.Environment(t)
	environ["VERIFY_TIMEOUT_MS"], environ["SESSION_TOUCH_INTERVAL_MS"] = "29000", "0"
	c, err := config.Load(environ)
	require.NoError(t, err)
	kept := &watched{Store: memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 10}), touching: make(chan struct{}), letGo: make(chan struct{})}
	s, err := newService(c, kept, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, err)
	ask := func(method, target, cookie string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, "http://localhost"+target, http.NoBody)
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		s.api.ServeHTTP(w, r)
		return w
	}
	made := ask("POST", "/api/session", "")
	require.Equal(t, http.StatusCreated, made.Code)
	cookie, _, _ := strings.Cut(made.Header().Get("Set-Cookie"), ";")
	require.Eventually(t, func() bool { // until the deadline has to move by a millisecond
		require.Equal(t, http.StatusOK, ask("GET", "/api/session/verify", cookie).Code)
		select {
		case <-kept.touching:
			return true
		default:
			return false
		}
	}, patience, time.Millisecond)
	assert.LessOrEqual(t, time.Duration(kept.deadline.Load()), 29*time.Second)
	assert.Positive(t, kept.deadline.Load())

	ended := make(chan error)
	go func() { ended <- s.release() }()
	close(kept.letGo)
	require.NoError(t, <-ended)
	assert.True(t, kept.closed.Load(), "the touch was over by then")
}
