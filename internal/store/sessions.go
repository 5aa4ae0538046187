// Package store has Sessions, the one way in which the rest of the service uses
// its sessions: a backend with the service's rules on top. The contract
// of backends is in the package backend beneath.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"session-api/internal/keymutex"
	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// ErrNotCurrent: the key is an old one in its grace, and what was asked takes
// the session's own.
var ErrNotCurrent = errors.New("session was regenerated")

// Sessions puts the service's rules on top of a store: ids, lifetimes, size,
// and changes that never lose one another. It is safe for concurrent use.
type Sessions struct {
	backend backend.Store
	can     capabilities
	rules   *schema.Rules
	life    Lifetimes
	limit   UserLimit
	// trusted: see ForServices.
	trusted bool
	changes *clientChanges

	// writers serialises the writers of one session in this process, so that a
	// crowd does not spend its time on conflicts. The store's compare-and-set is
	// what makes a change safe; this only makes it cheap.
	writers *keymutex.Mutex[backend.Key]

	// users serialises writes that make a session one of a user's, where users are
	// limited. A session's mutex is locked before its user's.
	users *keymutex.Mutex[userKey]

	// indexSlots is a semaphore of changes of many references to files. A slot is
	// taken last.
	indexSlots chan struct{}
}

// NewSessions returns the sessions of b. From then on b is used through them alone,
// but for Close, which is its opener's.
func NewSessions(b backend.Store, rules *schema.Rules, life Lifetimes, limit UserLimit) *Sessions {
	if life.Absolute > 0 {
		b.LimitLife(life.Absolute)
	}
	return &Sessions{
		backend: b, can: capabilitiesOf(b), rules: rules, life: life, limit: limit,
		writers: keymutex.New[backend.Key](), users: keymutex.New[userKey](), indexSlots: newIndexSlots(), changes: new(clientChanges),
	}
}

// Create stores a new session with what in makes of empty sections. allow, if
// not nil, sees the sections before they are stored and can refuse them.
// The error is a *schema.Error, one of this package's, or allow's.
func (s *Sessions) Create(ctx context.Context, now time.Time, namespace string, in schema.Change, allow Allow) (schema.Session, error) {
	return s.CreateInPlace(ctx, now, backend.Key{Namespace: namespace}, in, allow)
}

// CreateInPlace is Create for a caller that ends the session of the key old, and
// those of the ids more in its namespace, once the new one is stored: they do not
// count against its user's limit. An id in its grace stands for its successor.
func (s *Sessions) CreateInPlace(ctx context.Context, now time.Time, old backend.Key, in schema.Change, allow Allow, more ...string) (schema.Session, error) {
	how := newSession{key: backend.Key{Namespace: old.Namespace, ID: newID(ctx)}}
	if s.limit.Max > 0 && old.ID != "" {
		var err error
		if how.old, err = s.present(ctx, now, old.Namespace, append(more, old.ID)); err != nil {
			return schema.Session{}, err
		}
	}
	return s.create(ctx, now, how, in, allow)
}

// CreateUnasked is Create of an empty session for a visitor who did not ask for
// one. Until it is written to, it lives for Lifetimes.Unwritten only, and a full
// store drops it first.
func (s *Sessions) CreateUnasked(ctx context.Context, now time.Time, namespace string) (schema.Session, error) {
	return s.create(ctx, now, newSession{key: backend.Key{Namespace: namespace, ID: newID(ctx)}, unasked: true}, &schema.Input{}, nil)
}

// newSession says how a session is created.
type newSession struct {
	key backend.Key
	// old are the ids of sessions that end for it.
	old []string
	// unasked: see CreateUnasked.
	unasked bool
	opts    []backend.CreateOption
}

// create stores the session with what in makes of empty sections.
func (s *Sessions) create(ctx context.Context, now time.Time, how newSession, in schema.Change, allow Allow) (schema.Session, error) {
	now = schema.Now(now)
	if a := attemptOf(ctx); a == nil || a.NewID != how.key.ID {
		return s.createAt(ctx, now, how, in, allow)
	}
	return s.once(ctx, now, Act{Kind: ActCreated, Namespace: how.key.Namespace}, func() (schema.Session, error) {
		return s.createAt(ctx, now, how, in, allow)
	})
}

// createAt is create at the time now, in whole milliseconds, by the first attempt at it.
func (s *Sessions) createAt(ctx context.Context, now time.Time, how newSession, in schema.Change, allow Allow) (schema.Session, error) {
	before := schema.EmptySections()
	after, err := in.Apply(before)
	if err != nil {
		return schema.Session{}, err
	}
	if allow != nil {
		if err := allow(before, after); err != nil {
			return schema.Session{}, err
		}
	}
	sess := schema.Session{
		Namespace: how.key.Namespace, ID: how.key.ID, Life: schema.NewLife(), CreatedAt: now, UpdatedAt: now, Revision: 1,
		Facts: marked(ctx, observed(ctx, schema.Facts{})),
	}
	life := s.life.of(sess.Facts)
	sess.OwnTTL, _ = life.own(0, in, after.Roles())
	sess.TTL = life.Idle(sess.OwnTTL, after.Roles())
	if how.unasked {
		sess.Disposable = true
		if s.life.Unwritten > 0 {
			sess.TTL = min(sess.TTL, s.life.Unwritten)
		}
	}
	sess.ExpiresAt = s.life.Deadline(now, now, sess.TTL)
	if sess, err = s.rules.Build(sess, after); err != nil {
		return schema.Session{}, err
	}
	if sess.UserID != "" {
		if err := admit(ctx); err != nil {
			return schema.Session{}, err
		}
	}
	err = s.limited(ctx, now, &sess, how.old, func() error {
		made := sess
		made.Trusted = s.trusted
		return s.indexing(ctx, indexed(nil, made.Files), func() error {
			return s.backend.Create(ctx, now, made, how.opts...)
		})
	})
	if sess.UserID != "" {
		err = record(ctx, Act{Kind: ActCreated, Namespace: sess.Namespace, ID: sess.ID, UserID: sess.UserID}, err)
	}
	return sess, err
}

// Put is Update, and where there is no live session of the key, it creates one
// with that id from the change. Where one was ended lately, it returns ErrEnded
// instead, and where one expired or was evicted lately, ErrLapsed, unless revive
// says that it may come back, or u.ReviveExpired that the latter may. With revive
// an old key in its grace becomes the new session's: who sets a key wants to read
// it there, and not only until the grace is over. What is damaged is replaced,
// unless the update has a condition.
func (s *Sessions) Put(ctx context.Context, now time.Time, key backend.Key, u Update, revive bool) (sess schema.Session, created bool, err error) {
	for try := 0; ; try++ {
		sess, _, err = s.update(ctx, now, key, u, !revive)
		if errors.Is(err, backend.ErrDamaged) && u.If == nil {
			// There is nothing to change, and nothing that anybody could read.
			if err = s.endDamaged(ctx, now, key); err == nil {
				revive, err = true, backend.ErrNotFound // the tombstone is of this very call
			}
		}
		if _, old := errors.AsType[*movedError](err); !old && !errors.Is(err, backend.ErrNotFound) {
			return sess, false, err
		}
		sess, err = s.CreateAs(ctx, now, key, u.Change, u.Allow, revive)
		if u.ReviveExpired && errors.Is(err, backend.ErrLapsed) {
			sess, err = s.CreateAs(ctx, now, key, u.Change, u.Allow, true)
		}
		if !errors.Is(err, backend.ErrExists) {
			return sess, err == nil, err
		}
		// Another caller was first: the next update finds its session.
		if err := pause(ctx, try); err != nil {
			return schema.Session{}, false, err
		}
	}
}

// CreateAs is Create with an id that the caller brings. Returns ErrExists, and
// unless revive says that a session that is over may come back, ErrEnded and
// ErrLapsed.
func (s *Sessions) CreateAs(ctx context.Context, now time.Time, key backend.Key, in schema.Change, allow Allow, revive bool) (schema.Session, error) {
	how := newSession{key: key}
	if revive {
		how.opts = append(how.opts, backend.Revive)
	}
	return s.create(ctx, now, how, in, allow)
}

// Allow decides whether a caller may turn one set of sections into another.
type Allow func(before, after schema.Sections) error

// Access reads a session as its user does: its deadline moves, if the
// lifetimes say that it is time. moved reports whether it did. An old key in its
// grace is read, and its successor's deadline moves.
func (s *Sessions) Access(ctx context.Context, now time.Time, key backend.Key) (sess schema.Session, moved bool, err error) {
	now = schema.Now(now)
	sess, err = s.Get(ctx, now, key)
	if err != nil {
		return sess, false, err
	}
	until, due := s.life.Slide(now, &sess)
	if !due {
		return sess, false, nil
	}
	touched, err := s.MoveTo(ctx, now, &sess, until)
	switch {
	case errors.Is(err, backend.ErrReadOnly): // then it is read without being touched
		return sess, false, nil
	case errors.Is(err, backend.ErrNotFound): // ended meanwhile, or regenerated and in its grace
		next, err := s.Peek(ctx, now, key)
		if err == nil && next.ID == sess.ID {
			err = backend.ErrNotFound
		}
		return next, false, err
	case err != nil:
		return schema.Session{}, false, err
	}
	return touched, true, nil
}

// End ends the session, whatever its key has become: within the grace of a
// regenerated id it ends the successor, because signing out must work. With a
// condition it does so only if that holds.
func (s *Sessions) End(ctx context.Context, now time.Time, key backend.Key, cond func(schema.Session) error) error {
	now = schema.Now(now)
	if err := admit(ctx); err != nil {
		return err
	}
	for try := 0; ; try++ {
		sess, err := s.Peek(ctx, now, key)
		if errors.Is(err, backend.ErrDamaged) && cond == nil {
			return s.endDamaged(ctx, now, key)
		}
		if err != nil {
			return err
		}
		var revision int64
		if cond != nil {
			if err := cond(sess); err != nil {
				return err
			}
			revision = sess.Revision
		}
		// Gone at this point can mean regenerated: the next look tells.
		err = s.backend.Delete(ctx, now, sess.Key(), revision)
		if !errors.Is(err, backend.ErrConflict) && !errors.Is(err, backend.ErrNotFound) {
			return record(ctx, Act{Kind: ActEnded, Namespace: sess.Namespace, ID: sess.ID, UserID: sess.UserID, Reason: EndRequested}, err)
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

// endDamaged ends what is stored under a key and is no session.
func (s *Sessions) endDamaged(ctx context.Context, now time.Time, key backend.Key) error {
	if err := admit(ctx); err != nil {
		return err
	}
	return record(ctx, Act{Kind: ActEnded, Namespace: key.Namespace, ID: key.ID, Reason: EndDamaged}, s.backend.Delete(ctx, now, key, 0))
}

// compareAndSet reads the session and hands it to write until that no longer
// fails with ErrConflict or ErrNotFound. Of an old key in its grace, write gets
// the successor. Whether the key leads to a session, each read decides anew.
//
// writeRecalled, if not nil, is tried before with the session as the store remembers
// it. An error of it decides nothing, unless the outcome is unknown.
func (s *Sessions) compareAndSet(ctx context.Context, now time.Time, key backend.Key, write, writeRecalled func(old schema.Session) error) error {
	held, err := s.writers.Lock(ctx, key)
	if err != nil { // a store that hangs does not hold up writers beyond their deadlines
		return fmt.Errorf("%w: waiting for other writers: %w", backend.ErrUnavailable, err)
	}
	defer held.Unlock()
	if writeRecalled != nil && s.can.recaller != nil {
		if old, ok := s.can.recaller.Recall(now, key); ok {
			if err := writeRecalled(old); err == nil || errors.Is(err, backend.ErrUnavailable) {
				return err
			}
		}
	}
	for try := 0; ; try++ {
		old, err := s.Peek(ctx, now, key)
		if err != nil {
			return err
		}
		// Gone at this point can mean regenerated: the next look tells.
		if err := write(old); !errors.Is(err, backend.ErrConflict) && !errors.Is(err, backend.ErrNotFound) {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}
