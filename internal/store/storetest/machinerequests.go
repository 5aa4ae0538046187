package storetest

import (
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"session-api/internal/store/backend"
)

// drawRequest draws an attempt at one of a few requests.
func (m *machine) drawRequest(rt *rapid.T) (backend.RequestKey, backend.Request) {
	after := func(name string) time.Time {
		return m.now().Add(time.Duration(rapid.IntRange(1, 8).Draw(rt, name)) * time.Millisecond)
	}
	r := backend.Request{
		Fingerprint: backend.Fingerprint{byte(rapid.IntRange(0, 2).Draw(rt, "asks") / 2)},
		Plan:        rapid.StringN(0, 3, 10).Draw(rt, "plan"),
		Lease:       after("lease"), ExpiresAt: after("end"), Guest: rapid.Bool().Draw(rt, "guest"),
	}
	return requestKey(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "key")), r
}

func (m *machine) doBegin(rt *rapid.T) {
	m.expire(m.now())
	key, r := m.drawRequest(rt)
	got, begun, err := m.BeginRequest(m.ctx(), m.now(), key, r)
	require.NoError(rt, err)
	kept, ok := m.requests[key]
	switch {
	case !ok:
		m.requests[key] = r
	case kept.Answer != nil, kept.Lease.After(m.now()), kept.Fingerprint != r.Fingerprint:
		require.False(rt, begun)
		requireRequest(m.t, kept, got)
		return
	default:
		kept.Lease, kept.ExpiresAt = r.Lease, r.ExpiresAt
		m.requests[key] = kept
	}
	require.True(rt, begun)
	requireRequest(m.t, m.requests[key], got)
}

func (m *machine) doAnswer(rt *rapid.T) {
	m.expire(m.now())
	key, r := m.drawRequest(rt)
	r.Answer = []byte(rapid.SampledFrom([]string{"yes", "no"}).Draw(rt, "answer"))
	require.NoError(rt, m.AnswerRequest(m.ctx(), m.now(), key, r))
	if m.requests[key].Answer == nil {
		m.requests[key] = r
	}
}

func (m *machine) doAbandon(rt *rapid.T) {
	m.expire(m.now())
	key, r := m.drawRequest(rt)
	if kept, ok := m.requests[key]; ok && rapid.Bool().Draw(rt, "own") {
		r.Lease = kept.Lease
	}
	forget := rapid.Bool().Draw(rt, "forget")
	require.NoError(rt, m.AbandonRequest(m.ctx(), m.now(), key, r.Lease, forget))
	kept, ok := m.requests[key]
	switch {
	case !ok, kept.Answer != nil, !kept.Lease.Equal(r.Lease):
	case forget:
		delete(m.requests, key)
	default:
		kept.Lease = m.now()
		m.requests[key] = kept
	}
}
