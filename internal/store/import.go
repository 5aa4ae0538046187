package store

import (
	"context"
	"errors"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// Import stores a session that another store had, as it was there: no rule but the
// backend's applies, and no other session goes for it. Returns ErrExists, ErrEnded
// if one of its id was ended here lately, and ErrFull. One that expired or was
// evicted here lately comes back.
func (s *Sessions) Import(ctx context.Context, now time.Time, sess schema.Session) error {
	// An operator does this: it is no flood of visitors.
	sess.Trusted, sess.Imported, sess.Additional = true, true, true
	err := s.backend.Create(ctx, now, sess)
	if errors.Is(err, backend.ErrLapsed) { // its session here was not ended, and this one lives
		err = s.backend.Create(ctx, now, sess, backend.Revive)
	}
	return err
}
