package store

import (
	"context"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// BeginRequest is backend.Requests.BeginRequest, in whole milliseconds.
func (s *Sessions) BeginRequest(ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) (stored backend.Request, begun bool, err error) {
	return s.backend.BeginRequest(ctx, schema.Now(now), key, inMilliseconds(r))
}

// AnswerRequest is backend.Requests.AnswerRequest, in whole milliseconds.
func (s *Sessions) AnswerRequest(ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) error {
	return s.backend.AnswerRequest(ctx, schema.Now(now), key, inMilliseconds(r))
}

// AbandonRequest is backend.Requests.AbandonRequest, in whole milliseconds.
func (s *Sessions) AbandonRequest(ctx context.Context, now time.Time, key backend.RequestKey, lease time.Time, forget bool) error {
	return s.backend.AbandonRequest(ctx, schema.Now(now), key, schema.Now(lease), forget)
}

// inMilliseconds returns r with times as precise as stores keep them: they are compared.
func inMilliseconds(r backend.Request) backend.Request {
	r.Lease, r.ExpiresAt = schema.Now(r.Lease), schema.Now(r.ExpiresAt)
	return r
}
