package redis

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// Swap implements backend.Store. It is one round trip where the user and the
// files stay the same, two where what this instance knows of the session is not what
// is stored; otherwise one before, to index the session anew, and
// one after, to remove what it was indexed by. Of a session with many files, one
// more reads which entries can be reused.
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
	if err := s.checkReserve(guestGrows(&old, &next), len(next.Doc)-len(old.Doc), "changing a session"); err != nil {
		return schema.Session{}, err
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	anew := !format.SameEntry(&old, &next)
	if !anew {
		got, done, err := s.replace(ctx, client, now, &old, next)
		if done {
			return got, err
		}
	}
	var reused *format.Entry
	if anew && min(len(old.Files), len(next.Files)) >= format.ManyFiles {
		reused = s.entryNow(ctx, client, &old)
	}
	got, err := s.swap(ctx, client, now, &old, next, anew, reused)
	if errors.Is(err, errVersion) {
		got, err = s.swap(ctx, client, now, &old, next, true, nil)
	}
	if err == nil {
		s.sets.Add(1)
	}
	return got, err
}

// errVersion: what is stored passes for old, but has another entry.
var errVersion = errors.New("the entry is another")

// swap replaces old by next, which gets a new entry if anew. Of reused, the present
// entry, that reuses what does not change; nil where that is unknown.
func (s *Store) swap(ctx context.Context, client rueidis.Client, now time.Time, old *schema.Session, next schema.Session, anew bool, reused *format.Entry) (schema.Session, error) {
	const doing = "changing a session"
	var e format.Entry
	newVersion, expected := "", format.Digest(old.UserID, old.Files)
	if anew {
		e = format.NewEntry(&next, format.NewVersion(now, next.UserID, next.Files))
		newVersion = e.Version.String()
		if reused != nil {
			expected = reused.Version.String()
			e.Reuse(reused)
		}
		if err := s.addEntry(ctx, client, &e, next.ExpiresAt.UnixMilli()); err != nil {
			return schema.Session{}, err
		}
	}
	name := s.keys.Session(old.Key())
	s.written.add(name)
	value := s.codec.Encode(&next)
	sameTTL := old.TTL == next.TTL && old.OwnTTL == next.OwnTTL
	confirmed := s.confirmedWrite()
	if next.UserID != old.UserID {
		confirmed = s.confirmedEnd()
	}
	a, err := s.changeOrAdopt(ctx, client, now, old.Key(), old, doing, lua.Call{Confirmed: confirmed, Script: lua.Swap, Keys: []string{name, format.Tombstone(name)}, Args: append(stateArgs(now, old),
		millis(next.ExpiresAt), flag(sameTTL),
		rueidis.BinaryString(value.Body), value.TrailerStart, format.End(&next),
		expected, newVersion, s.tombstoneLife(), newLife(old, &next), e.FileVersions.String(), flag(reused != nil),
		s.reserveArg(guestGrows(old, &next)), clientChange(old.Facts, next.Facts),
	)})
	switch {
	case err == nil && a.Outcome == lua.Full:
		err = s.reservedError(doing)
	case err == nil:
		err = changeError(a)
	}
	if err != nil {
		if anew && !outcomeUnknown(err) {
			s.removeEntries(ctx, client, e)
		}
		return schema.Session{}, err
	}
	s.values.forget(old.Key())
	next.ExpiresAt = time.UnixMilli(s.within(next.CreatedAt.UnixMilli(), a.Deadline())).UTC()
	before, err := s.entryBefore(old, a.Text(1), a.Text(2), a.Text(3))
	if reused != nil {
		before, err = *reused, nil
	}
	switch {
	case err != nil: // it is swept when its time comes
	case anew:
		s.removeReplaced(ctx, client, before)
	case next.ExpiresAt.Before(old.ExpiresAt):
		// The sweep must not come late. (It may well come early.)
		after, cancel := s.conn.Afterwards(ctx)
		defer cancel()
		client.Do(after, client.B().Arbitrary("ZADD").Keys(s.keys.ExpiriesOf(old.Key())).
			Args("XX", "LT", millis(next.ExpiresAt), before.ExpiryMember()).Build().Pin())
	}
	return next, nil
}

// newLife is the new life of a session that becomes another user's, as the script
// takes it. A grace leads to a life, and so to this session no more.
func newLife(old, next *schema.Session) string {
	if next.UserID == old.UserID {
		return ""
	}
	return next.Life.String()
}

// entryBefore returns the entry that a session had until it was changed: from the
// versions that the script answered, or from its value if the script answered that.
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

// stateArgs are the arguments by which a script compares the stored session with
// old, after the time.
func stateArgs(now time.Time, old *schema.Session) []string {
	args := make([]string, 0, 16)
	return append(args, millis(now),
		strconv.Itoa(schema.RevisionOffset(old.ID)), strconv.FormatInt(old.Revision, 10)+",",
		strconv.Itoa(schema.CreatedAtOffset(old.ID)), old.CreatedAt.UTC().Format(schema.TimeLayout),
		format.End(old), old.Life.String())
}

// changeError is the error of a change that was not made, nil if it was.
func changeError(a lua.Answer) error {
	switch a.Outcome {
	case lua.Done:
		return nil
	case lua.Absent:
		return backend.ErrNotFound
	case lua.VersionNeeded:
		return errVersion
	default:
		return backend.ErrConflict
	}
}

// entryNow returns the entry of a stored session that has the same files as old;
// nil if it has others, or if reading it fails.
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
