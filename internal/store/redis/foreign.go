package redis

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // compares what is stored with what was read, guards nothing
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// decodeForeign reads a value that this store did not write as the document of
// another program, into st. Its deadline is that of its key; where the key stays
// for ever, the one that the document names, and otherwise its idle life from now
// on. Until such a session is changed, which adopts it, it is in no index.
func (s *Store) decodeForeign(now time.Time, key backend.Key, deadline int64, value string, st *format.Value) error {
	rules := &schema.Rules{MaxBytes: s.opts.MaxDocument}
	sess, sections, err := rules.DecodeForeign(key.ID, []byte(value))
	if err != nil {
		return fmt.Errorf("%w: %w", format.ErrNotSession, err)
	}
	sess.Namespace, sess.TTL = key.Namespace, s.opts.TTL
	switch {
	case deadline != noExpiry:
		sess.ExpiresAt = time.UnixMilli(deadline).UTC()
	case sess.ExpiresAt.IsZero():
		sess.ExpiresAt = schema.Now(now).Add(sess.TTL)
	}
	if sess, err = new(schema.Rules).Build(sess, sections); err != nil {
		return fmt.Errorf("%w: %w", format.ErrNotSession, err)
	}
	sess.Life = foreignLife(&sess)
	*st = format.Value{Session: sess, External: true, Written: sess.ExpiresAt.UnixMilli()}
	st.Life, st.TTL = sess.Life, sess.TTL
	return nil
}

// foreignLife is the life of a session that another program wrote: made of its
// content, so that whoever read it can name that state when it is changed, and
// adopted by that.
func foreignLife(sess *schema.Session) (life schema.Life) {
	at := schema.RevisionOffset(sess.ID) // what comes before it differs from read to read, where no deadline is stored
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", sess.CreatedAt.UnixMilli(), sess.Doc[at:]))
	copy(life[:], sum[:])
	return life
}

// decode reads the value of a key: as this store writes them, or as another
// program may.
func (s *Store) decode(now time.Time, key backend.Key, deadline int64, value string, st *format.Value) error {
	err := s.codec.Decode(key, value, st)
	switch {
	case err == nil && deadline == noExpiry && !st.Pending:
		// Another program wrote it back, without its deadline.
		st.External, st.Session.ExpiresAt = true, time.UnixMilli(st.Written).UTC()
		return nil
	case err == nil && deadline != noExpiry:
		return nil
	}
	*st = format.Value{}
	return s.decodeForeign(now, key, deadline, value, st)
}

// adopt rewrites the value of a session that another program wrote as this store
// writes them, and indexes it; a value that is one of the store's own stays as it
// is. With old, the session must still be that. Returns backend.ErrDamaged if the
// value is no document, backend.ErrNotFound if it is gone, and backend.ErrConflict.
func (s *Store) adopt(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key, old *schema.Session) error {
	const doing = "adopting a session"
	name := s.keys.Session(key)
	for try := 0; ; try++ {
		a, err := s.eval(ctx, client, doing, lua.Call{Script: lua.Read, Keys: []string{name, format.Grace(name)}, Args: []string{millis(now)}})
		if err != nil {
			return err
		}
		value := a.Text(1)
		st, _, err := s.live(now, key, a.Deadline(), value, nil)
		switch {
		case err != nil:
			return failed(doing, err)
		case st == nil:
			return backend.ErrNotFound
		case !st.External:
			return nil
		case old != nil && !sameContent(old, &st.Session):
			return backend.ErrConflict
		}
		e := format.NewEntry(&st.Session, format.NewVersion(now, st.Session.UserID, st.Session.Files))
		if err := s.announce(ctx, client, &e, st.Session.ExpiresAt.UnixMilli()); err != nil {
			return err
		}
		digest := sha1.Sum([]byte(value)) //nolint:gosec // as above
		s.written.add(name)
		a, err = s.eval(ctx, client, doing, lua.Call{Script: lua.Adopt, Keys: []string{name}, Args: []string{
			millis(now), hex.EncodeToString(digest[:]),
			rueidis.BinaryString(s.codec.Encode(&st.Session).Value(e.Version, format.End(st.Session.TTL, st.Session.OwnTTL))),
			millis(st.Session.ExpiresAt),
		}})
		if err == nil && a.Outcome == lua.Done {
			return nil
		}
		if !unknown(err) {
			s.forget(ctx, client, e)
		}
		if err != nil {
			return err
		}
		if err := conn.Pause(ctx, try); err != nil {
			return failed(doing, err)
		}
	}
}

// sameContent reports whether two states of a session that another program wrote
// are one: such a program counts no revisions, so the sections themselves are
// compared.
func sameContent(a, b *schema.Session) bool {
	at := schema.RevisionOffset(a.ID)
	return a.CreatedAt.Equal(b.CreatedAt) && len(a.Doc) > at && len(b.Doc) > at && bytes.Equal(a.Doc[at:], b.Doc[at:])
}

// changeOwn is change for a session that another program may have written: that
// is adopted, and changed then. old is what it must be, nil for anything.
func (s *Store) changeOwn(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key, old *schema.Session, doing string, c lua.Call) (lua.Answer, error) {
	a, err := s.change(ctx, client, doing, c)
	if !errors.Is(err, backend.ErrDamaged) {
		return a, err
	}
	if err := s.adopt(ctx, client, now, key, old); err != nil {
		if errors.Is(err, backend.ErrDamaged) {
			s.damage.note(ctx, s.log, key, err)
		}
		return lua.Answer{}, err
	}
	return s.change(ctx, client, doing, c)
}

// discard removes what a key holds that is no session.
func (s *Store) discard(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key) error {
	name := s.keys.Session(key)
	s.written.add(name)
	a, err := s.change(ctx, client, "removing a damaged session", lua.Call{
		Script: lua.Discard, Keys: []string{name, format.Tombstone(name)}, Args: []string{millis(now), s.tombstoneEnd(now)},
	})
	if err != nil {
		return err
	}
	return changeError(a)
}

// damage counts values that are no sessions where one should be, and tells of
// each once.
type damage struct {
	mu    sync.Mutex
	told  map[backend.Key]struct{}
	count int64
}

// damageTold is of how many damaged sessions is told by name.
const damageTold = 1000

// note counts one that was met.
func (d *damage) note(ctx context.Context, log *slog.Logger, key backend.Key, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	if _, known := d.told[key]; known || len(d.told) > damageTold {
		return
	}
	if d.told == nil {
		d.told = map[backend.Key]struct{}{}
	}
	d.told[key] = struct{}{}
	if len(d.told) > damageTold {
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
