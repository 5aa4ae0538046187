package redis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/lua"
)

const (
	// followBatch is how many events a follower reads at once.
	followBatch = 256
	// unfollowed is how long events are kept without a follower.
	unfollowed = time.Hour
)

// What stands in the stream beside events.
const (
	// recordStart is the first entry.
	recordStart = "start"
	// recordLost: events are missing here.
	recordLost = "lost"
)

// Follow implements backend.Store. A follower always reads from the last entry
// that it has seen: as long as that is there, so is all that came after it.
func (s *Store) Follow(ctx context.Context, after string, yield func(backend.Event) error) error {
	if after != "" && !validEventID(after) {
		return backend.ErrEventsLost
	}
	client, err := s.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(s.closed, cancel)
	defer stop()
	err = s.followFrom(ctx, client, after, yield)
	if s.closed.Err() != nil && ctx.Err() != nil {
		return failed("following events", errClosed)
	}
	return err
}

// errClosed: the store was closed meanwhile.
var errClosed = errors.New("the store is closed")

// validEventID reports whether text may be an entry's ID: there is one spelling
// of each.
func validEventID(text string) bool {
	ms, seq, _ := strings.Cut(text, "-")
	for _, digits := range []string{ms, seq} {
		n, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || strconv.FormatUint(n, 10) != digits {
			return false
		}
	}
	return true
}

func (s *Store) followFrom(ctx context.Context, client rueidis.Client, last string, yield func(backend.Event) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if last == "" {
		var err error
		if last, err = s.lastEvent(ctx, client); err != nil {
			return orEnd(ctx, err)
		}
	}
	for {
		entries, err := s.eventsFrom(ctx, client, last)
		switch {
		case err != nil:
			return orEnd(ctx, err)
		case len(entries) == 0 || entries[0].ID != last:
			return backend.ErrEventsLost
		}
		for _, entry := range entries[1:] {
			if err := s.yieldEvent(ctx, entry, yield); err != nil {
				return err
			}
			last = entry.ID
		}
		if len(entries) == 1 {
			if err := s.awaitEvent(ctx, client, last); err != nil {
				return orEnd(ctx, err)
			}
		}
	}
}

// orEnd returns why ctx ended, if it did, and otherwise err.
func orEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// lastEvent returns the ID of the last entry of the stream. From then on there
// is one.
func (s *Store) lastEvent(ctx context.Context, client rueidis.Client) (string, error) {
	const doing = "following events"
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	// What happened here until now comes before.
	if err := s.events.wait(ctx); err != nil {
		return "", failed(doing, err)
	}
	a, err := s.eval(ctx, client, doing, lua.Call{Script: lua.Follow, Keys: []string{s.keys.Events()}, Args: []string{
		millis(time.UnixMilli(0)), strconv.FormatInt(unfollowed.Milliseconds(), 10), strconv.Itoa(s.opts.Events),
	}})
	return a.Text(0), err
}

// eventsFrom reads entries of the stream from that one on, and keeps the stream
// alive.
func (s *Store) eventsFrom(ctx context.Context, client rueidis.Client, first string) ([]rueidis.XRangeEntry, error) {
	const doing = "following events"
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	results := client.DoMulti(ctx,
		client.B().Xrange().Key(s.keys.Events()).Start(first).End("+").Count(followBatch).Build().Pin(),
		client.B().Pexpire().Key(s.keys.Events()).Milliseconds(unfollowed.Milliseconds()).Build().Pin())
	if err := firstError(doing, results); err != nil {
		return nil, err
	}
	entries, err := results[0].AsXRange()
	return entries, failed(doing, err)
}

// awaitEvent waits until there is an entry after that one, or for as long as
// one operation may take.
func (s *Store) awaitEvent(ctx context.Context, client rueidis.Client, last string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*s.opts.Timeout)
	defer cancel()
	// Commands that wait have a connection of their own.
	err := client.Do(ctx, client.B().Xread().Count(1).Block(s.opts.Timeout.Milliseconds()).
		Streams().Key(s.keys.Events()).Id(last).Build().Pin()).Error()
	if rueidis.IsRedisNil(err) {
		return nil
	}
	return failed("following events", err)
}

// yieldEvent yields the event of an entry, if it is one.
func (s *Store) yieldEvent(ctx context.Context, entry rueidis.XRangeEntry, yield func(backend.Event) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch entry.FieldValues["type"] {
	case recordLost:
		return backend.ErrEventsLost
	case recordStart:
		return nil
	}
	ev, ok := s.readEvent(entry)
	if !ok {
		return nil // no store of this version wrote it
	}
	return yield(ev)
}

func (s *Store) readEvent(entry rueidis.XRangeEntry) (backend.Event, bool) {
	at, ok := schema.ParseDigits(entry.FieldValues["at"])
	if !ok {
		return backend.Event{}, false
	}
	ev := backend.Event{
		ID:     entry.ID,
		Type:   backend.EventType(entry.FieldValues["type"]),
		At:     time.UnixMilli(at).UTC(),
		UserID: unescaped(entry.FieldValues["user"]),
	}
	if previous := entry.FieldValues["previous"]; ev.Type == backend.EventClientChanged {
		ev.PreviousClient, ev.Client, _ = strings.Cut(previous, labelBreak)
	} else {
		ev.Previous = previous
	}
	if ev.Session, ok = s.keys.ParseSession(entry.FieldValues["session"]); !ok {
		return backend.Event{}, false
	}
	if ev.Revision, ok = schema.ParseDigits(entry.FieldValues["revision"]); !ok {
		return backend.Event{}, false
	}
	if expires := entry.FieldValues["expires"]; expires != "" {
		deadline, ok := schema.ParseDigits(expires)
		if !ok {
			return backend.Event{}, false
		}
		ev.ExpiresAt = time.UnixMilli(deadline).UTC()
	}
	return ev, slices.Contains(backend.EventTypes, ev.Type)
}
