package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"

	"session-api/internal/store/backend"
)

// damage counts values that are no sessions where one should be, and logs each
// once.
type damage struct {
	mu     sync.Mutex
	logged map[backend.Key]struct{}
	count  int64
}

// maxLoggedDamage is how many damaged sessions are logged.
const maxLoggedDamage = 1000

// note counts one that was met.
func (d *damage) note(ctx context.Context, log *slog.Logger, key backend.Key, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	if _, known := d.logged[key]; known || len(d.logged) > maxLoggedDamage {
		return
	}
	if d.logged == nil {
		d.logged = map[backend.Key]struct{}{}
	}
	d.logged[key] = struct{}{}
	if len(d.logged) > maxLoggedDamage {
		log.ErrorContext(ctx, "more damaged sessions: the metric goes on counting them, the log does not")
		return
	}
	sum := sha256.Sum256([]byte(key.ID))
	log.ErrorContext(ctx, "a session is damaged: what its key holds is not a session's document; end it, or repair the value",
		slog.String("namespace", key.Namespace), slog.String("session", hex.EncodeToString(sum[:6])), slog.Any("error", err))
}

// met returns how many were met.
func (d *damage) met() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// damaged returns err, and notes the session if that is damaged.
func (s *Store) damaged(ctx context.Context, key backend.Key, err error) error {
	if errors.Is(err, backend.ErrDamaged) {
		s.damage.note(ctx, s.log, key, err)
	}
	return err
}
