package redis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// Sweep implements backend.Store. Redis frees expired sessions by itself; what is
// left to do is to remove their entries. The index by deadline names those
// whose deadline, as it was when they were indexed, has come. Where a session
// was touched since, its place in that index is moved to its present deadline,
// and entries of it that were lost are written again, as the deployment's mark is.
func (s *Store) Sweep(ctx context.Context, now time.Time) (int, error) {
	client, err := s.client()
	if err != nil {
		return 0, err
	}
	if err := s.mark(ctx, client); err != nil {
		return 0, failed("marking the deployment", err)
	}
	if err := s.limitLives(ctx, client, now); err != nil {
		return 0, err
	}
	sw := &sweep{store: s, client: client, now: now}
	open := make([]int, format.Shards)
	for shard := range format.Shards {
		open[shard] = shard
	}
	for len(open) > 0 {
		batches, err := sw.due(ctx, open)
		if err != nil {
			return sw.freed, err
		}
		var further []int
		var members []due
		for n, shard := range open {
			for _, member := range batches[n] {
				members = append(members, due{member, shard})
			}
			if len(batches[n]) == sweepBatch {
				further = append(further, shard)
			}
		}
		if err := sw.handleAll(ctx, members); err != nil {
			return sw.freed, err
		}
		open = further
	}
	return sw.freed, nil
}

const (
	// sweepBatch is how many members of a shard are read at once.
	sweepBatch = 128
	// sweepWorkers is how many batches are handled at once, so that neither Redis nor the
	// instance waits for the other.
	sweepWorkers = 4
)

// sweep is a Sweep under way.
type sweep struct {
	store  *Store
	client rueidis.Client
	now    time.Time

	mu    sync.Mutex
	freed int
	// left is how many due members of each shard were left as they are.
	left [format.Shards]int
}

// handleAll handles due members in batches, several at once. After an error of one, no
// other is begun.
func (sw *sweep) handleAll(ctx context.Context, members []due) error {
	batches := make(chan []due)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	for range min(sweepWorkers, (len(members)+maxBatch-1)/maxBatch) {
		running.Go(func() {
			for batch := range batches {
				if err := sw.handle(ctx, batch); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for batch := range slices.Chunk(members, maxBatch) {
		select {
		case batches <- batch:
		case <-ctx.Done():
		}
	}
	close(batches)
	running.Wait()
	return failed("sweeping sessions", context.Cause(ctx))
}

// leave counts a due member that stays as it is.
func (sw *sweep) leave(shard int) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sw.left[shard]++
}

// countFreed counts sessions that were freed.
func (sw *sweep) countFreed(n int) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sw.freed += n
	sw.store.expirations.Add(int64(n))
}

// due is a member of a shard whose time has come.
type due struct {
	member string
	shard  int
}

// due reads the next due members of shards.
func (sw *sweep) due(ctx context.Context, open []int) ([][]string, error) {
	cmds := make([]rueidis.Completed, len(open))
	for n, shard := range open {
		cmds[n] = sw.client.B().Arbitrary("ZRANGE").Keys(sw.store.keys.Expiries(shard)).
			Args("-inf", millis(sw.now), "BYSCORE", "LIMIT", strconv.Itoa(sw.left[shard]), strconv.Itoa(sweepBatch)).ReadOnly().Pin()
	}
	return sw.store.readAll(ctx, sw.client, "looking for expired sessions", cmds)
}

// handle handles due members.
func (sw *sweep) handle(ctx context.Context, members []due) error {
	ctx, cancel := sw.store.conn.WithTimeout(ctx)
	defer cancel()
	var entries []format.Entry
	var of []int
	broken := staleMembers{}
	for _, m := range members {
		if e, ok := format.ParseExpiry(m.member); ok {
			entries = append(entries, e)
			of = append(of, m.shard)
		} else {
			broken.add(sw.store.keys.Expiries(m.shard), m.member)
		}
	}
	if err := firstError("sweeping sessions", sw.store.conn.Send(ctx, sw.client, staleRemovals(sw.client, broken)...)); err != nil {
		return err
	}

	states, err := sw.states(ctx, entries)
	if err != nil {
		return err
	}
	var expired, obsolete, alive, late []format.Entry
	var deadlines []int64
	for i, e := range entries {
		switch st := states[i]; {
		case st.damaged:
			sw.leave(of[i]) // what it refers to is kept until it is gone
		case st.Outcome == lua.Absent:
			expired = append(expired, e)
		case st.index == e.Version && sw.store.within(e.Created, st.deadline) < st.deadline:
			late = append(late, e)
		case st.index == e.Version:
			alive = append(alive, e)
			deadlines = append(deadlines, st.deadline)
		case e.Version.Settled(sw.now):
			obsolete = append(obsolete, e)
		default:
			sw.leave(of[i]) // it may be about to become the session's
		}
	}
	limited, err := sw.store.limitAll(ctx, sw.client, sw.now, late)
	if err != nil {
		return err
	}
	for i, e := range late {
		if limited[i] == 0 {
			expired = append(expired, e)
		} else {
			alive, deadlines = append(alive, e), append(deadlines, limited[i])
		}
	}
	freed, err := sw.remove(ctx, expired)
	sw.countFreed(len(freed))
	sw.publish(ctx, freed)
	if err != nil {
		return err
	}
	if _, err := sw.remove(ctx, obsolete); err != nil {
		return err
	}
	return sw.renew(ctx, alive, deadlines)
}

// state is what has become of a session.
type state struct {
	lua.Outcome
	deadline int64
	index    format.Version
	// damaged: the key holds something, which this store did not write.
	damaged bool
}

// states frees those of the sessions that have expired and are still there, and
// returns what the others are. As a rule Redis has freed what has expired, so it is
// looked at with plain commands first.
func (sw *sweep) states(ctx context.Context, entries []format.Entry) ([]state, error) {
	const doing, each = "sweeping sessions", 2
	cmds := make([]rueidis.Completed, 0, each*len(entries))
	for i := range entries {
		name := sw.store.keys.Session(entries[i].Key)
		cmds = append(cmds, sw.client.B().Pexpiretime().Key(name).Build().Pin(),
			sw.client.B().Getrange().Key(name).Start(-format.TrailerUsual).End(-1).Build().Pin())
	}
	results := sw.store.conn.Send(ctx, sw.client, cmds...)
	states := make([]state, len(entries))
	var calls []lua.Call
	var of []int
	for i := range entries {
		deadline, err := results[each*i].AsInt64()
		if err != nil {
			return nil, failed(doing, err)
		}
		if deadline == isAbsent {
			continue // lua.Absent
		}
		tail, err := results[each*i+1].ToString()
		if err != nil && !conn.Answered(err, "WRONGTYPE ") {
			return nil, failed(doing, err)
		}
		if t, _, ok := format.ParseTrailer(tail); ok && deadline > sw.now.UnixMilli() {
			states[i] = state{Outcome: lua.Done, deadline: deadline, index: t.Index}
			continue
		}
		calls = append(calls, lua.Call{Script: lua.Expire, Keys: []string{sw.store.keys.Session(entries[i].Key)}, Args: []string{millis(sw.now)}})
		of = append(of, i)
	}
	answers, failures := sw.store.evalAll(ctx, sw.client, doing, calls)
	for n, i := range of {
		switch err := failures[n]; {
		case errors.Is(err, backend.ErrDamaged):
			states[i].damaged = true
		case err != nil:
			return nil, err
		}
		states[i].Outcome = answers[n].Outcome
		if answers[n].Outcome == lua.Done {
			states[i].deadline = answers[n].Deadline()
			states[i].index, _ = format.ParseVersion(answers[n].Text(1))
		}
	}
	return states, nil
}

// publish publishes the events of sessions that have expired. A session that was
// ended by an instance that died before removing its entry gets a second event.
func (sw *sweep) publish(ctx context.Context, expired []format.Entry) {
	if len(expired) == 0 {
		return
	}
	// Who follows only from now on gets none of these.
	followed, err := sw.client.Do(ctx, sw.client.B().Exists().Key(sw.store.keys.Events()).Build().Pin()).AsBool()
	if err == nil && !followed {
		return
	}
	events := make([][]string, len(expired))
	for i, e := range expired {
		events[i] = []string{string(backend.EventExpired), millis(sw.now), sw.store.keys.Session(e.Key), escaped(e.User), "0", "", ""}
	}
	_ = sw.store.publishEvents(ctx, events, false) // the sweep goes on without
}

// remove removes entries, and returns those that were still there: in the index by
// deadline. From the others they are removed by as few commands as possible.
func (sw *sweep) remove(ctx context.Context, entries []format.Entry) (removed []format.Entry, err error) {
	if len(entries) == 0 {
		return nil, nil
	}
	cmds := make([]rueidis.Completed, 0, 2*len(entries)+format.Shards)
	others := staleMembers{}
	for i := range entries {
		e := &entries[i]
		cmds = append(cmds, sw.client.B().Zrem().Key(sw.store.keys.ExpiriesOf(e.Key)).Member(e.ExpiryMember()).Build().Pin())
		age := e.AgeMember()
		others.add(sw.store.keys.AgesOf(e.Key), age)
		if e.User != "" {
			others.add(sw.store.keys.User(e.Key.Namespace, e.User), age)
		}
		for shard, members := range e.FileMembers() {
			for _, member := range members {
				others.add(sw.store.keys.Files(shard), member)
			}
		}
	}
	results := sw.store.conn.Send(ctx, sw.client, append(cmds, staleRemovals(sw.client, others)...)...)
	for i := range entries {
		if n, _ := results[i].AsInt64(); n > 0 { // an error is found below
			removed = append(removed, entries[i])
		}
	}
	return removed, firstError("sweeping sessions", results)
}

// renew writes the entries of sessions that live on, with their deadlines.
func (sw *sweep) renew(ctx context.Context, alive []format.Entry, deadlines []int64) error {
	if len(alive) == 0 {
		return nil
	}
	var cmds []rueidis.Completed
	for i := range alive {
		cmds = append(cmds, zadds(sw.client, sw.store.additions(&alive[i], deadlines[i]))...)
	}
	if err := firstError("indexing sessions", sw.store.conn.Send(ctx, sw.client, cmds...)); err != nil {
		return err
	}
	// One that was ended at that moment must not be left with entries.
	states, err := sw.states(ctx, alive)
	if err != nil {
		return err
	}
	var ended []format.Entry
	for i, e := range alive {
		if states[i].index != e.Version && !states[i].damaged {
			ended = append(ended, e)
		}
	}
	_, err = sw.remove(ctx, ended)
	return err
}
