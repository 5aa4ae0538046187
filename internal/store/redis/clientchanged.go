package redis

import (
	"strconv"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// labelBreak is between the labels of the former client and of the present one, where
// another event has the previous id. No label has it.
const labelBreak = "\n"

// clientChange is what an event says of a client of another family; empty if it is
// none.
func clientChange(before, after schema.Facts) string {
	if !before.FamilyChanged(after) {
		return ""
	}
	return before.Label() + labelBreak + after.Label()
}

// tellClientChanged publishes that a regeneration in a Cluster, which has ended the
// session old, brings a client of another family. It is an event of the old id, so it has
// to come before that of the regeneration, which a reader may publish; no script has both
// at hand. If the event cannot be published, the session goes on without it.
func (s *Store) tellClientChanged(now time.Time, old *schema.Session, facts schema.Facts) {
	change := clientChange(old.Facts, facts)
	if change == "" {
		return
	}
	event := []string{
		string(backend.EventClientChanged), millis(now), s.keys.Session(old.Key()), escaped(old.UserID),
		strconv.FormatInt(old.Revision, 10), millis(old.ExpiresAt), change,
	}
	s.events.add(event)
}
