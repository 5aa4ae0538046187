package memory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// GetAll implements backend.Store.
func (s *Store) GetAll(ctx context.Context, now time.Time, b backend.Batch) ([]backend.Found[schema.Session], error) {
	found := make([]backend.Found[schema.Session], len(b.IDs))
	left := backend.NewBudget(b.Budget)
	for i, id := range b.IDs {
		if err := every(ctx, i); err != nil {
			return nil, err
		}
		key, one := backend.Key{Namespace: b.Namespace, ID: id}, &found[i]
		if one.Value, one.Err = s.Peek(ctx, now, key); one.Err == nil && !left.Take(len(one.Value.Doc)) {
			*one = backend.Found[schema.Session]{Err: backend.ErrOverBudget}
			continue
		}
		if !b.Peek {
			one.Value, one.Err = s.Get(ctx, now, key)
		}
	}
	return found, nil
}

// Summarize implements backend.Store.
func (s *Store) Summarize(ctx context.Context, now time.Time, namespace string, ids []string) ([]backend.Found[schema.Summary], error) {
	found := make([]backend.Found[schema.Summary], len(ids))
	for i, id := range ids {
		if err := every(ctx, i); err != nil {
			return nil, err
		}
		sess, err := s.Peek(ctx, now, backend.Key{Namespace: namespace, ID: id})
		if err != nil {
			found[i].Err = err
			continue
		}
		if found[i].Value, err = sess.Summary(); err != nil {
			return nil, fmt.Errorf("%w: %w", backend.ErrUnavailable, err)
		}
	}
	return found, nil
}

// DeleteAll implements backend.Store.
func (s *Store) DeleteAll(ctx context.Context, now time.Time, namespace string, ids []string) ([]bool, error) {
	ended := make([]bool, len(ids))
	for i, id := range ids {
		if err := every(ctx, i); err != nil {
			return ended, err
		}
		err := s.Delete(ctx, now, backend.Key{Namespace: namespace, ID: id}, 0)
		if err != nil && !errors.Is(err, backend.ErrNotFound) {
			return ended, err
		}
		ended[i] = err == nil
	}
	return ended, nil
}

// every is cancelled, before each batch of several steps.
func every(ctx context.Context, step int) error {
	if step%batch != 0 {
		return nil
	}
	return cancelled(ctx)
}
