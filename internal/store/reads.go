package store

import (
	"context"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// The methods in this file add no rule to the backend's: what they do stands on
// the methods of backend.Store.

// Name is the backend's kind as the settings spell it.
func (s *Sessions) Name() string { return s.backend.Name() }

// Get returns the session of the key, and is a use of it; see backend.Store.Get.
func (s *Sessions) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	return s.backend.Get(ctx, now, key)
}

// Peek is Get without being a use.
func (s *Sessions) Peek(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	return s.backend.Peek(ctx, now, key)
}

// GetAll returns several sessions; see backend.Store.GetAll.
func (s *Sessions) GetAll(ctx context.Context, now time.Time, b backend.Batch) ([]backend.Found[schema.Session], error) {
	return s.backend.GetAll(ctx, now, b)
}

// Summarize returns the summaries of several sessions; see backend.Store.Summarize.
func (s *Sessions) Summarize(ctx context.Context, now time.Time, namespace string, ids []string) ([]backend.Found[schema.Summary], error) {
	return s.backend.Summarize(ctx, now, namespace, ids)
}

// List returns a page of sessions; see backend.Store.List.
func (s *Sessions) List(ctx context.Context, now time.Time, q backend.Query) (backend.Page, error) {
	return s.backend.List(ctx, now, q)
}

// Count returns how many sessions f matches; see backend.Store.Count.
func (s *Sessions) Count(ctx context.Context, now time.Time, f backend.Filter) (int, error) {
	return s.backend.Count(ctx, now, f)
}

// Namespaces returns the namespaces that have sessions; see backend.Store.Namespaces.
func (s *Sessions) Namespaces(ctx context.Context, now time.Time) ([]string, error) {
	return s.backend.Namespaces(ctx, now)
}

// Files calls yield with each file that a session refers to; see backend.Store.Files.
func (s *Sessions) Files(ctx context.Context, now time.Time, yield func(path string) error) error {
	return s.backend.Files(ctx, now, yield)
}

// HasFile reports whether a session refers to any of the paths.
func (s *Sessions) HasFile(ctx context.Context, now time.Time, paths ...string) (bool, error) {
	return s.backend.HasFile(ctx, now, paths...)
}

// Follow calls yield with each event after that one; see backend.Store.Follow.
func (s *Sessions) Follow(ctx context.Context, after string, yield func(backend.Event) error) error {
	return s.backend.Follow(ctx, after, yield)
}

// Stats returns the backend's counters.
func (s *Sessions) Stats(ctx context.Context, now time.Time) (backend.Stats, error) {
	return s.backend.Stats(ctx, now)
}

// Ping reports whether the backend can be asked.
func (s *Sessions) Ping(ctx context.Context) error { return s.backend.Ping(ctx) }
