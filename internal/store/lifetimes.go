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

// Idle returns the idle life of a session that asked for own (0: nothing) and
// whose user has the roles.
func (l Lifetimes) Idle(own time.Duration, roles []string) time.Duration {
	var role time.Duration
	for _, name := range roles {
		if ttl, ok := l.Roles[name]; ok && (role == 0 || ttl < role) {
			role = ttl
		}
	}
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
// far enough from the present one to be written.
func (l Lifetimes) Slide(now time.Time, s *schema.Session) (until time.Time, due bool) {
	until = l.Deadline(s.CreatedAt, now, s.TTL)
	step := until.Sub(s.ExpiresAt)
	if step <= 0 {
		return until, false
	}
	atCap := until.Before(now.Add(s.TTL)) // nothing moves it further: take the rest
	return until, atCap || step >= min(l.TouchInterval, s.TTL/20)
}
