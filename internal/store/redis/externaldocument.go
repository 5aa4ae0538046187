package redis

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // compares what is stored with what was read, guards nothing
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// decodeExternal reads a value that this store did not write as the document of
// another program, into st. Its deadline is that of its key; where the key stays
// for ever, the one that the document names, and otherwise its idle life from now
// on. Until such a session is changed, which adopts it, it is in no index.
func (s *Store) decodeExternal(now time.Time, key backend.Key, deadline int64, value string, st *format.Value) error {
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
	sess.Life = externalLife(&sess)
	*st = format.Value{Session: sess, External: true, Written: sess.ExpiresAt.UnixMilli()}
	st.Life, st.TTL = sess.Life, sess.TTL
	return nil
}

// externalLife returns the life of a session that another program wrote. It is made
// of the content, so that a change of the session can name the state that was read.
func externalLife(sess *schema.Session) (life schema.Life) {
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
	return s.decodeExternal(now, key, deadline, value, st)
}

// adopt rewrites the value of a session that another program wrote as this store
// writes them, and indexes it; a value that is one of the store's own stays as it
// is. With old, the session must still be that. Returns backend.ErrDamaged if the
// value is no document, backend.ErrNotFound if it is gone, and backend.ErrConflict.
func (s *Store) adopt(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key, old *schema.Session) error {
	const doing = "adopting a session"
	name := s.keys.Session(key)
	for try := 0; ; try++ {
		a, err := s.eval(ctx, client, doing, lua.Call{Script: lua.Read, Keys: []string{name}, Args: []string{millis(now)}})
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
		if err := s.addEntry(ctx, client, &e, st.Session.ExpiresAt.UnixMilli()); err != nil {
			return err
		}
		digest := sha1.Sum([]byte(value)) //nolint:gosec // as above
		s.written.add(name)
		a, err = s.eval(ctx, client, doing, lua.Call{Script: lua.Adopt, Keys: []string{name}, Args: []string{
			millis(now), hex.EncodeToString(digest[:]),
			rueidis.BinaryString(s.codec.Encode(&st.Session).Value(e.Version, format.End(&st.Session))),
			millis(st.Session.ExpiresAt),
		}})
		if err == nil && a.Outcome == lua.Done {
			return nil
		}
		if !outcomeUnknown(err) {
			s.removeEntries(ctx, client, e)
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

// changeOrAdopt is change for a session that another program may have written: that
// is adopted, and changed then. old is what it must be, nil for anything.
func (s *Store) changeOrAdopt(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key, old *schema.Session, doing string, c lua.Call) (lua.Answer, error) {
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
