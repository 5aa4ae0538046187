package schema

import (
	"bytes"
	"math"
	"time"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// Input is a body that names whole sections: a named section is replaced, one
// that is null is reset, one that is absent stays. An empty array is the empty
// object, for a section and for the body itself. The zero Input changes
// nothing.
type Input struct {
	ttl time.Duration

	setUser bool
	user    *User
	// free holds the new values by section; nil where the section is absent.
	free [sectionCount]jsontext.Value
}

// DecodeInput reads the body of a request that creates or replaces. The error
// is an *Error.
func (r *Rules) DecodeInput(body []byte) (*Input, error) { return r.decodeInput(body, false) }

// DecodeInputInPlace is DecodeInput for a body that stays as it is for as long
// as the input, and the sections that it makes, are used: they may share its
// bytes. Build copies them.
func (r *Rules) DecodeInputInPlace(body []byte) (*Input, error) { return r.decodeInput(body, true) }

func (r *Rules) decodeInput(body []byte, inPlace bool) (*Input, error) {
	var p parts
	if err := r.decodeParts(body, &p, inPlace); err != nil {
		return nil, err
	}
	in := &Input{ttl: p.ttl}
	before := len(p.mistakes)
	for i, value := range p.sections {
		switch {
		case value == nil:
		case section(i) == sectionUser:
			in.setUser = true
			in.user = readWholeUser(value, &p.mistakes)
		case jsonscan.IsNull(value):
			in.free[i] = emptyObject
		default:
			in.free[i] = value
		}
	}
	if err := p.err(); err != nil {
		return nil, p.unless(err, len(p.mistakes) > before, &standingChange{Change: in, rules: r})
	}
	return in, nil
}

// Apply implements Change.
func (in *Input) Apply(cur Sections) (Sections, error) {
	if in.setUser {
		cur.User = in.user
	}
	for i, value := range in.free {
		if value != nil {
			*cur.freeForm(section(i)) = value
		}
	}
	return cur, nil
}

// TTL implements Change.
func (in *Input) TTL() (time.Duration, bool) { return in.ttl, in.ttl > 0 }

// parts are the members of a body that holds sections.
type parts struct {
	// sections are the normalised values; nil where absent, null as sent.
	sections [sectionCount]jsontext.Value
	ttl      time.Duration
	mistakes
	standing
}

// decodeParts reads a body that holds sections, as far as all of them have in
// common, into empty parts. In place these may share the body's bytes. The
// mistakes are not judged yet, so that the caller can add to them.
func (r *Rules) decodeParts(body []byte, p *parts, inPlace bool) error {
	if r.plainParts(body, p, inPlace) {
		return nil
	}
	*p = parts{}
	return r.anyParts(body, p)
}

// anyParts is decodeParts for a body of any form.
func (r *Rules) anyParts(body []byte, p *parts) error {
	body = objectFor(body)
	if err := wellFormed(body, jsontext.KindBeginObject); err != nil {
		return err
	}
	n := normalizer{rules: r, src: body, dst: make([]byte, 0, len(body)), where: make(path, 0, 8)}
	n.space()
	for m := range n.members() {
		i := sectionOf(m)
		n.clean, n.anyName, n.inSection = i == sectionInputs, i == sectionUser, i > sectionUser
		value, err := n.value(2)
		if err != nil {
			return err
		}
		switch {
		case i != noSection && string(value) == "[]":
			p.sections[i] = emptyObject
		case i == sectionUser:
			p.sections[i] = value
		case i != noSection:
			p.sections[i] = value
			if k := value.Kind(); k != jsontext.KindBeginObject && k != jsontext.KindNull {
				n.grave = true
				n.add(n.where.pointer(), "must be an object or null")
			}
		case string(m) == "ttlMs":
			before := len(n.mistakes)
			p.ttl = r.readTTL(value, &n.mistakes)
			n.grave = n.grave || len(n.mistakes) > before
		case !isReadOnly(m):
			n.grave = true
			n.add(n.where.pointer(), "is not a member of a session")
		}
	}
	p.mistakes, p.standing = n.mistakes, n.standing
	return nil
}

// objectFor returns the empty object for a body that is an empty array, which is
// what PHP makes of the former, and any other body as it is.
func objectFor(body []byte) []byte {
	const space = " \t\r\n" // RFC 8259 section 2
	rest, ok := bytes.CutPrefix(bytes.Trim(body, space), []byte{'['})
	if ok && string(bytes.TrimLeft(rest, space)) == "]" {
		return emptyObject
	}
	return body
}

// isReadOnly reports whether a top-level member is the service's own: those of
// the document and the token that comes with it. They are ignored, so that a
// client can send back what it got.
func isReadOnly(name []byte) bool {
	switch string(name) {
	case "id", "createdAt", "updatedAt", "expiresAt", "version", "revision", "token":
		return true
	}
	return false
}

// DecodeTTL reads the body of a touch: an object whose only member may be
// ttlMs. ok is false where it names none, or the body is empty. The error is
// an *Error.
func (r *Rules) DecodeTTL(body []byte) (ttl time.Duration, ok bool, err error) {
	err = r.decodeOnly("ttlMs", body, func(value []byte, m *mistakes) {
		ttl, ok = r.readTTL(value, m), true
	})
	if err != nil {
		return 0, false, err
	}
	return ttl, ok, nil
}

// Renewal is the body of a regeneration.
type Renewal struct {
	// Grace is how long the old token goes on, 0 where the body does not say.
	Grace time.Duration
	// User is a change of the user and nothing else, nil where the body names no
	// user.
	User Change
}

// DecodeRenewal reads the body of a regeneration: an object whose only members
// may be graceMs, at least 0, and user. An empty body is the zero Renewal. The
// error is an *Error.
func (r *Rules) DecodeRenewal(body []byte) (renewal Renewal, err error) {
	err = r.decodeMembers(body, "only graceMs and user are taken here", func(name string, value []byte, m *mistakes) bool {
		switch name {
		case "graceMs":
			var ok bool
			if renewal.Grace, ok = readMillis(value); !ok {
				m.add("/graceMs", "must be a whole number of milliseconds, at least 0")
			}
		case "user":
			renewal.User = &Input{setUser: true, user: readWholeUser(value, m)}
		default:
			return false
		}
		return true
	})
	if err != nil {
		return Renewal{}, err
	}
	return renewal, nil
}

// decodeOnly reads an object that may have the one member, and hands its value
// to read.
func (r *Rules) decodeOnly(name string, body []byte, read func(value []byte, m *mistakes)) error {
	return r.decodeMembers(body, "only "+name+" is taken here", func(got string, value []byte, m *mistakes) bool {
		if got != name {
			return false
		}
		read(value, m)
		return true
	})
}

// decodeMembers reads a small object and hands each member to read, which reports
// whether there is one of that name. refusal is what is said of others.
func (r *Rules) decodeMembers(body []byte, refusal string, read func(name string, value []byte, m *mistakes) bool) error {
	if len(body) == 0 {
		return nil
	}
	body = objectFor(body)
	if err := wellFormed(body, jsontext.KindBeginObject); err != nil {
		return err
	}
	n := normalizer{rules: r, src: body}
	n.space()
	for m := range n.members() {
		n.anyName = string(m) == "user"
		value, err := n.value(2)
		if err != nil {
			return err
		}
		if !read(string(m), value, &n.mistakes) {
			n.add(n.where.pointer(), refusal)
		}
	}
	return n.err()
}

// readTTL reads a ttlMs.
func (r *Rules) readTTL(value []byte, m *mistakes) time.Duration {
	ttl, ok := readMillis(value)
	switch {
	case !ok || ttl == 0:
		m.add("/ttlMs", "must be a whole number of milliseconds, at least 1")
	case ttl == endless, r.MaxTTL > 0 && ttl > r.MaxTTL:
		m.add("/ttlMs", "is more than the service allows")
	}
	return ttl
}

// endless is the duration that stands for every longer one. It is no whole
// number of milliseconds.
const endless = time.Duration(math.MaxInt64)

// readMillis reads a count of milliseconds.
func readMillis(value []byte) (time.Duration, bool) {
	ms, ok := jsonscan.Whole(value)
	if ms > math.MaxInt64/int64(time.Millisecond) {
		return endless, ok
	}
	return time.Duration(ms) * time.Millisecond, ok
}
