package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Attempt is one of several attempts at the same request, whose client repeats it until
// it has an answer. All make the same choices, so that the session which one of them
// made or changed can be found by the others.
type Attempt struct {
	// NewID is the id of a session that the request makes: of Create, CreateInPlace,
	// CreateUnasked, Renew and SignIn.
	NewID string
	// Mark names the request among those that were applied to a session. It is
	// schema.MarkLen long.
	Mark string
}

// attemptKey is the context key of an *Attempt.
type attemptKey struct{}

// WithAttempt returns a context for one attempt at a request. A method of Sessions that
// is called with it finds what an earlier attempt has done already, also where that did
// not live to see it done or is still at it, and returns that in place of doing it
// again. An update that changed a section is found among the last four with a Mark.
func WithAttempt(ctx context.Context, a Attempt) context.Context {
	return context.WithValue(ctx, attemptKey{}, &a)
}

// attemptOf returns the attempt that ctx is of, nil for none.
func attemptOf(ctx context.Context) *Attempt {
	a, _ := ctx.Value(attemptKey{}).(*Attempt)
	return a
}

// newID returns an id for a session that the request of ctx makes.
func newID(ctx context.Context) string {
	if a := attemptOf(ctx); a != nil && a.NewID != "" {
		return a.NewID
	}
	return schema.NewID()
}

// marked returns the facts of a session that the request of ctx has changed.
func marked(ctx context.Context, facts schema.Facts) schema.Facts {
	if a := attemptOf(ctx); a != nil {
		return facts.WithApplied(a.Mark)
	}
	return facts
}

// applied reports whether the request of ctx has changed the session already.
func applied(ctx context.Context, facts schema.Facts) bool {
	a := attemptOf(ctx)
	return a != nil && facts.Applied(a.Mark)
}

// made returns the session that an earlier attempt at the request of ctx has made in the
// namespace; ok is false if there is none.
func (s *Sessions) made(ctx context.Context, now time.Time, namespace string) (sess schema.Session, ok bool, err error) {
	a := attemptOf(ctx)
	if a == nil || a.NewID == "" {
		return schema.Session{}, false, nil
	}
	sess, err = s.backend.Peek(ctx, now, backend.Key{Namespace: namespace, ID: a.NewID})
	if errors.Is(err, backend.ErrNotFound) {
		return schema.Session{}, false, nil
	}
	return sess, err == nil && sess.Facts.Applied(a.Mark), err
}

// once returns the session that create makes, or that an earlier attempt at the request
// of ctx has made, which it records as the act. Where another one is still at it, it is
// backend.ErrUnavailable.
func (s *Sessions) once(ctx context.Context, now time.Time, act Act, create func() (schema.Session, error)) (schema.Session, error) {
	if attemptOf(ctx) == nil {
		return create()
	}
	if sess, ok, err := s.made(ctx, now, act.Namespace); ok || err != nil {
		err = recordMade(ctx, act, &sess, err)
		return sess, err
	}
	sess, err := create()
	if !errors.Is(err, backend.ErrExists) && !errors.Is(err, backend.ErrNotFound) {
		return sess, err
	}
	if sess, ok, lookup := s.made(ctx, now, act.Namespace); ok || lookup != nil {
		lookup = recordMade(ctx, act, &sess, lookup)
		return sess, lookup
	}
	if errors.Is(err, backend.ErrExists) {
		err = fmt.Errorf("%w: another attempt at the request is not over", backend.ErrUnavailable)
	}
	return schema.Session{}, err
}

// recordMade records what an earlier attempt has done, which may not have lived to record
// it; not where it could not be looked up.
func recordMade(ctx context.Context, act Act, sess *schema.Session, err error) error {
	if err != nil || act.Kind == ActCreated && sess.UserID == "" {
		return err
	}
	act.ID, act.UserID, act.Repeated = sess.ID, sess.UserID, true
	return record(ctx, act, nil)
}
