package store

import (
	"context"
	"sync/atomic"

	"session-api/internal/schema"
)

// Observer is a request as far as it tells something of the session beside its
// document: from which client it is used, and whether it is to be remembered.
type Observer interface {
	// Observe returns the facts once the request has used a session that has these.
	Observe(facts schema.Facts) schema.Facts
}

// ObserverKey is the context key of the Observer of a request. What the request tells
// is stored with Create, Renew and SignIn, and with any change or touch that is written
// anyway: no fact costs a write of its own. Without an Observer a session keeps its
// facts.
type ObserverKey struct{}

// WithObserver returns a context with the observer.
func WithObserver(ctx context.Context, o Observer) context.Context {
	return context.WithValue(ctx, ObserverKey{}, o)
}

// observed returns the facts of a session that the request of ctx uses.
func observed(ctx context.Context, facts schema.Facts) schema.Facts {
	if o, ok := ctx.Value(ObserverKey{}).(Observer); ok {
		return o.Observe(facts)
	}
	return facts
}

// clientChanges counts clients of another family.
type clientChanges struct{ n atomic.Int64 }

// count counts the change from one session's facts to others, if it is one.
func (c *clientChanges) count(before, after schema.Facts) {
	if before.FamilyChanged(after) {
		c.n.Add(1)
	}
}

// ClientChanges is how often a session that was changed here had a client of another
// family than before.
func (s *Sessions) ClientChanges() int64 { return s.changes.n.Load() }
