package bolt_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/memory"
)

// ofRequests is what a world was told of requests with an Idempotency-Key.
type ofRequests struct {
	*world
	kept map[backend.RequestKey]backend.Request
	gone []backend.RequestKey
}

func request(name string) (backend.RequestKey, backend.Request) {
	return sha256.Sum256([]byte(name)), backend.Request{
		Fingerprint: sha256.Sum256([]byte("asks " + name)), Plan: "plan " + name,
		Lease: now.Add(time.Minute).Truncate(time.Millisecond), ExpiresAt: now.Add(time.Hour).Truncate(time.Millisecond),
	}
}

// begin begins a request, and answers it unless the answer is empty.
func (w *ofRequests) begin(name, answer string) (backend.RequestKey, backend.Request) {
	w.t.Helper()
	key, r := request(name)
	r.Guest = len(w.kept)%2 == 1
	_, begun, err := w.BeginRequest(w.t.Context(), now, key, r)
	require.NoError(w.t, err)
	require.True(w.t, begun)
	if answer != "" {
		r.Answer = []byte(answer)
		require.NoError(w.t, w.AnswerRequest(w.t.Context(), now, key, r))
	}
	w.kept[key] = r
	return key, r
}

// newRequests returns a world with requests of every kind.
func newRequests(t *testing.T, dir string, interval time.Duration) *ofRequests {
	t.Helper()
	w := &ofRequests{world: newWorld(t, dir, interval), kept: map[backend.RequestKey]backend.Request{}}
	w.fillRequests("")
	return w
}

func (w *ofRequests) fillRequests(round string) {
	w.t.Helper()
	ctx := w.t.Context()
	w.begin(round+"in progress", "")
	w.begin(round+"of a guest", "")
	w.begin(round+"answered", "the answer\x00")
	w.begin(round+"answered to a guest", "another")
	w.begin(round+"large", strings.Repeat("0123456789abcdef", 1<<16))
	key, r := w.begin(round+"given up", "")
	require.NoError(w.t, w.AbandonRequest(ctx, now, key, r.Lease, false))
	r.Lease = now
	w.kept[key] = r
	key, r = w.begin(round+"forgotten", "")
	require.NoError(w.t, w.AbandonRequest(ctx, now, key, r.Lease, true))
	delete(w.kept, key)
	w.gone = append(w.gone, key)
	w.create()
}

// requireRequests checks that a store has these requests, and no other.
func (w *ofRequests) requireRequests(s *bolt.Store, at time.Time) {
	w.t.Helper()
	kept := 0
	for key, want := range w.kept {
		got, ok := s.Request(at, key)
		if !want.ExpiresAt.After(at) {
			require.False(w.t, ok)
			continue
		}
		kept++
		require.True(w.t, ok, want.Plan)
		want.Lease, want.ExpiresAt = want.Lease.UTC(), want.ExpiresAt.UTC()
		got.Lease, got.ExpiresAt = got.Lease.UTC(), got.ExpiresAt.UTC()
		want.Lease = want.Lease.Truncate(time.Millisecond)
		got.Lease = got.Lease.Truncate(time.Millisecond)
		require.Equal(w.t, want, got)
	}
	for _, key := range w.gone {
		_, ok := s.Request(at, key)
		require.False(w.t, ok)
	}
	st, err := s.Stats(w.t.Context(), at)
	require.NoError(w.t, err)
	require.EqualValues(w.t, kept, st.Requests)
}

// requireIn opens what is in a directory.
func (w *ofRequests) requireIn(dir string, at time.Time) {
	w.t.Helper()
	o := w.o
	o.Dir = dir
	s, err := bolt.Open(at, o)
	require.NoError(w.t, err)
	w.requireRequests(s, at)
	require.NoError(w.t, s.Close())
}

func TestRequests_restart(t *testing.T) {
	for name, interval := range map[string]time.Duration{"always": 0, "interval": time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := newRequests(t, scratch(t), interval)
			w.reopen()
			w.requireRequests(w.Store, now)
			for round := range 2 {
				w.fillRequests(fmt.Sprint(round, " "))
				w.requireRequests(w.Store, now)
				w.reopen()
				w.requireRequests(w.Store, now)
			}

			// What a process that died has begun is taken over, with its plan.
			key, want := request("in progress")
			_, later := request("in progress")
			later.Plan, later.Lease = "another", now.Add(2*time.Minute)
			got, begun, err := w.BeginRequest(t.Context(), want.Lease, key, later)
			require.NoError(t, err)
			require.True(t, begun)
			require.Equal(t, want.Plan, got.Plan)
			want.Lease = later.Lease
			w.kept[key] = want
			w.reopen()
			w.requireRequests(w.Store, now)
			require.NoError(t, w.Close())

			// What reads the file without a service knows them, and keeps them.
			report, err := bolt.Check(now, w.dir)
			require.NoError(t, err)
			assert.Equal(t, len(w.kept), report.Requests)
			assert.Equal(t, 3, report.Sessions)
			done, err := bolt.Compact(now, w.dir)
			require.NoError(t, err)
			assert.EqualValues(t, len(w.kept)+3, done.Entries)
			w.requireIn(w.dir, now)
			built := filepath.Join(t.TempDir(), "built")
			require.NoError(t, bolt.Build(now, built, func(to bolt.Sink) error {
				found, err := bolt.Salvage(now, w.dir, to)
				assert.Equal(t, len(w.kept), found.Requests)
				assert.Equal(t, 3, found.Sessions)
				assert.Zero(t, found.Lost)
				return err
			}))
			w.requireIn(built, now)

			// All of them expire.
			after := now.Add(time.Hour)
			w.requireIn(w.dir, after)
			report, err = bolt.Check(after, w.dir)
			require.NoError(t, err)
			assert.Zero(t, report.Requests)
			done, err = bolt.Compact(after, w.dir)
			require.NoError(t, err)
			assert.EqualValues(t, 3, done.Entries, "the sessions")
		})
	}
}

// What a process that died was at need not wait for its lease to end: the repeat goes on
// with its plan at once. What is answered stays answered.
func TestRequests_endAttempts(t *testing.T) {
	for name, interval := range map[string]time.Duration{"always": 0, "interval": time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := newRequests(t, scratch(t), interval)
			w.o.EndAttempts = true
			w.reopen()
			for _, name := range []string{"in progress", "of a guest", "answered"} {
				key, next := request(name)
				want := w.kept[key]
				next.Plan = "another"
				got, begun, err := w.BeginRequest(t.Context(), now, key, next)
				require.NoError(t, err)
				require.Equal(t, !want.Answered(), begun, name)
				require.Equal(t, want.Plan, got.Plan, name)
				require.Equal(t, want.Answer, got.Answer, name)

				_, begun, err = w.BeginRequest(t.Context(), now, key, next)
				require.NoError(t, err)
				require.False(t, begun, "its own attempts are in progress")
			}
		})
	}
}

// Once anybody was told that it has begun, or what the answer is, a crash changes
// nothing.
func TestRequests_crash(t *testing.T) {
	w := newRequests(t, scratch(t), 0)
	crashed := func() {
		t.Helper()
		w.requireIn(directoryOf(t, remains(t, filepath.Join(w.dir, dataFile))), now)
	}
	crashed()
	key, r := w.begin("dies", "")
	crashed()
	require.NoError(t, w.AbandonRequest(t.Context(), now, key, r.Lease, false))
	r.Lease = now
	w.kept[key] = r
	crashed()
	_, next := request("dies")
	next.Plan = "another"
	got, begun, err := w.BeginRequest(t.Context(), now, key, next)
	require.NoError(t, err)
	require.True(t, begun)
	require.Equal(t, r.Plan, got.Plan)
	w.kept[key] = got
	crashed()
	got.Answer = []byte("the answer")
	require.NoError(t, w.AnswerRequest(t.Context(), now, key, got))
	w.kept[key] = got
	crashed()
	key, r = w.begin("forgotten in the end", "")
	require.NoError(t, w.AbandonRequest(t.Context(), now, key, r.Lease, true))
	delete(w.kept, key)
	w.gone = append(w.gone, key)
	crashed()
	require.NoError(t, w.Close())
}

// Of what was swept, or had to make room, the file has no more than memory.
func TestRequests_forgotten(t *testing.T) {
	w := newRequests(t, scratch(t), 0)
	after := now.Add(time.Hour)
	_, err := w.Sweep(t.Context(), after)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	report, err := bolt.Check(now, w.dir)
	require.NoError(t, err)
	assert.Zero(t, report.Requests, "also where the clock is set back")

	w = newRequests(t, scratch(t), 0)
	w.o.Memory.Requests = memory.RequestLimits{Entries: 3}
	w.reopen()
	for key, r := range w.kept {
		if _, ok := w.Request(now, key); ok {
			continue
		}
		require.False(t, r.InProgress(now), r.Plan)
		delete(w.kept, key)
		w.gone = append(w.gone, key)
	}
	require.Len(t, w.kept, 3)
	w.o.Memory.Requests = memory.RequestLimits{}
	w.reopen()
	w.requireRequests(w.Store, now)

	// Two are in progress, and stay if there is room for one only.
	w.o.Memory.Requests = memory.RequestLimits{Entries: 1}
	w.reopen()
	for key, r := range w.kept {
		if !r.InProgress(now) {
			delete(w.kept, key)
		}
	}
	require.Len(t, w.kept, 2)
	w.requireRequests(w.Store, now)
	key, r := request("more")
	_, _, err = w.BeginRequest(t.Context(), now, key, r)
	require.ErrorIs(t, err, backend.ErrFull)
	w.requireRequests(w.Store, now)
	require.NoError(t, w.Close())
}

// A file that is lost is written anew with them.
func TestRequests_rewrite(t *testing.T) {
	w := newRequests(t, scratch(t), 0)
	require.NoError(t, os.Remove(filepath.Join(w.dir, dataFile)))
	w.begin("the next", "")
	w.requireRequests(w.Store, now)
	w.reopen()
	w.requireRequests(w.Store, now)
	require.NoError(t, w.Close())
}

// What becomes dead is collected, beside what goes on.
func TestRequests_collected(t *testing.T) {
	for name, interval := range map[string]time.Duration{"always": 0, "interval": 20 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			w := newRequests(t, scratch(t), interval)
			const size, times = 200_000, 4 * bolt.MaxSpare / 200_000
			w.o.Memory.Requests = memory.RequestLimits{Bytes: 4 << 20}
			w.reopen()
			for i := range times {
				key, r := request(fmt.Sprint("large ", i))
				r.Answer = []byte(strings.Repeat("x", size))
				require.NoError(t, w.AnswerRequest(t.Context(), now, key, r))
				w.kept[key] = r
			}
			for key := range w.kept {
				if _, ok := w.Request(now, key); !ok {
					delete(w.kept, key)
					w.gone = append(w.gone, key)
				}
			}
			require.Greater(t, len(w.gone), times/2)
			require.Greater(t, len(w.kept), 10)
			w.requireRequests(w.Store, now)
			w.reopen()
			w.requireRequests(w.Store, now)
			require.NoError(t, w.Close())
			report, err := bolt.Check(now, w.dir)
			require.NoError(t, err)
			if interval == 0 { // otherwise nobody waits for what is written anew
				assert.Less(t, report.Bytes, int64(5*bolt.MaxSpare/2), "four times as much as may be dead was written")
			}
		})
	}
}

func TestRequests_readOnly(t *testing.T) {
	w := newRequests(t, scratch(t), 0)
	require.NoError(t, w.Close())
	o := w.o
	o.ReadOnly = true
	s, err := bolt.Open(now, o)
	require.NoError(t, err)
	w.requireRequests(s, now)
	key, r := request("new")
	_, _, err = s.BeginRequest(t.Context(), now, key, r)
	require.ErrorIs(t, err, backend.ErrReadOnly)
	r.Answer = []byte("x")
	require.ErrorIs(t, s.AnswerRequest(t.Context(), now, key, r), backend.ErrReadOnly)
	key, r = request("in progress")
	require.ErrorIs(t, s.AbandonRequest(t.Context(), now, key, r.Lease, true), backend.ErrReadOnly)
	key, r = request("answered")
	got, begun, err := s.BeginRequest(t.Context(), now, key, r)
	require.NoError(t, err, "what was answered is known all the same")
	require.False(t, begun)
	require.Equal(t, "the answer\x00", string(got.Answer))
	after := now.Add(time.Hour)
	_, err = s.Sweep(t.Context(), after)
	require.NoError(t, err)
	w.requireRequests(s, after)
	require.NoError(t, s.Close())
}
