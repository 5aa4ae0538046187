package memory

import "session-api/internal/store/backend"

// ageRange is a part of the sessions of a namespace, in the order of lists or in the
// reverse: of one user where one is given, from one position on and before the
// other.
type ageRange struct {
	user        string
	from, to    position
	oldestFirst bool
	// passed: the range begins after from.
	passed bool
}

// rangeOf returns the range of the sessions that were created in the span. No
// session is at a position without an id, so these bound it in either direction.
func rangeOf(user string, created backend.Span, oldestFirst bool) ageRange {
	r := ageRange{user: user, from: start, to: end, oldestFirst: oldestFirst}
	after, before := created.Millis()
	if !created.Before.IsZero() {
		r.from = position{created: before - 1}
	}
	if !created.After.IsZero() {
		r.to = position{created: after}
	}
	if oldestFirst {
		r.from, r.to = r.to, r.from
	}
	return r
}

// after makes the range begin after the session at the position, if that is within
// it. The session need not exist any more.
func (r *ageRange) after(p position) {
	if begins := r.from.before(p); begins != r.oldestFirst || p == r.from {
		r.from, r.passed = p, true
	}
}

// reaches reports whether the record comes before the end of the range, which is a
// position without an id.
func (r *ageRange) reaches(rec *record) bool {
	if r.oldestFirst {
		return rec.created <= r.to.created
	}
	return rec.created > r.to.created
}

// before reports whether p comes before o in the order of lists.
func (p position) before(o position) bool {
	return p.created > o.created || p.created == o.created && p.id < o.id
}

// has reports whether the record is in the range, which is not oldest first.
func (r *ageRange) has(rec *record) bool {
	p := position{rec.created, string(rec.id())}
	return (r.user == "" || rec.user == r.user) && !p.before(r.from) && p.before(r.to)
}
