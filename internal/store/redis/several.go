package redis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
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
	// readBatch is how many sessions are asked for in one round trip.
	readBatch = 1024
	// wholeBytes is how much of documents is read in one round trip, beyond the first.
	wholeBytes = 32 << 20
	// followers is how many graces are followed at once.
	followers = 16
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
			millis(now), strconv.Itoa(shortValue), strconv.Itoa(format.TrailerMax),
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

// Summarize implements backend.Store.
func (s *Store) Summarize(ctx context.Context, now time.Time, namespace string, ids []string) ([]backend.Found[schema.Summary], error) {
	found := make([]backend.Found[schema.Summary], 0, len(ids))
	err := s.readBatches(ctx, namespace, ids, func(client rueidis.Client, keys []backend.Key) error {
		parts, err := s.readSummaries(ctx, client, now, keys)
		if err != nil {
			return err
		}
		results, err := s.resolve(ctx, client, now, keys, parts)
		for i := range results {
			one := backend.Found[schema.Summary]{Err: results[i].Err}
			if one.Err == nil {
				one.Value, one.Err = results[i].Value.SummaryWithin(parts[i].document)
				one.Err = failed("reading sessions", one.Err)
			}
			found = append(found, one)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// GetAll implements backend.Store.
func (s *Store) GetAll(ctx context.Context, now time.Time, b backend.Batch) ([]backend.Found[schema.Session], error) {
	found := make([]backend.Found[schema.Session], 0, len(b.IDs))
	left := backend.NewBudget(b.Budget)
	err := s.readBatches(ctx, b.Namespace, b.IDs, func(client rueidis.Client, keys []backend.Key) error {
		parts, err := s.readParts(ctx, client, now, keys)
		if err != nil {
			return err
		}
		over := make(map[*part]bool)
		for i := range parts {
			p := &parts[i]
			if p.document > 0 && (p.value == nil || !p.value.Pending) && !left.Take(p.document) {
				over[p] = true
			}
		}
		if err := s.complete(ctx, client, now, keys, parts, func(p *part) bool { return !over[p] }); err != nil {
			return err
		}
		results, err := s.resolve(ctx, client, now, keys, parts)
		for i := range results {
			one := &results[i]
			switch {
			case over[&parts[i]]:
				*one = backend.Found[schema.Session]{Err: backend.ErrOverBudget}
			case one.Err == nil && one.Value.ID != keys[i].ID && !left.Take(len(one.Value.Doc)):
				*one = backend.Found[schema.Session]{Err: backend.ErrOverBudget}
			case b.Peek:
			case one.Err == nil:
				s.hits.Add(1)
			case errors.Is(one.Err, backend.ErrNotFound):
				s.misses.Add(1)
			}
			found = append(found, *one)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// readBatches calls read with the keys of the ids, readBatch at a time.
func (s *Store) readBatches(ctx context.Context, namespace string, ids []string, read func(rueidis.Client, []backend.Key) error) error {
	client, err := s.using(ctx, namespace)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(ids, readBatch) {
		if err := read(client, keysOf(namespace, some)); err != nil {
			return err
		}
	}
	return nil
}

func keysOf(namespace string, ids []string) []backend.Key {
	keys := make([]backend.Key, len(ids))
	for i, id := range ids {
		keys[i] = backend.Key{Namespace: namespace, ID: id}
	}
	return keys
}

// resolve returns the sessions of the parts, and of a key that has none the one that
// its grace leads to, which then is in the part as a whole.
func (s *Store) resolve(ctx context.Context, client rueidis.Client, now time.Time, keys []backend.Key, parts []part) ([]backend.Found[schema.Session], error) {
	found := make([]backend.Found[schema.Session], len(keys))
	var absent []int
	for i := range parts {
		switch v := parts[i].value; {
		case v == nil && parts[i].document > 0: // it was not to be completed
		case v == nil, v.Pending:
			absent = append(absent, i)
		case v.Damaged:
			found[i].Err = failed("reading sessions", format.ErrNotSession)
		default:
			found[i].Value = v.Session
		}
	}
	if len(absent) == 0 {
		return found, nil
	}
	graces, err := s.readGraces(ctx, client, keys, absent)
	if err != nil {
		return nil, err
	}
	slots := make(chan struct{}, followers)
	var running sync.WaitGroup
	for n, i := range absent {
		if graces[n] == "" {
			found[i].Err = backend.ErrNotFound
			continue
		}
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			late, cancel := s.conn.WithTimeout(ctx)
			defer cancel()
			found[i].Value, found[i].Err = s.follow(late, client, now, keys[i], graces[n])
		})
	}
	running.Wait()
	for _, i := range absent {
		if err := found[i].Err; err != nil && !errors.Is(err, backend.ErrNotFound) && !errors.Is(err, backend.ErrDamaged) {
			return nil, err
		}
		parts[i].document = len(found[i].Value.Doc)
	}
	return found, nil
}

// readGraces reads where the graces of keys lead to; empty for no grace.
func (s *Store) readGraces(ctx context.Context, client rueidis.Client, keys []backend.Key, of []int) ([]string, error) {
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	cmds := make([]rueidis.Completed, len(of))
	for n, i := range of {
		cmds[n] = client.B().Get().Key(format.Grace(s.keys.Session(keys[i]))).Build().Pin()
	}
	graces := make([]string, len(of))
	for n, result := range client.DoMulti(ctx, cmds...) {
		var err error
		if graces[n], err = result.ToString(); err != nil && !rueidis.IsRedisNil(err) && !conn.Answered(err, "WRONGTYPE ") {
			return nil, failed("reading sessions", err)
		}
	}
	return graces, nil
}

// DeleteAll implements backend.Store. Many sessions are ended in one round trip, and
// their entries removed in a second one.
func (s *Store) DeleteAll(ctx context.Context, now time.Time, namespace string, ids []string) ([]bool, error) {
	ended := make([]bool, len(ids))
	client, err := s.using(ctx, namespace)
	if err != nil {
		return ended, err
	}
	for from := 0; from < len(ids); from += maxBatch {
		to := min(from+maxBatch, len(ids))
		if err := s.deleteBatch(ctx, client, now, keysOf(namespace, ids[from:to]), ended[from:to]); err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// deleteBatch ends sessions, and sets in ended which it has ended.
func (s *Store) deleteBatch(ctx context.Context, client rueidis.Client, now time.Time, keys []backend.Key, ended []bool) error {
	limited, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	calls := make([]lua.Call, len(keys))
	for i, key := range keys {
		calls[i] = s.deletion(now, key, 0, "")
	}
	var over []format.Entry
	var strange []int
	answers, failures := s.changeAll(limited, client, "ending sessions", calls)
	var err error
	for i, a := range answers {
		switch {
		case errors.Is(failures[i], backend.ErrDamaged): // another program's, or damaged
			strange = append(strange, i)
			continue
		case failures[i] != nil:
			err = failures[i] // but what was ended is said
			continue
		case a.Outcome != lua.Done:
			continue
		}
		e, broken := s.codec.Entry(keys[i], a.Text(0))
		if broken == nil {
			over = append(over, e)
		}
		if broken == nil && s.outlived(now, time.UnixMilli(e.Created)) {
			s.expirations.Add(1)
			continue
		}
		ended[i] = true
		s.deletes.Add(1)
	}
	s.removeEntries(ctx, client, over...)
	for _, i := range strange {
		switch one := s.Delete(ctx, now, keys[i], 0); {
		case one == nil:
			ended[i] = true
		case !errors.Is(one, backend.ErrNotFound):
			err = one
		}
	}
	return err
}
