package store

import (
	"time"

	"session-api/internal/schema"
)

// Lifetimes says how long sessions live. The terms are OWASP's: an idle
// timeout that activity moves, and an absolute timeout that nothing moves.
type Lifetimes struct {
	// TTL is the idle life of a session that asks for none of its own.
	TTL time.Duration
	// MaxTTL is the longest idle life that a session may have.
	MaxTTL time.Duration
	// Remember is the idle life of a session that is remembered (schema.Facts), in place
	// of TTL; 0 for MaxTTL.
	Remember time.Duration
	// Absolute caps the whole life from creation on; 0 for no cap.
	Absolute time.Duration
	// Unwritten is the idle life of a session that nobody asked for
	// (Sessions.CreateUnasked), where that is shorter than what Idle gives it;
	// the first write ends it. 0 for no other life.
	Unwritten time.Duration
	// Roles gives users with a role an idle life: in place of TTL, and as the
	// most that a session of theirs may ask for. Of several roles the shortest
	// counts.
	Roles map[string]time.Duration
	// TouchInterval is how far a deadline must move before a slide is worth a
	// write. A twentieth of the session's own TTL counts where that is shorter.
	TouchInterval time.Duration
}

// of returns the lifetimes of a session with the facts.
func (l Lifetimes) of(facts schema.Facts) Lifetimes {
	if remember, _ := facts.Remember(); remember {
		if l.TTL = l.Remember; l.TTL == 0 {
			l.TTL = l.MaxTTL
		}
	}
	return l
}

// Idle returns the idle life of a session that asked for own (0: nothing) and
// whose user has the roles.
func (l Lifetimes) Idle(own time.Duration, roles []string) time.Duration {
	var role time.Duration
	for _, name := range roles {
		role = shorter(role, l.Roles[name])
	}
	return l.idle(own, role)
}

// idle is Idle for a user whose roles have the idle life, 0 for none.
func (l Lifetimes) idle(own, role time.Duration) time.Duration {
	idle := l.TTL
	if role > 0 {
		idle = role
	}
	if own > 0 && (role == 0 || own < role) {
		idle = own
	}
	if l.MaxTTL > 0 {
		idle = min(idle, l.MaxTTL)
	}
	return idle
}

// shorter returns the shorter of two lives; 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// IdleNow returns the idle life that s gets when it is used next: that of
// today's settings, which may be others than when it was stored.
func (l Lifetimes) IdleNow(s *schema.Session) time.Duration {
	if l.TTL <= 0 {
		return s.TTL
	}
	l = l.of(s.Facts)
	var role time.Duration
	if len(l.Roles) > 0 && s.UserID != "" {
		s.EachRole(func(name []byte) { role = shorter(role, l.Roles[string(name)]) })
	}
	idle := l.idle(s.OwnTTL, role)
	if s.TTL < idle && s.TTL <= l.Unwritten && s.OwnTTL == 0 && s.Revision == 1 && s.Blank() {
		return s.TTL // nobody asked for it, and nobody has written to it yet
	}
	return idle
}

// Deadline returns when a session that is active at now expires.
func (l Lifetimes) Deadline(createdAt, now time.Time, idle time.Duration) time.Time {
	until := now.Add(idle)
	if l.Absolute > 0 {
		if end := createdAt.Add(l.Absolute); end.Before(until) {
			return end
		}
	}
	return until
}

// Slide returns the deadline that activity at now gives s, and whether it is
// far enough from the present one to be written. An idle life that has become
// shorter is written at once.
func (l Lifetimes) Slide(now time.Time, s *schema.Session) (until time.Time, due bool) {
	idle := l.IdleNow(s)
	until = l.Deadline(s.CreatedAt, now, idle)
	step := until.Sub(s.ExpiresAt)
	if step <= 0 {
		return until, step < 0 && idle < s.TTL
	}
	atCap := until.Before(now.Add(idle)) // nothing moves it further: take the rest
	return until, atCap || step >= min(l.TouchInterval, idle/20)
}
