package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

const (
	// lease is how long the suite's attempts are in progress, and requestTTL how long
	// their requests are remembered.
	lease      = 10 * time.Second
	requestTTL = time.Minute
)

func requestKey(name string) backend.RequestKey { return sha256.Sum256([]byte("key " + name)) }

// request returns a request that begins now, by which everything in it can be told from
// another one's.
func (f *fixture) request(name string) backend.Request {
	return backend.Request{
		Fingerprint: sha256.Sum256([]byte("asks " + name)), Plan: "plan " + name,
		Lease: f.now().Add(lease), ExpiresAt: f.now().Add(requestTTL),
	}
}

// begun begins a request that must not have begun before.
func (f *fixture) begun(key backend.RequestKey, r backend.Request) backend.Request {
	f.t.Helper()
	stored, begun, err := f.BeginRequest(f.ctx(), f.now(), key, r)
	require.NoError(f.t, err)
	require.True(f.t, begun)
	return stored
}

// seen looks for a request that must be there, by one that asks something else.
func (f *fixture) seen(key backend.RequestKey) backend.Request {
	f.t.Helper()
	stored, begun, err := f.BeginRequest(f.ctx(), f.now(), key, f.request("of whoever looks"))
	require.NoError(f.t, err)
	require.False(f.t, begun)
	return stored
}

// found is seen, and the same request must not begin either.
func (f *fixture) found(key backend.RequestKey) backend.Request {
	f.t.Helper()
	seen := f.seen(key)
	again := f.request("of whoever repeats it")
	again.Fingerprint = seen.Fingerprint
	stored, begun, err := f.BeginRequest(f.ctx(), f.now(), key, again)
	require.NoError(f.t, err)
	require.False(f.t, begun)
	requireRequest(f.t, seen, stored)
	return stored
}

// requireFree checks that the key has no request.
func (f *fixture) requireFree(key backend.RequestKey) {
	f.t.Helper()
	r := f.request("of whoever comes after")
	requireRequest(f.t, r, f.begun(key, r))
	require.NoError(f.t, f.AbandonRequest(f.ctx(), f.now(), key, r.Lease, true))
}

func (f *fixture) answered(key backend.RequestKey, r backend.Request, answer string) backend.Request {
	f.t.Helper()
	r.Answer = []byte(answer)
	require.NoError(f.t, f.AnswerRequest(f.ctx(), f.now(), key, r))
	return r
}

func requireRequest(t testing.TB, want, got backend.Request) {
	t.Helper()
	require.Equal(t, want.Fingerprint, got.Fingerprint)
	require.Equal(t, want.Plan, got.Plan)
	require.True(t, bytes.Equal(want.Answer, got.Answer), "the answer")
	require.Equal(t, want.Lease.UnixMilli(), got.Lease.UnixMilli(), "the lease")
	require.Equal(t, want.ExpiresAt.UnixMilli(), got.ExpiresAt.UnixMilli(), "the end")
	require.Equal(t, want.Guest, got.Guest)
}

// testRequests is about backend.Requests.
func testRequests(t *testing.T, open Open) {
	key := requestKey("a")

	t.Run("one attempt is in progress", func(t *testing.T) {
		f := newFixture(t, open)
		for _, guest := range []bool{false, true} {
			name := fmt.Sprint(guest)
			key, r := requestKey(name), f.request(name)
			r.Guest = guest
			requireRequest(t, r, f.begun(key, r))
			requireRequest(t, r, f.found(key))
			f.requireFree(requestKey("another"))

			answered := f.answered(key, r, "the answer")
			requireRequest(t, answered, f.found(key))
			f.clock.Advance(lease)
			requireRequest(t, answered, f.found(key))
		}
	})

	t.Run("an attempt that died is taken over", func(t *testing.T) {
		f := newFixture(t, open)
		first := f.request("a")
		first.Guest = true
		f.begun(key, first)
		f.clock.Advance(lease - time.Millisecond)
		requireRequest(t, first, f.found(key))
		f.clock.Advance(time.Millisecond)

		second := f.request("another plan")
		second.Fingerprint = first.Fingerprint
		want := first
		want.Lease, want.ExpiresAt = second.Lease, second.ExpiresAt
		requireRequest(t, want, f.begun(key, second))
		requireRequest(t, want, f.found(key))

		// Who died was only late.
		require.NoError(t, f.AbandonRequest(f.ctx(), f.now(), key, first.Lease, true))
		require.NoError(t, f.AbandonRequest(f.ctx(), f.now(), key, first.Lease, false))
		requireRequest(t, want, f.found(key))
		answered := f.answered(key, first, "of the first attempt")
		requireRequest(t, answered, f.found(key))
		f.answered(key, want, "of the second attempt")
		requireRequest(t, answered, f.found(key))
	})

	t.Run("one that asks something else does not take it over", func(t *testing.T) {
		f := newFixture(t, open)
		first := f.request("a")
		f.begun(key, first)
		f.clock.Advance(lease)
		requireRequest(t, first, f.seen(key))
		again := f.request("a")
		again.Plan = "another"
		first.Lease, first.ExpiresAt = again.Lease, again.ExpiresAt
		requireRequest(t, first, f.begun(key, again))
	})

	t.Run("the first answer holds", func(t *testing.T) {
		f := newFixture(t, open)
		r := f.request("a")
		f.begun(key, r)
		first := f.answered(key, r, "first")
		other := f.request("other")
		other.ExpiresAt = other.ExpiresAt.Add(time.Minute)
		f.answered(key, other, "second")
		requireRequest(t, first, f.found(key))
		for _, forget := range []bool{false, true} {
			require.NoError(t, f.AbandonRequest(f.ctx(), f.now(), key, r.Lease, forget))
			requireRequest(t, first, f.found(key))
		}
	})

	t.Run("an answer needs no beginning", func(t *testing.T) {
		f := newFixture(t, open)
		answered := f.answered(key, f.request("a"), "late")
		requireRequest(t, answered, f.found(key))
	})

	t.Run("given up", func(t *testing.T) {
		f := newFixture(t, open)
		r := f.request("a")
		f.begun(key, r)
		require.NoError(t, f.AbandonRequest(f.ctx(), f.now(), key, r.Lease.Add(time.Millisecond), true))
		requireRequest(t, r, f.found(key))

		require.NoError(t, f.AbandonRequest(f.ctx(), f.now(), key, r.Lease, false))
		f.clock.Advance(time.Second)
		next := f.request("a")
		next.Plan = "another"
		want := r
		want.Lease, want.ExpiresAt = next.Lease, next.ExpiresAt
		requireRequest(t, want, f.begun(key, next))
		requireRequest(t, want, f.found(key))

		require.NoError(t, f.AbandonRequest(f.ctx(), f.now(), key, next.Lease, true))
		f.requireFree(key)
		require.NoError(t, f.AbandonRequest(f.ctx(), f.now(), key, next.Lease, true))
		require.NoError(t, f.AbandonRequest(f.ctx(), f.now(), requestKey("unknown"), next.Lease, false))
		f.requireFree(requestKey("unknown"))
	})

	t.Run("an expired request is absent", func(t *testing.T) {
		for _, swept := range []bool{false, true} {
			f := newFixture(t, open)
			r := f.request("a")
			f.begun(key, r)
			f.answered(key, r, "old")
			unanswered := requestKey("unanswered")
			f.begun(unanswered, f.request("b"))
			f.clock.Advance(requestTTL - time.Millisecond)
			f.found(key)
			f.clock.Advance(time.Millisecond)
			if swept {
				f.sweep()
				assert.Zero(t, f.stats().Requests)
				assert.Zero(t, f.stats().RequestBytes)
			}
			require.NoError(t, f.AbandonRequest(f.ctx(), f.now(), unanswered, r.Lease, false))
			f.requireFree(unanswered)
			next := f.request("new")
			next.Guest = true
			requireRequest(t, next, f.begun(key, next))
			requireRequest(t, next, f.found(key))
			answered := f.answered(key, next, "new")
			requireRequest(t, answered, f.found(key))
		}
	})

	t.Run("an expired answer is answered anew", func(t *testing.T) {
		f := newFixture(t, open)
		f.answered(key, f.request("a"), "old")
		f.clock.Advance(requestTTL)
		answered := f.answered(key, f.request("b"), "new")
		requireRequest(t, answered, f.found(key))
	})

	t.Run("any bytes", func(t *testing.T) {
		f := newFixture(t, open)
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		for name, text := range map[string]string{
			"every byte": string(all), "zero": "\x00", "like a number": "-1", "lines": "\r\n\r\n", "one MiB": strings.Repeat("0123456789abcde\x00", 1<<16),
		} {
			key, r := requestKey(name), f.request(name)
			if len(text) < 1000 {
				r.Plan = text
			}
			copy(r.Fingerprint[:], all[224:])
			f.begun(key, r)
			requireRequest(t, r, f.found(key))
			answered := f.answered(key, r, text)
			requireRequest(t, answered, f.found(key))
		}
		r := f.request("no plan")
		r.Plan, r.Fingerprint = "", backend.Fingerprint{}
		f.begun(backend.RequestKey{}, r)
		requireRequest(t, r, f.found(backend.RequestKey{}))
		answered := f.answered(backend.RequestKey{}, r, "x")
		requireRequest(t, answered, f.found(backend.RequestKey{}))
	})

	t.Run("sessions come and go beside it", func(t *testing.T) {
		f := newLimited(t, open, Limits{Tombstone: time.Hour})
		r := f.request("a")
		f.begun(key, r)
		answer := f.answered(requestKey("answered"), f.request("b"), "b")
		// Not even one whose id is the key.
		id := fmt.Sprintf("%x", key)
		for _, namespace := range []string{schema.DefaultNamespace, "shop", "request"} {
			sess := f.created(spec{namespace: namespace, id: id})
			require.NoError(t, f.Delete(f.ctx(), f.now(), sess.Key(), 0))
			f.created(spec{namespace: namespace, user: "ada"})
			_, err := f.Clear(f.ctx(), f.now(), backend.Filter{Namespace: namespace})
			require.NoError(t, err)
		}
		f.sweep()
		assert.Zero(t, f.stats().Entries)
		requireRequest(t, r, f.found(key))
		requireRequest(t, answer, f.found(requestKey("answered")))
	})

	t.Run("one of many begins", func(t *testing.T) {
		f := newFixture(t, open)
		at := f.request("a").Lease
		for round := range 3 { // the first, one after an attempt that died, and after one that was given up
			plans := make([]string, crowd)
			begun := oneOf(func(i int) error {
				r := f.request("a")
				if r.Plan = fmt.Sprint(i); round > 0 {
					r.Plan += " of a later round"
				}
				r.Lease = at
				stored, begun, err := f.BeginRequest(f.ctx(), f.now(), key, r)
				if plans[i] = stored.Plan; err == nil && !begun {
					err = errInProgress
				}
				return err
			}, errInProgress)
			assert.Equal(t, map[error]int{nil: 1, errInProgress: crowd - 1}, begun)
			for _, plan := range plans {
				assert.Equal(t, plans[0], plan)
				assert.NotContains(t, plan, "later")
			}
			if round == 0 {
				f.clock.Advance(lease)
			} else {
				require.NoError(t, f.AbandonRequest(f.ctx(), f.now(), key, at, false))
			}
			at = at.Add(lease)
		}
	})

	t.Run("one of many answers", func(t *testing.T) {
		f := newFixture(t, open)
		r := f.request("a")
		f.begun(key, r)
		together(crowd, func(i int) {
			mine := r
			mine.Answer = fmt.Append(nil, i)
			assert.NoError(t, f.AnswerRequest(f.ctx(), f.now(), key, mine))
			first := f.found(key)
			again := f.found(key)
			assert.Equal(t, string(first.Answer), string(again.Answer))
		})
	})
}

// errInProgress counts attempts that did not begin.
var errInProgress = errors.New("in progress")

// testRequestLimits is about a store that has room for so many requests only.
func testRequestLimits(t *testing.T, open Open) {
	name := func(i int) string { return fmt.Sprint("request ", i) }

	t.Run("the oldest are forgotten, those of guests first", func(t *testing.T) {
		f := newLimited(t, open, Limits{Requests: 4})
		for i, guest := range []bool{false, true, false, true} {
			r := f.request(name(i))
			r.Guest = guest
			f.begun(requestKey(name(i)), r)
			f.answered(requestKey(name(i)), r, name(i))
			f.clock.Advance(time.Millisecond)
		}
		for i, gone := range []int{1, 3, 0, 2} {
			for left := range 4 {
				if left == gone {
					assert.Equal(t, name(gone), string(f.found(requestKey(name(gone))).Answer))
				}
			}
			r := f.request(name(10 + i))
			f.begun(requestKey(name(10+i)), r)
			f.clock.Advance(time.Millisecond)
			require.EqualValues(t, 4, f.stats().Requests)
		}
		// All that are there are in progress.
		_, begun, err := f.BeginRequest(f.ctx(), f.now(), requestKey("more"), f.request("more"))
		require.ErrorIs(t, err, backend.ErrFull)
		require.False(t, begun)
		late := f.request("late")
		late.Answer = []byte("late")
		require.ErrorIs(t, f.AnswerRequest(f.ctx(), f.now(), requestKey("late"), late), backend.ErrFull)
		for i := range 4 {
			f.found(requestKey(name(10 + i)))
		}
		f.answered(requestKey(name(12)), f.request(name(12)), "done")
		f.begun(requestKey("more"), f.request("more"))
		for i := range 4 {
			if i != 2 {
				f.found(requestKey(name(10 + i)))
			}
		}
	})

	t.Run("an attempt that died makes room", func(t *testing.T) {
		f := newLimited(t, open, Limits{Requests: 1})
		f.begun(requestKey("a"), f.request("a"))
		f.clock.Advance(lease)
		f.begun(requestKey("b"), f.request("b"))
		assert.EqualValues(t, 1, f.stats().Requests)
	})

	t.Run("bytes", func(t *testing.T) {
		f := newLimited(t, open, Limits{RequestBytes: 10_000})
		small, big := requestKey("small"), requestKey("big")
		kept := f.answered(small, f.request("small"), strings.Repeat("x", 400))
		r := f.request("big")
		f.begun(big, r)
		tooMuch := r
		tooMuch.Answer = make([]byte, 10_000)
		require.ErrorIs(t, f.AnswerRequest(f.ctx(), f.now(), big, tooMuch), backend.ErrFull)
		requireRequest(t, r, f.found(big))
		requireRequest(t, kept, f.found(small))
		tooMuch.Answer, tooMuch.Plan = nil, strings.Repeat("x", 10_000)
		_, _, err := f.BeginRequest(f.ctx(), f.now(), requestKey("c"), tooMuch)
		require.ErrorIs(t, err, backend.ErrFull)
		requireRequest(t, kept, f.found(small))

		answered := f.answered(big, r, strings.Repeat("x", 9_300))
		st := f.stats()
		assert.EqualValues(t, 1, st.Requests)
		assert.Equal(t, answered.Cost(), st.RequestBytes)
		requireRequest(t, answered, f.found(big))
		f.begun(small, f.request("new"))
		assert.EqualValues(t, 2, f.stats().Requests)
		f.answered(small, f.request("new"), strings.Repeat("y", 2_000))
		assert.EqualValues(t, 1, f.stats().Requests)
	})

	t.Run("many at once", func(t *testing.T) {
		f := newLimited(t, open, Limits{Requests: crowd, RequestBytes: 1 << 20})
		together(crowd, func(i int) {
			for n := range 10 {
				at := fmt.Sprint(i, " ", n)
				r := f.request(at)
				r.Guest = n%2 == 0
				_, begun, err := f.BeginRequest(f.ctx(), f.now(), requestKey(at), r)
				assert.NoError(t, err)
				assert.True(t, begun)
				if n%3 == 0 {
					assert.NoError(t, f.AbandonRequest(f.ctx(), f.now(), requestKey(at), r.Lease, n%2 == 0))
				} else {
					r.Answer = []byte(at)
					assert.NoError(t, f.AnswerRequest(f.ctx(), f.now(), requestKey(at), r))
				}
			}
		})
		st := f.stats()
		assert.LessOrEqual(t, st.Requests, int64(crowd))
		assert.Positive(t, st.Requests)
		f.clock.Advance(requestTTL)
		f.sweep()
		st = f.stats()
		assert.Zero(t, st.Requests)
		assert.Zero(t, st.RequestBytes)
	})
}
