package historytest

import (
	"cmp"

	"github.com/anishathalye/porcupine"

	"session-api/internal/store/backend"
)

// maxKeys is how many keys a family has at most: that of its first session, and
// those that Regenerate made of it.
const maxKeys = 8

// version is one state of a session. The zero version is no session.
type version struct {
	// created and revision are what writers compare.
	created, revision int32
	// write is the number of the write that made the content.
	write int32
	// expires is in ms after the time of the run.
	expires int32
}

// garbled is the write of a content that nobody wrote.
const garbled = -1

// state is what a family is at one moment.
type state struct {
	live  [maxKeys]version
	ended [maxKeys]bool
	// leads is where the grace of a key leads: a key, plus 1; 0 is nowhere.
	leads [maxKeys]int8
	// moving: the key before has been ended in favour of this one, and there
	// is no session of this one yet.
	moving [maxKeys]bool
	// request is that of the family's key of requests.
	request request
}

// request is one with an Idempotency-Key; the zero request is none.
type request struct {
	// plan and answer are the numbers of the attempts that have them, lease that of the
	// last attempt; 0 where it was given up.
	plan, lease, answer int32
}

type kind int8

const (
	get kind = iota
	peek
	create
	revive
	swap
	touch
	remove
	regenerate
	begin
	answer
	abandon
	// A Regenerate whose answer was lost, where that may be two steps.
	leave
	arrive
)

var kindNames = [...]string{
	"Get", "Peek", "Create", "Revive", "Swap", "Touch", "Delete", "Regenerate",
	"BeginRequest", "AnswerRequest", "AbandonRequest", "Regenerate, first half", "Regenerate, second half",
}

func (k kind) reads() bool { return k == get || k == peek }

// call is what was asked.
type call struct {
	kind kind
	key  int8
	// old is what a writer takes the session for, new what it is to be.
	old, new version
	// to is the new key of Regenerate, grace whether the old one leads there.
	to    int8
	grace bool
	// until is the deadline of Touch, revision the condition of Delete.
	until, revision int32
	// attempt is the number of one at a request, forget that of AbandonRequest.
	attempt int32
	forget  bool
}

// failure is an answer that is no session.
type failure int8

const (
	success failure = iota
	notFound
	exists
	conflict
	ended
	// lost: there was no answer. What was asked has happened, happens at any
	// time from now on, or never.
	lost
	// absurd is an error that no operation here may return.
	absurd
)

var failureNames = [...]string{"ok", backend.ErrNotFound.Error(), backend.ErrExists.Error(), backend.ErrConflict.Error(), backend.ErrEnded.Error(), "no answer", "an error of no kind"}

// result is what was answered.
type result struct {
	failure failure
	// key and got are the session that was answered, where one was.
	key int8
	got version
	// request is what BeginRequest answered, begun whether it began.
	request request
	begun   bool
}

// rules are what a store does, as the contract of backend.Store says it.
type rules struct {
	tombstones bool
	// ttl is the idle life of all sessions, in ms.
	ttl int32
}

func failed(f failure) result { return result{failure: f} }

// apply returns what c answers in the state, and the state after it.
func (r rules) apply(s state, c *call) (result, state) {
	switch c.kind {
	case get, peek:
		return r.read(s, c)
	case create, revive:
		return r.create(s, c)
	case touch:
		return r.touch(s, c)
	case remove:
		return r.remove(s, c)
	case begin, answer, abandon:
		return r.request(s, c)
	case arrive:
		if s.moving[c.to] {
			s.moving[c.to] = false
			s.live[c.to] = c.new
		}
		return result{}, s
	default:
		return r.change(s, c)
	}
}

func (rules) read(s state, c *call) (result, state) {
	key := c.key
	if s.live[key] == (version{}) && s.leads[key] > 0 {
		key = s.leads[key] - 1
	}
	if s.live[key] == (version{}) {
		return failed(notFound), s
	}
	return result{key: key, got: s.live[key]}, s
}

func (r rules) create(s state, c *call) (result, state) {
	switch {
	case s.live[c.key] != version{}:
		return failed(exists), s
	case c.kind == create && r.tombstones && s.ended[c.key]:
		return failed(ended), s
	}
	s.live[c.key] = c.new
	s.ended[c.key] = false
	s.leads[c.key] = 0
	return result{}, s
}

func (r rules) touch(s state, c *call) (result, state) {
	v := s.live[c.key]
	if v == (version{}) {
		return failed(notFound), s
	}
	v.expires = max(v.expires, min(c.until, r.ttl))
	s.live[c.key] = v
	return result{key: c.key, got: v}, s
}

func (rules) remove(s state, c *call) (result, state) {
	switch v := s.live[c.key]; {
	case v == version{}:
		return failed(notFound), s
	case c.revision != 0 && c.revision != v.revision:
		return failed(conflict), s
	}
	s.end(c.key)
	return result{}, s
}

// change is Swap and Regenerate, which compare.
func (rules) change(s state, c *call) (result, state) {
	was := s.live[c.key]
	switch {
	case was == version{}:
		return failed(notFound), s
	case was.created != c.old.created || was.revision != c.old.revision:
		return failed(conflict), s
	}
	v := c.new
	if c.kind == swap {
		v.expires = max(v.expires, was.expires)
		s.live[c.key] = v
		return result{key: c.key, got: v}, s
	}
	s.end(c.key)
	if c.grace {
		s.leads[c.key] = c.to + 1
	}
	if s.moving[c.to] = c.kind == leave; c.kind == regenerate {
		s.live[c.to] = v
	}
	return result{}, s
}

// request is what is done to a request.
func (rules) request(s state, c *call) (result, state) {
	was := s.request
	switch {
	case c.kind == begin && was.answer == 0 && was.lease == 0:
		s.request = request{plan: cmp.Or(was.plan, c.attempt), lease: c.attempt}
		return result{request: s.request, begun: true}, s
	case c.kind == begin:
		return result{request: was}, s
	case was.answer > 0:
	case c.kind == answer:
		s.request = request{c.attempt, c.attempt, c.attempt}
	case c.attempt != was.lease:
	case c.forget:
		s.request = request{}
	default:
		s.request.lease = 0
	}
	return result{}, s
}

// end ends the session of a key.
func (s *state) end(key int8) {
	s.live[key] = version{}
	s.ended[key] = true
	for old, to := range s.leads {
		if to == key+1 {
			s.leads[old] = 0
		}
	}
}

// model is the rules as the checker takes them. What got no answer is put at
// its call at the earliest and at the end of time at the latest, where it
// changes what nobody sees: so "never" is one of its times, and nothing has to
// be guessed.
func (r rules) model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{} },
		Step: func(before, input, output any) (bool, any) {
			c, got := input.(call), output.(result)
			want, after := r.apply(before.(state), &c)
			if got.failure == lost {
				return true, after
			}
			return got == want, after
		},
		Equal: func(a, b any) bool { return a.(state) == b.(state) },
	}
}
