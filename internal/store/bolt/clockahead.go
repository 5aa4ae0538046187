package bolt

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

// A start cannot tell a clock that is ahead from a service that was down for
// long: both look as if much had expired since the file was written. So what has
// expired since then is absent, as everything that has expired, but it is held
// back: its entries stay in the file until the clock has gone well for a while.
// Where the clock is set back before that, it lives again.

const (
	// proof is how long the clock must go well until it is believed.
	proof = 5 * time.Minute
	// slip is by how much it may differ from a clock that nobody sets.
	slip = 10 * time.Second
)

// hold is what is held back.
type hold struct {
	// some: there is something. Nobody takes the lock otherwise.
	some atomic.Bool
	// cost is what it takes in memory, entries how many these are.
	cost, entries atomic.Int64

	mu       sync.Mutex
	sessions map[backend.Key]schema.Session
	// wall and steady are the readings of both clocks when the proof began.
	wall   time.Time
	steady time.Duration
	clock  clock
}

// holdBack takes what has expired since the file was written last out of what has
// expired for good, and returns it.
func holdBack(held *content) []place {
	last := int64(0)
	for _, all := range [][]place{held.live, held.expiredPlaces} {
		for i := range all {
			last = max(last, all[i].used, all[i].created)
		}
	}
	var back []place
	held.retract = slices.Clip(held.retract)
	for _, p := range held.expiredPlaces {
		if p.expires > last {
			back = append(back, p)
		} else {
			held.retract = append(held.retract, p.number)
		}
	}
	held.expiredPlaces = nil
	return back
}

// keep reads the sessions at the places, and holds them back.
func (l *loader) keep(back []place) error {
	if len(back) == 0 {
		return nil
	}
	h := &l.s.held
	h.sessions = make(map[backend.Key]schema.Session, len(back))
	buf := l.buffer()
	for i := range back {
		sess, err := back[i].session(buf)
		if err != nil {
			return err
		}
		h.sessions[sess.Key()] = sess
		h.cost.Add(int64(len(sess.Doc)))
	}
	h.entries.Store(int64(len(h.sessions)))
	h.clock = startClock()
	h.wall, h.steady = l.now, h.clock.now()
	h.some.Store(true)
	return nil
}

// HeldBack is how many sessions are held back.
func (s *Store) HeldBack() int { return int(s.held.entries.Load()) }

// LookAtClock compares the clock, which says now, with one that nobody sets. What
// is held back lives again where its deadline has not come, and is over once the
// clock has gone well for long enough.
func (s *Store) LookAtClock(now time.Time) { s.lookAtClock(now, s.held.clock.now()) }

func (s *Store) lookAtClock(now time.Time, steady time.Duration) {
	if !s.held.some.Load() {
		return
	}
	alive, over := s.held.look(now, steady)
	for i := range alive {
		// Where a session of the key has been made since, or was ended, that counts.
		if s.Store.Restore(now, alive[i]) == nil {
			s.queue.mark(alive[i].Key())
		}
	}
	if len(alive) > 0 {
		s.committer.log.Warn("the clock was set back: sessions that had seemed to be over live again", "sessions", len(alive), "now", now)
	}
	s.giveUp(over)
	if len(over) > 0 {
		s.committer.log.Info("the clock has gone well: what had expired before the start is over", "sessions", len(over))
	}
}

// giveUp lets what was held back be over.
func (s *Store) giveUp(sessions []schema.Session) {
	if len(sessions) == 0 {
		return
	}
	ended := make(map[backend.Key]news, len(sessions))
	for i := range sessions {
		ended[sessions[i].Key()] = news{tombstone: lapsed(sessions[i].ExpiresAt.UnixMilli(), s.tombstoneTTL)}
	}
	s.queue.markUnsure(ended)
}

// look takes out what lives at now, and all that is left once the clock is proven.
func (h *hold) look(now time.Time, steady time.Duration) (alive, over []schema.Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	wall, elapsed := now.Sub(h.wall), steady-h.steady
	if off := wall - elapsed; off > slip || off < -slip {
		h.wall, h.steady = now, steady // it was set: the proof begins anew
		elapsed = 0
	}
	for key, sess := range h.sessions {
		switch {
		case sess.Live(now):
			alive = append(alive, sess)
		case elapsed >= proof:
			over = append(over, sess)
		default:
			continue
		}
		h.drop(key, &sess)
	}
	return alive, over
}

// drop forgets one. The lock is held.
func (h *hold) drop(key backend.Key, sess *schema.Session) {
	delete(h.sessions, key)
	h.cost.Add(-int64(len(sess.Doc)))
	h.entries.Add(-1)
	if len(h.sessions) == 0 {
		h.some.Store(false)
	}
}

// take takes out what matches.
func (h *hold) take(match func(*schema.Session) bool) (taken []schema.Session) {
	if !h.some.Load() {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, sess := range h.sessions {
		if match(&sess) {
			taken = append(taken, sess)
			h.drop(key, &sess)
		}
	}
	return taken
}

// forget takes out the session of the key, because there is another one.
func (h *hold) forget(key backend.Key) (was schema.Session, ok bool) {
	if !h.some.Load() {
		return was, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if was, ok = h.sessions[key]; ok {
		h.drop(key, &was)
	}
	return was, ok
}

func (h *hold) get(key backend.Key) (sess schema.Session, ok bool) {
	if !h.some.Load() {
		return sess, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	sess, ok = h.sessions[key]
	return sess, ok
}

// overlay is memory as the file is to be: with what is held back.
type overlay struct {
	*memory.Store
	held *hold
}

// Peek returns what is held back where memory has nothing.
func (o *overlay) Peek(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	sess, err := o.Store.Peek(ctx, now, key)
	if err != nil {
		if back, ok := o.held.get(key); ok {
			return back, nil
		}
	}
	return sess, err
}

// Uses begins with what is held back.
func (o *overlay) Uses() []memory.Use {
	uses := o.Store.Uses()
	if !o.held.some.Load() {
		return uses
	}
	o.held.mu.Lock()
	defer o.held.mu.Unlock()
	all := make([]memory.Use, 0, len(o.held.sessions)+len(uses))
	for key := range o.held.sessions {
		all = append(all, memory.Use{Key: key})
	}
	return append(all, uses...)
}

// Stats counts what is held back, too.
func (o *overlay) Stats(ctx context.Context, now time.Time) (backend.Stats, error) {
	st, err := o.Store.Stats(ctx, now)
	st.Entries += o.held.entries.Load()
	st.Bytes += o.held.cost.Load()
	return st, err
}
