package redis

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

const (
	// shortValue is up to which length a value is read as a whole at once: most are
	// shorter. Of longer ones, the beginning and the end tell how long the document
	// is, and nearly always whose.
	shortValue = 4 << 10
	// wholeBytes is how much of documents is read in one round trip, beyond the first.
	wholeBytes = 32 << 20
)

// part is what was read of a session: all of it, or the beginning.
type part struct {
	// value is nil where there is no session. Where whole is false, the session's Doc
	// is only the beginning; nil where that did not do.
	value    *format.Value
	document int // the length of the document
	whole    bool
}

// readParts reads of each session what shortValue says, in two round trips at most.
func (s *Store) readParts(ctx context.Context, client rueidis.Client, now time.Time, keys []backend.Key) ([]part, error) {
	const doing = "reading sessions"
	limited, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	cmds := make([]rueidis.Completed, 0, 2*len(keys))
	for _, key := range keys {
		name := s.keys.Session(key)
		cmds = append(cmds, client.B().Pexpiretime().Key(name).Build().Pin(),
			client.B().Getrange().Key(name).Start(0).End(shortValue-1).Build().Pin())
	}
	results := client.DoMulti(limited, cmds...)
	parts := make([]part, len(keys))
	var long []int
	for i, key := range keys {
		deadline, err := results[2*i].AsInt64()
		if err != nil {
			return nil, failed(doing, err)
		}
		value, err := results[2*i+1].ToString()
		switch {
		case conn.Answered(err, "WRONGTYPE "):
			parts[i] = part{value: &format.Value{Damaged: true}, whole: true}
			continue
		case err != nil:
			return nil, failed(doing, err)
		case len(value) == shortValue:
			long = append(long, i)
			continue
		}
		if deadline == isAbsent && value == "" {
			continue
		}
		st, torn, err := s.live(now, key, deadline, value, nil)
		if torn || err != nil || value == "" || st == nil && deadline == isAbsent {
			st, _, err = s.fetchAtomically(limited, client, now, key, s.keys.Session(key))
		}
		if parts[i], err = wholePart(st, failed(doing, err)); err != nil {
			return nil, err
		}
	}
	return parts, s.readLong(ctx, client, now, keys, long, parts)
}

// wholePart is the part that all of a session is. What is no session is none, and no
// failure.
func wholePart(st *format.Value, err error) (part, error) {
	if errors.Is(err, backend.ErrDamaged) {
		return part{value: &format.Value{Damaged: true}, whole: true}, nil
	}
	if err != nil || st == nil {
		return part{}, err
	}
	return part{value: st, document: len(st.Session.Doc), whole: true}, nil
}

// readLong reads the beginning and the end of those of the sessions whose values are
// long.
func (s *Store) readLong(ctx context.Context, client rueidis.Client, now time.Time, keys []backend.Key, long []int, parts []part) error {
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	calls := make([]lua.Call, len(long))
	for n, i := range long {
		calls[n] = lua.Call{Script: lua.Head, Keys: []string{s.keys.Session(keys[i])}, Args: []string{
			millis(now), strconv.Itoa(shortValue), strconv.Itoa(format.LastMax),
		}}
	}
	answers, failures := s.evalAll(ctx, client, "reading sessions", calls)
	for n, i := range long {
		if errors.Is(failures[n], backend.ErrDamaged) {
			parts[i] = part{value: &format.Value{Damaged: true}, whole: true}
			continue
		}
		if failures[n] != nil {
			return failures[n]
		}
		deadline := answers[n].Deadline()
		if deadline == isAbsent || deadline != noExpiry && deadline <= now.UnixMilli() {
			continue
		}
		length, err := strconv.ParseInt(answers[n].Text(1), 10, 64)
		if err != nil {
			return failed("reading sessions", err)
		}
		value, document, ok := format.DecodeHead(keys[i], answers[n].Text(2), answers[n].Text(3), length)
		if !ok || deadline == noExpiry {
			parts[i] = part{document: int(max(document, length))} // more than it may be, where it is not known
			continue
		}
		if !value.Pending {
			end := s.within(value.Session.CreatedAt.UnixMilli(), deadline)
			if end <= now.UnixMilli() {
				continue
			}
			value.Session.ExpiresAt = time.UnixMilli(end).UTC()
		}
		parts[i] = part{value: value, document: int(document)}
	}
	return nil
}

// complete reads those of the sessions as a whole that want says, as far as they are
// not: about wholeBytes of documents in one round trip.
func (s *Store) complete(ctx context.Context, client rueidis.Client, now time.Time, keys []backend.Key, parts []part, want func(*part) bool) error {
	var some []int
	size := 0
	read := func() error {
		names := make([]backend.Key, len(some))
		for n, i := range some {
			names[n] = keys[i]
		}
		found, err := s.fetchAll(ctx, client, now, names)
		if err != nil {
			return err
		}
		for n, i := range some {
			if parts[i], err = wholePart(found[n], nil); err != nil {
				return err
			}
		}
		some, size = some[:0], 0
		return nil
	}
	for i := range parts {
		if parts[i].whole || parts[i].document == 0 || !want(&parts[i]) {
			continue
		}
		if size += parts[i].document; size > wholeBytes && len(some) > 0 {
			if err := read(); err != nil {
				return err
			}
			size = parts[i].document
		}
		some = append(some, i)
	}
	if len(some) == 0 {
		return nil
	}
	return read()
}

// readSummaries reads of each session as much as its summary takes.
func (s *Store) readSummaries(ctx context.Context, client rueidis.Client, now time.Time, keys []backend.Key) ([]part, error) {
	parts, err := s.readParts(ctx, client, now, keys)
	if err != nil {
		return nil, err
	}
	err = s.complete(ctx, client, now, keys, parts, func(p *part) bool {
		if p.value == nil {
			return true
		}
		if p.value.Pending {
			return false
		}
		_, err := p.value.Session.SummaryWithin(p.document)
		return err != nil
	})
	return parts, err
}
