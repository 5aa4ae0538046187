package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// UserLimit bounds how many live sessions a user has at once, in one namespace.
type UserLimit struct {
	// Max is the most there may be; 0 for any number.
	Max int
	// Evict ends those that were used longest ago to make room for one more, as
	// far as uses have moved their deadlines. Without it, one more is refused with
	// ErrUserLimit.
	Evict bool
}

// ErrUserLimit: the user has as many sessions as the limit allows.
var ErrUserLimit = errors.New("user has too many sessions")

// userLease is how long an instance that died holds up a user's next session.
const userLease = 5 * time.Second

// limited runs write, which makes sess one of its user's sessions, so that the
// user has no more than the limit allows afterwards. Sessions that become one
// user's take turns meanwhile, over all instances. Sessions of the ids spare
// neither count nor go.
func (s *Sessions) limited(ctx context.Context, now time.Time, sess *schema.Session, spare []string, write func() error) error {
	if s.limit.Max == 0 || sess.UserID == "" {
		return write()
	}
	unlock, err := s.lockUser(ctx, sess.Namespace, sess.UserID)
	if err != nil {
		return err
	}
	defer unlock()
	others, err := s.othersOfUser(ctx, now, sess, spare)
	if err != nil {
		return err
	}
	over := len(others) - (s.limit.Max - 1)
	if over > 0 && !s.limit.Evict {
		return ErrUserLimit
	}
	if err := write(); err != nil {
		return err
	}
	for over > 0 {
		missed, err := s.endAll(ctx, now, sess.UserID, others[len(others)-over:])
		if err != nil || !missed {
			return err
		}
		if others, err = s.othersOfUser(ctx, now, sess, spare); err != nil {
			return err
		}
		over = len(others) - (s.limit.Max - 1)
	}
	return nil
}

// present returns the ids that the sessions of the ids have now.
func (s *Sessions) present(ctx context.Context, now time.Time, namespace string, ids []string) ([]string, error) {
	var live []string
	for _, id := range ids {
		switch sess, err := s.Peek(ctx, schema.Now(now), backend.Key{Namespace: namespace, ID: id}); {
		case err == nil:
			live = append(live, sess.ID)
		case !errors.Is(err, backend.ErrNotFound):
			return nil, err
		}
	}
	return live, nil
}

// endAll ends sessions of a user. missed reports whether one was gone already: perhaps it
// was regenerated, and is still there under its new id.
func (s *Sessions) endAll(ctx context.Context, now time.Time, user string, keys []backend.Key) (missed bool, err error) {
	for _, key := range keys {
		err := s.backend.Delete(ctx, now, key, 0)
		err = record(ctx, Act{Kind: ActEnded, Namespace: key.Namespace, ID: key.ID, UserID: user, Reason: EndUserLimit}, err)
		switch {
		case errors.Is(err, backend.ErrNotFound):
			missed = true
		case err != nil:
			return missed, err
		}
	}
	return missed, nil
}

// userKey is a user of a namespace.
type userKey struct{ namespace, user string }

// lockLimited is lockUser if users are limited, and does nothing otherwise.
func (s *Sessions) lockLimited(ctx context.Context, sess *schema.Session) (unlock func(), err error) {
	if s.limit.Max == 0 || sess.UserID == "" {
		return func() {}, nil
	}
	return s.lockUser(ctx, sess.Namespace, sess.UserID)
}

// lockUser locks the user, in this process and among the instances.
func (s *Sessions) lockUser(ctx context.Context, namespace, user string) (unlock func(), err error) {
	mutex, err := s.users.Lock(ctx, userKey{namespace, user})
	if err != nil {
		return nil, fmt.Errorf("%w: waiting for the user's other sessions: %w", backend.ErrUnavailable, err)
	}
	if !s.Shared() {
		return mutex.Unlock, nil
	}
	sum := sha256.Sum256([]byte(namespace + "\x00" + user)) // names of leases are public in the store
	name := "user-" + base64.RawURLEncoding.EncodeToString(sum[:12])
	for try := 0; ; try++ {
		release, held, err := s.Lock(ctx, name, userLease)
		if held && err == nil {
			return func() { release(); mutex.Unlock() }, nil
		}
		if err == nil {
			err = pause(ctx, try)
		}
		if err != nil {
			mutex.Unlock()
			return nil, err
		}
	}
}

// othersOfUser returns the keys of the other live sessions of the user of sess,
// without the spared ones, the one that was used last first; of several, the
// newest.
func (s *Sessions) othersOfUser(ctx context.Context, now time.Time, sess *schema.Session, spare []string) ([]backend.Key, error) {
	var others []schema.Session
	q := backend.Query{Namespace: sess.Namespace, UserID: sess.UserID, Limit: s.limit.Max + 1}
	for {
		page, err := s.List(ctx, now, q)
		if err != nil {
			return nil, err
		}
		for i := range page.Sessions {
			if id := page.Sessions[i].ID; id != sess.ID && !slices.Contains(spare, id) {
				others = append(others, page.Sessions[i])
			}
		}
		if page.Next == "" {
			return keysByUse(now, others), nil
		}
		q.Cursor = page.Next
	}
}

// keysByUse returns the keys of sessions, the one that was used last first.
func keysByUse(now time.Time, sessions []schema.Session) []backend.Key {
	slices.SortStableFunc(sessions, func(a, b schema.Session) int { return b.LastSeenAt(now).Compare(a.LastSeenAt(now)) })
	keys := make([]backend.Key, len(sessions))
	for i := range sessions {
		keys[i] = sessions[i].Key()
	}
	return keys
}
