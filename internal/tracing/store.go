package tracing

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Store returns s with a span for each call that a request makes. What else s can
// do, backend.As finds.
func (t *Tracing) Store(s backend.Store) backend.Store {
	return &tracedStore{Store: s, tracer: t.tracer, system: semconv.DBSystemNameKey.String(s.Name())}
}

// tracedStore leaves the methods that no request waits for as they are.
type tracedStore struct {
	backend.Store
	tracer trace.Tracer
	system attribute.KeyValue
}

// Unwrap implements backend.Wrapper.
func (s *tracedStore) Unwrap() backend.Store { return s.Store }

// spanned runs call in a span of the operation's name. That something is not
// there, or not as the caller saw it, is an answer and no failure.
func spanned[T any](ctx context.Context, s *tracedStore, operation string, call func(context.Context) (T, error)) (T, error) {
	ctx, span := s.tracer.Start(ctx, "store "+operation,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(s.system, semconv.DBOperationName(operation)))
	defer span.End()
	out, err := call(ctx)
	switch {
	case err == nil:
	case errors.Is(err, backend.ErrUnavailable), errors.Is(err, backend.ErrFull):
		span.SetStatus(codes.Error, "unavailable")
		span.RecordError(err)
	default:
		span.SetAttributes(semconv.ErrorTypeKey.String(answer(err)))
	}
	return out, err
}

// answer is what a span says of an error that is an answer.
func answer(err error) string {
	for _, known := range []error{
		backend.ErrNotFound, backend.ErrExists, backend.ErrConflict, backend.ErrEnded, backend.ErrBadCursor,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "other"
}

// done is spanned for a call that returns nothing but an error.
func (s *tracedStore) done(ctx context.Context, operation string, call func(context.Context) error) error {
	_, err := spanned(ctx, s, operation, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) })
	return err
}

func (s *tracedStore) Create(ctx context.Context, now time.Time, sess schema.Session, opts ...backend.CreateOption) error {
	operation := "Create"
	if backend.Revives(opts) {
		operation = "Revive"
	}
	return s.done(ctx, operation, func(ctx context.Context) error { return s.Store.Create(ctx, now, sess, opts...) })
}

func (s *tracedStore) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	return spanned(ctx, s, "Get", func(ctx context.Context) (schema.Session, error) { return s.Store.Get(ctx, now, key) })
}

func (s *tracedStore) Peek(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	return spanned(ctx, s, "Peek", func(ctx context.Context) (schema.Session, error) { return s.Store.Peek(ctx, now, key) })
}

func (s *tracedStore) Swap(ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
	return spanned(ctx, s, "Swap", func(ctx context.Context) (schema.Session, error) { return s.Store.Swap(ctx, now, old, next) })
}

func (s *tracedStore) Touch(ctx context.Context, now time.Time, key backend.Key, until time.Time) (schema.Session, error) {
	return spanned(ctx, s, "Touch", func(ctx context.Context) (schema.Session, error) { return s.Store.Touch(ctx, now, key, until) })
}

func (s *tracedStore) Regenerate(ctx context.Context, now time.Time, old, next schema.Session, graceUntil time.Time) error {
	return s.done(ctx, "Regenerate", func(ctx context.Context) error { return s.Store.Regenerate(ctx, now, old, next, graceUntil) })
}

func (s *tracedStore) Delete(ctx context.Context, now time.Time, key backend.Key, revision int64) error {
	return s.done(ctx, "Delete", func(ctx context.Context) error { return s.Store.Delete(ctx, now, key, revision) })
}

func (s *tracedStore) GetAll(ctx context.Context, now time.Time, b backend.Batch) ([]backend.Found[schema.Session], error) {
	return spanned(ctx, s, "GetAll", func(ctx context.Context) ([]backend.Found[schema.Session], error) {
		return s.Store.GetAll(ctx, now, b)
	})
}

func (s *tracedStore) Summarize(ctx context.Context, now time.Time, namespace string, ids []string) ([]backend.Found[schema.Summary], error) {
	return spanned(ctx, s, "Summarize", func(ctx context.Context) ([]backend.Found[schema.Summary], error) {
		return s.Store.Summarize(ctx, now, namespace, ids)
	})
}

func (s *tracedStore) DeleteAll(ctx context.Context, now time.Time, namespace string, ids []string) ([]bool, error) {
	return spanned(ctx, s, "DeleteAll", func(ctx context.Context) ([]bool, error) { return s.Store.DeleteAll(ctx, now, namespace, ids) })
}

func (s *tracedStore) Summaries(ctx context.Context, now time.Time, q backend.Query) (backend.SummaryPage, error) {
	return spanned(ctx, s, "Summaries", func(ctx context.Context) (backend.SummaryPage, error) { return s.Store.Summaries(ctx, now, q) })
}

func (s *tracedStore) List(ctx context.Context, now time.Time, q backend.Query) (backend.Page, error) {
	return spanned(ctx, s, "List", func(ctx context.Context) (backend.Page, error) { return s.Store.List(ctx, now, q) })
}

func (s *tracedStore) Count(ctx context.Context, now time.Time, f backend.Filter) (int, error) {
	return spanned(ctx, s, "Count", func(ctx context.Context) (int, error) { return s.Store.Count(ctx, now, f) })
}

func (s *tracedStore) Clear(ctx context.Context, now time.Time, f backend.Filter) (int, error) {
	return spanned(ctx, s, "Clear", func(ctx context.Context) (int, error) { return s.Store.Clear(ctx, now, f) })
}

func (s *tracedStore) BeginRequest(ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) (stored backend.Request, begun bool, err error) {
	err = s.done(ctx, "BeginRequest", func(ctx context.Context) (err error) {
		stored, begun, err = s.Store.BeginRequest(ctx, now, key, r)
		return err
	})
	return stored, begun, err
}

func (s *tracedStore) AnswerRequest(ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) error {
	return s.done(ctx, "AnswerRequest", func(ctx context.Context) error { return s.Store.AnswerRequest(ctx, now, key, r) })
}

func (s *tracedStore) AbandonRequest(ctx context.Context, now time.Time, key backend.RequestKey, lease time.Time, forget bool) error {
	return s.done(ctx, "AbandonRequest", func(ctx context.Context) error { return s.Store.AbandonRequest(ctx, now, key, lease, forget) })
}
