package store

import (
	"context"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Shortening returns the change for a caller who may give a session no longer
// idle life than it has without asking: a visitor. What it asks for counts where
// it is shorter than the session's own, if it has one, whoever gave it that, or
// else than what the settings give it. Otherwise it is as if it had not asked,
// but that the deadline moves.
func Shortening(change schema.Change) schema.Change { return shortening{change} }

type shortening struct{ schema.Change }

// Shorten is Extend for a caller who may only shorten, see Shortening.
func (s *Sessions) Shorten(ctx context.Context, now time.Time, key backend.Key, ttl time.Duration) (schema.Session, error) {
	if ttl <= 0 {
		return s.Extend(ctx, now, key, 0)
	}
	sess, _, err := s.Update(ctx, now, key, Update{Change: Shortening(ownTTL(ttl))})
	return sess, err
}

// own returns the own idle life of a session once it is changed, when it was own
// before and its user has the roles after. asked reports whether the change asks
// for one.
func (l Lifetimes) own(own time.Duration, change schema.Change, roles []string) (_ time.Duration, asked bool) {
	ttl, asked := change.TTL()
	if !asked {
		return own, false
	}
	if _, only := change.(shortening); only && ttl >= l.Idle(own, roles) {
		return own, true
	}
	return ttl, true
}
