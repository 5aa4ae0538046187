package redis

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
)

const (
	// readBatch is how many sessions are asked for in one round trip.
	readBatch = 1024
	// followers is how many graces are followed at once.
	followers = 16
)

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
		over, taken := make(map[*part]bool), make(map[*part]bool)
		for i := range parts {
			p := &parts[i]
			if p.document > 0 && (p.value == nil || !p.value.Pending) {
				taken[p] = left.Take(p.document)
				over[p] = !taken[p]
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
			case one.Err == nil && !taken[&parts[i]] && !left.Take(len(one.Value.Doc)):
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
	client, err := s.reading(ctx, namespace)
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
// its grace leads to, or that has taken the grace's place since. That then is in the part
// as a whole.
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
		if graces[n] == (graceRead{}) {
			found[i].Err = backend.ErrNotFound
			continue
		}
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			late, cancel := s.conn.WithTimeout(ctx)
			defer cancel()
			if graces[n].again {
				found[i].Value, found[i].Err = s.ask(late, client, now, keys[i], s.keys.Session(keys[i]))
			} else {
				found[i].Value, found[i].Err = s.follow(late, client, now, keys[i], graces[n].to)
			}
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

// graceRead is what there is of a key that had no session a moment ago.
type graceRead struct {
	// to is where its grace leads; empty for no grace.
	to string
	// again: it has a session by now, or is moving to another server, and is to be read
	// again.
	again bool
}

// readGraces reads where the graces of keys lead to, each in one step with whether the
// key has a session: one that takes the place of a grace ends it.
func (s *Store) readGraces(ctx context.Context, client rueidis.Client, keys []backend.Key, of []int) ([]graceRead, error) {
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	cmds := make([]rueidis.Completed, len(of))
	for n, i := range of {
		name := s.keys.Session(keys[i])
		cmds[n] = client.B().Mget().Key(name, format.Grace(name)).Build().Pin()
	}
	graces := make([]graceRead, len(of))
	for n, result := range client.DoMulti(ctx, cmds...) {
		values, err := result.ToArray()
		switch {
		case conn.Answered(err, "TRYAGAIN "):
			graces[n].again = true
		case err != nil:
			return nil, failed("reading sessions", err)
		case len(values) != 2:
			return nil, failed("reading sessions", errors.New("half an answer"))
		default:
			graces[n].again = !values[0].IsNil()
			graces[n].to, _ = values[1].ToString() // nil is ""
		}
	}
	return graces, nil
}
