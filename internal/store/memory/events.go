package memory

import (
	"context"
	"time"

	"session-api/internal/store/backend"
)

// Follow implements backend.Store.
func (s *Store) Follow(ctx context.Context, after string, yield func(backend.Event) error) error {
	return s.events.Follow(ctx, after, yield)
}

// emit publishes that something happened to the session of the key, which is now,
// or last was, as rec says. The session's shard is locked: that is what keeps
// its events in order.
func (s *Store) emit(what backend.EventType, now int64, key backend.Key, rec *record) {
	ev := backend.Event{
		Type:     what,
		At:       time.UnixMilli(now).UTC(),
		Session:  key,
		UserID:   rec.user,
		Revision: rec.revision,
	}
	switch what {
	case backend.EventDeleted, backend.EventExpired, backend.EventEvicted:
	default:
		ev.ExpiresAt = time.UnixMilli(rec.expires).UTC()
	}
	s.publish(&ev)
}

// emitRegenerated is emit for a session that goes on under the key.
func (s *Store) emitRegenerated(now int64, previous string, key backend.Key, rec *record) {
	s.publish(&backend.Event{
		Type:      backend.EventRegenerated,
		At:        time.UnixMilli(now).UTC(),
		Session:   key,
		Previous:  previous,
		UserID:    rec.user,
		Revision:  rec.revision,
		ExpiresAt: time.UnixMilli(rec.expires).UTC(),
	})
}

// emitClientChanged is emit, of the session of the key as at says, where the change from
// was to rec brings a client of another family.
func (s *Store) emitClientChanged(now int64, key backend.Key, was, rec, at *record) {
	if !was.facts.FamilyChanged(rec.facts) {
		return
	}
	s.publish(&backend.Event{
		Type:           backend.EventClientChanged,
		At:             time.UnixMilli(now).UTC(),
		Session:        key,
		Client:         rec.facts.Label(),
		PreviousClient: was.facts.Label(),
		UserID:         at.user,
		Revision:       at.revision,
		ExpiresAt:      time.UnixMilli(at.expires).UTC(),
	})
}

func (s *Store) publish(ev *backend.Event) {
	s.events.Publish(ev)
	if s.onEvent != nil {
		s.onEvent(*ev)
	}
}
