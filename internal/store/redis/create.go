package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// Create implements backend.Store. It is one round trip: its entry is written in the same
// step. In a Cluster, and for sessions of many files, it is two: the entry, the
// session.
func (s *Store) Create(ctx context.Context, now time.Time, sess schema.Session, opts ...backend.CreateOption) error {
	client, err := s.using(ctx, sess.Namespace)
	if err != nil {
		return err
	}
	if err := checkDocument(&sess); err != nil {
		return err
	}
	encoded := s.codec.Encode(&sess)
	if err := s.checkReserve(guest(&sess), encoded.Len()+overhead, "creating a session"); err != nil {
		return err
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	e := format.NewEntry(&sess, format.NewVersion(now, sess.UserID, sess.Files))
	p := placement{
		key: sess.Key(), value: encoded.Value(e.Version, format.End(&sess)), deadline: sess.ExpiresAt,
		revive: backend.Revives(opts), share: s.reserveArg(guest(&sess)),
	}
	if err := s.placeIndexed(ctx, client, now, &e, p); err != nil {
		return err
	}
	s.remember(&sess, rueidis.BinaryString(p.value), e.Version)
	s.sets.Add(1)
	return nil
}

// placement is a value that is to take a key which has no live session.
type placement struct {
	key      backend.Key
	value    []byte
	deadline time.Time
	// pending: the deadline holds once the session is activated. Until then it lives for
	// pendingLife at most.
	pending bool
	// revive: a tombstone is no obstacle.
	revive bool
	// share is what a guest cannot take.
	share string
}

// maxInOneStep is how many members of indexes one script writes at most.
const maxInOneStep = 32

// placeIndexed places a value, whose entry it writes in the same step or before.
func (s *Store) placeIndexed(ctx context.Context, client rueidis.Client, now time.Time, e *format.Entry, p placement) error {
	if !s.opts.Cluster && len(e.Files) <= maxInOneStep {
		return s.place(ctx, client, now, p, s.additions(e, p.deadline.UnixMilli()))
	}
	if err := s.addEntry(ctx, client, e, p.deadline.UnixMilli()); err != nil {
		return err
	}
	err := s.place(ctx, client, now, p, nil)
	if err != nil && !outcomeUnknown(err) {
		s.removeEntries(ctx, client, *e)
	}
	return err
}

// place stores a value, and writes to the indexes in the same step.
func (s *Store) place(ctx context.Context, client rueidis.Client, now time.Time, p placement, entry []addition) error {
	const doing = "creating a session"
	name := s.keys.Session(p.key)
	s.written.add(name)
	c := lua.Call{Script: lua.Create, Keys: make([]string, 0, 8), Args: make([]string, 0, 24)}
	c.Keys = append(c.Keys, name, format.Grace(name), format.Tombstone(name))
	deadline, tombstone, tombstoneEnd := "", "", ""
	if !p.pending {
		deadline = millis(p.deadline)
		tombstone, tombstoneEnd = s.expiryTombstone(p.deadline)
		c.Confirmed = s.confirmedWrite()
	}
	c.Args = append(c.Args, millis(now), rueidis.BinaryString(p.value), deadline, strconv.FormatInt(s.pendingLife().Milliseconds(), 10),
		flag(p.revive), tombstone, tombstoneEnd, p.share)
	for _, a := range entry {
		score := strconv.FormatInt(a.score, 10)
		for _, member := range a.members {
			c.Keys, c.Args = append(c.Keys, a.index), append(c.Args, score, member)
		}
	}
	a, err := s.change(ctx, client, doing, c)
	if err == nil && a.Outcome == lua.Changed {
		var freed bool
		if freed, err = s.freeOutlived(ctx, client, now, p.key); freed && err == nil {
			return s.place(ctx, client, now, p, entry)
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
		return s.reservedError(doing)
	case a.Outcome != lua.Done:
		return backend.ErrExists
	}
	// What had expired and was still there is swept now: nothing else leads to
	// its entry any more.
	if old := a.Text(0); old != "" {
		if e, err := s.codec.Entry(p.key, old); err == nil {
			s.removeEntries(ctx, client, e)
			s.expirations.Add(1)
		}
	}
	return nil
}

// checkDocument refuses what could not be read back.
func checkDocument(sess *schema.Session) error {
	if err := format.Check(sess); err != nil {
		return fmt.Errorf("redis: %w: %w", backend.ErrUnavailable, err)
	}
	return nil
}
