package redis

import (
	"context"
	"strconv"
	"time"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/lua"
)

// BeginRequest implements backend.Requests. It is one round trip. A guest's request cannot
// take the reserve.
func (s *Store) BeginRequest(ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) (stored backend.Request, begun bool, err error) {
	const doing = "beginning a request"
	a, err := s.onRequest(ctx, doing, key, lua.Call{
		Confirmed: s.confirmedWrite(), Script: lua.BeginRequest, Args: append(requestArgs(now, &r), s.reserveArg(r.Guest)),
	})
	switch {
	case err != nil:
		return backend.Request{}, false, err
	case a.Outcome == lua.Full:
		return backend.Request{}, false, s.reservedError(doing)
	}
	copy(stored.Fingerprint[:], a.Text(0))
	stored.Plan = a.Text(1)
	if answer := a.Text(2); answer != "" {
		stored.Answer = []byte(answer)
	}
	stored.Lease, stored.ExpiresAt = requestTime(a.Text(3)), requestTime(a.Text(4))
	stored.Guest = a.Text(5) != ""
	return stored, a.Outcome == lua.Done, nil
}

// AnswerRequest implements backend.Requests. It is one round trip.
func (s *Store) AnswerRequest(ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) error {
	_, err := s.onRequest(ctx, "storing the answer to a request", key, lua.Call{
		Confirmed: s.confirmedWrite(), Script: lua.AnswerRequest, Args: append(requestArgs(now, &r), string(r.Answer)),
	})
	return err
}

// AbandonRequest implements backend.Requests. It is one round trip.
func (s *Store) AbandonRequest(ctx context.Context, now time.Time, key backend.RequestKey, lease time.Time, forget bool) error {
	_, err := s.onRequest(ctx, "abandoning a request", key, lua.Call{
		Confirmed: s.confirmedWrite(), Script: lua.AbandonRequest, Args: []string{millis(now), millis(lease), flag(forget)},
	})
	return err
}

// onRequest runs a script on the key of a request.
func (s *Store) onRequest(ctx context.Context, doing string, key backend.RequestKey, c lua.Call) (lua.Answer, error) {
	client, err := s.client()
	if err != nil {
		return lua.Answer{}, err
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	c.Keys = []string{s.keys.Request(key)}
	return s.eval(ctx, client, doing, c)
}

// requestArgs are what the scripts take of a request.
func requestArgs(now time.Time, r *backend.Request) []string {
	return []string{millis(now), millis(r.Lease), millis(r.ExpiresAt), string(r.Fingerprint[:]), r.Plan, flag(r.Guest)}
}

// requestTime returns a time as the scripts keep it; the zero time for what is none.
func requestTime(ms string) time.Time {
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}
