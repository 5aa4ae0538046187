package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// Create implements backend.Store. It is two round trips: the entry, the session.
func (s *Store) Create(ctx context.Context, now time.Time, sess schema.Session) error {
	return s.create(ctx, now, sess, "")
}

// Revive implements backend.Store.
func (s *Store) Revive(ctx context.Context, now time.Time, sess schema.Session) error {
	return s.create(ctx, now, sess, lifting)
}

// create stores a session in spite of a tombstone, if it is lifting that.
func (s *Store) create(ctx context.Context, now time.Time, sess schema.Session, lift string) error {
	client, err := s.using(ctx, sess.Namespace)
	if err != nil {
		return err
	}
	if err := checkDocument(&sess); err != nil {
		return err
	}
	encoded := s.codec.Encode(&sess)
	if err := s.admit(guest(&sess), len(encoded.Body)+overhead, "creating a session"); err != nil {
		return err
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	e := format.NewEntry(&sess, format.NewVersion(now, sess.UserID, sess.Files))
	if err := s.announce(ctx, client, &e, sess.ExpiresAt.UnixMilli()); err != nil {
		return err
	}
	value := encoded.Value(e.Version, format.End(sess.TTL, sess.OwnTTL))
	if err := s.put(ctx, client, now, sess.Key(), value, millis(sess.ExpiresAt), lift, s.share(guest(&sess))); err != nil {
		if !unknown(err) {
			s.forget(ctx, client, e)
		}
		return err
	}
	s.sets.Add(1)
	return nil
}

// lifting is what put is told by who may set again what was ended.
const lifting = "1"

// put stores a value where no live session is, nor one that was ended lately,
// unless it is lifting that. Without a deadline the session is one that is
// pending, and stays so for its pendingLife at most. share is what a guest cannot
// take.
func (s *Store) put(ctx context.Context, client rueidis.Client, now time.Time, key backend.Key, value []byte, deadline, lift, share string) error {
	const doing = "creating a session"
	name := s.keys.Session(key)
	s.written.add(name)
	a, err := s.change(ctx, client, doing, lua.Call{Script: lua.Create, Keys: []string{name, format.Grace(name), format.Tombstone(name)}, Args: []string{
		millis(now), rueidis.BinaryString(value), deadline, strconv.FormatInt(s.pendingLife().Milliseconds(), 10), lift, s.tombstoneLife(), share,
	}})
	if err == nil && a.Outcome == lua.Changed {
		var freed bool
		if freed, err = s.freeOutlived(ctx, client, now, key); freed && err == nil {
			return s.put(ctx, client, now, key, value, deadline, lift, share)
		}
	}
	switch {
	case err != nil:
		return err
	case a.Outcome == lua.Ended:
		return backend.ErrEnded
	case a.Outcome == lua.Lapsed:
		return backend.ErrLapsed
	case a.Outcome == lua.Full:
		return s.keptFrom(doing)
	case a.Outcome != lua.Done:
		return backend.ErrExists
	}
	// What had expired and was still there is swept now: nothing else leads to
	// its entry any more.
	if old := a.Text(0); old != "" {
		if e, err := s.codec.Entry(key, old); err == nil {
			s.forget(ctx, client, e)
			s.expirations.Add(1)
		}
	}
	return nil
}

// Swap implements backend.Store. It is one round trip where the user and the
// files stay the same; otherwise one before, to index the session anew, and
// one after, to remove what it was indexed by. Of a session with many files, one
// more tells what of its entry it can keep.
func (s *Store) Swap(ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
	client, err := s.using(ctx, old.Namespace)
	if err != nil {
		return schema.Session{}, err
	}
	if err := checkDocument(&next); err != nil {
		return schema.Session{}, err
	}
	if s.outlived(now, old.CreatedAt) {
		return schema.Session{}, backend.ErrNotFound
	}
	if next.UserID == old.UserID {
		next.Life = old.Life
	}
	if err := s.admit(guestGrows(&old, &next), len(next.Doc)-len(old.Doc), "changing a session"); err != nil {
		return schema.Session{}, err
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	anew := !format.SameEntry(&old, &next)
	var kept *format.Entry
	if anew && min(len(old.Files), len(next.Files)) >= format.ManyFiles {
		kept = s.entryNow(ctx, client, &old)
	}
	got, err := s.swap(ctx, client, now, &old, next, anew, kept)
	if errors.Is(err, errStamp) {
		got, err = s.swap(ctx, client, now, &old, next, true, nil)
	}
	if err == nil {
		s.sets.Add(1)
	}
	return got, err
}

// errStamp: what is stored passes for old, but is indexed by something else.
var errStamp = errors.New("the entry is another")

// swap replaces old by next, which gets an entry of its own if anew. Where kept
// is the entry that it has, it keeps what does not change of that.
func (s *Store) swap(ctx context.Context, client rueidis.Client, now time.Time, old *schema.Session, next schema.Session, anew bool, kept *format.Entry) (schema.Session, error) {
	const doing = "changing a session"
	var e format.Entry
	newStampText, taken := "", format.Digest(old.UserID, old.Files)
	if anew {
		e = format.NewEntry(&next, format.NewVersion(now, next.UserID, next.Files))
		newStampText = e.Version.String()
		if kept != nil {
			taken = kept.Version.String()
			e.Reuse(kept)
		}
		if err := s.announce(ctx, client, &e, next.ExpiresAt.UnixMilli()); err != nil {
			return schema.Session{}, err
		}
	}
	name := s.keys.Session(old.Key())
	s.written.add(name)
	value := s.codec.Encode(&next)
	sameTerms := old.TTL == next.TTL && old.OwnTTL == next.OwnTTL
	a, err := s.changeOwn(ctx, client, now, old.Key(), old, doing, lua.Call{Script: lua.Swap, Keys: []string{name, format.Tombstone(name)}, Args: append(asItWas(now, old),
		millis(next.ExpiresAt), flag(sameTerms),
		rueidis.BinaryString(value.Body), value.TrailerStart, format.End(next.TTL, next.OwnTTL),
		taken, newStampText, s.tombstoneLife(), otherBirth(old, &next), e.FileVersions.String(), flag(kept != nil),
		s.share(guestGrows(old, &next)),
	)})
	switch {
	case err == nil && a.Outcome == lua.Full:
		err = s.keptFrom(doing)
	case err == nil:
		err = changeError(a)
	}
	if err != nil {
		if anew && !unknown(err) {
			s.forget(ctx, client, e)
		}
		return schema.Session{}, err
	}
	next.ExpiresAt = time.UnixMilli(s.within(next.CreatedAt.UnixMilli(), a.Deadline())).UTC()
	before, err := s.entryBefore(old, a.Text(1), a.Text(2), a.Text(3))
	if kept != nil {
		before, err = *kept, nil
	}
	switch {
	case err != nil: // it is swept when its time comes
	case anew:
		s.forgetReplaced(ctx, client, before)
	case next.ExpiresAt.Before(old.ExpiresAt):
		// The sweep must not come late. (It may well come early.)
		after, cancel := s.conn.Afterwards(ctx)
		defer cancel()
		client.Do(after, client.B().Arbitrary("ZADD").Keys(s.keys.ExpiriesOf(old.Key())).
			Args("XX", "LT", millis(next.ExpiresAt), before.ExpiryMember()).Build().Pin())
	}
	return next, nil
}

// otherBirth is the birth that a session gets which becomes another user's, as
// the script takes it: a grace leads to a birth, and so to this session no more.
func otherBirth(old, next *schema.Session) string {
	if next.UserID == old.UserID {
		return ""
	}
	return next.Life.String()
}

// entryBefore returns the entry that a session had until it was changed, from
// its stamps, and its value if that is not what the caller took it for.
func (s *Store) entryBefore(old *schema.Session, index, value, files string) (format.Entry, error) {
	if value != "" {
		return s.codec.Entry(old.Key(), value)
	}
	before, ok := format.ParseVersion(index)
	if !ok {
		return format.Entry{}, format.ErrNotSession
	}
	stamps, ok := format.ParseFileVersions(files)
	if !ok {
		return format.Entry{}, format.ErrNotSession
	}
	e := format.NewEntry(old, before)
	e.FileVersions = stamps
	return e, nil
}

// asItWas is what a script compares the stored session with, after the time.
func asItWas(now time.Time, old *schema.Session) []string {
	args := make([]string, 0, 16)
	return append(args, millis(now),
		strconv.Itoa(schema.RevisionOffset(old.ID)), strconv.FormatInt(old.Revision, 10)+",",
		strconv.Itoa(schema.CreatedAtOffset(old.ID)), old.CreatedAt.UTC().Format(schema.TimeLayout),
		format.End(old.TTL, old.OwnTTL), old.Life.String())
}

// changeError is the error of a change that was not made, nil if it was.
func changeError(a lua.Answer) error {
	switch a.Outcome {
	case lua.Done:
		return nil
	case lua.Absent:
		return backend.ErrNotFound
	case lua.VersionNeeded:
		return errStamp
	default:
		return backend.ErrConflict
	}
}

// Touch implements backend.Store. It is one round trip, and writes nothing but
// the deadline.
func (s *Store) Touch(ctx context.Context, now time.Time, key backend.Key, until time.Time) (schema.Session, error) {
	const doing = "touching a session"
	client, err := s.using(ctx, key.Namespace)
	if err != nil {
		return schema.Session{}, err
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	name := s.keys.Session(key)
	s.written.add(name)
	a, err := s.changeOwn(ctx, client, now, key, nil, doing, lua.Call{Script: lua.Touch, Keys: []string{name, format.Tombstone(name)}, Args: []string{
		millis(now), millis(until), s.tombstoneLife(),
	}})
	if err == nil {
		err = changeError(a)
	}
	if err != nil {
		return schema.Session{}, err
	}
	var st format.Value
	if err := s.codec.Decode(key, a.Text(1), &st); err != nil {
		return schema.Session{}, failed(doing, fmt.Errorf("%w: %w", format.ErrNotSession, err))
	}
	if s.outlived(now, st.Session.CreatedAt) {
		return schema.Session{}, backend.ErrNotFound
	}
	st.Session.ExpiresAt = time.UnixMilli(s.within(st.Session.CreatedAt.UnixMilli(), a.Deadline())).UTC()
	return st.Session, nil
}

// Delete implements backend.Store. The session is gone with the first of two
// round trips.
func (s *Store) Delete(ctx context.Context, now time.Time, key backend.Key, revision int64) error {
	client, err := s.using(ctx, key.Namespace)
	if err != nil {
		return err
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	if !s.lifeLimited.Load() {
		if _, err := s.freeOutlived(ctx, client, now, key); err != nil {
			return err
		}
	}
	a, err := s.changeOwn(ctx, client, now, key, nil, "ending a session", s.deletion(now, key, revision, ""))
	switch {
	case err == nil:
		err = changeError(a)
	case revision == 0 && errors.Is(err, backend.ErrDamaged):
		err = s.discard(ctx, client, now, key)
	}
	if err != nil {
		return err
	}
	s.deletes.Add(1)
	if e, err := s.codec.Entry(key, a.Text(0)); err == nil {
		s.forget(ctx, client, e)
	}
	return nil
}

// deletion ends a session if it has the revision (0: any) and the stamp (empty:
// any).
func (s *Store) deletion(now time.Time, key backend.Key, revision int64, index string) lua.Call {
	name := s.keys.Session(key)
	s.written.add(name)
	number := ""
	if revision != 0 {
		number = strconv.FormatInt(revision, 10) + ","
	}
	return lua.Call{Script: lua.Delete, Keys: []string{name, format.Tombstone(name)}, Args: []string{
		millis(now), strconv.Itoa(schema.RevisionOffset(key.ID)), number, index, s.tombstoneEnd(now),
	}}
}

// tombstoneEnd is how long what is ended now is remembered, as scripts take it.
func (s *Store) tombstoneEnd(now time.Time) string {
	if s.opts.Tombstone == 0 {
		return ""
	}
	return millis(now.Add(s.opts.Tombstone))
}

// tombstoneLife is how long what expires is remembered after its deadline, as
// scripts take it.
func (s *Store) tombstoneLife() string {
	if s.opts.Tombstone == 0 {
		return ""
	}
	return strconv.FormatInt(s.opts.Tombstone.Milliseconds(), 10)
}

// flag is a truth value as scripts take it.
func flag(yes bool) string {
	if yes {
		return "1"
	}
	return ""
}

// checkDocument refuses what could not be read back.
func checkDocument(sess *schema.Session) error {
	if err := format.Check(sess); err != nil {
		return fmt.Errorf("redis: %w: %w", backend.ErrUnavailable, err)
	}
	return nil
}

// entryNow returns the entry of a stored session that has the same files as
// old; nil where it has not, or where that is not to be known.
func (s *Store) entryNow(ctx context.Context, client rueidis.Client, old *schema.Session) *format.Entry {
	tail, err := client.Do(ctx, client.B().Getrange().Key(s.keys.Session(old.Key())).Start(-int64(format.TrailerMax)).End(-1).Build().Pin()).ToString()
	if err != nil {
		return nil
	}
	t, _, ok := format.ParseTrailer(tail)
	if !ok || !t.Index.Fits(old.UserID, old.Files) {
		return nil
	}
	e := format.NewEntry(old, t.Index)
	e.FileVersions = t.Files
	return &e
}
