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
	return r.decodeInputMembers(body, new(bodyMembers), inPlace)
}

// decodeInputMembers is decodeInput; p says what else the body may have, and gets it.
func (r *Rules) decodeInputMembers(body []byte, p *bodyMembers, inPlace bool) (*Input, error) {
	if err := r.decodeBody(body, p, inPlace); err != nil {
		return nil, err
	}
	in := &Input{ttl: p.ttl}
	before := len(p.fieldErrors)
	for i, value := range p.sections {
		switch {
		case value == nil:
		case section(i) == sectionUser:
			in.setUser = true
			in.user = readWholeUser(value, &p.fieldErrors)
		case jsonscan.IsNull(value):
			in.free[i] = emptyObject
		default:
			in.free[i] = value
		}
	}
	if err := p.err(); err != nil {
		return nil, p.tolerateStored(err, len(p.fieldErrors) > before, &tolerantChange{Change: in, rules: r})
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

// bodyMembers are the members of a body that holds sections.
type bodyMembers struct {
	// sections are the normalised values; nil where absent, null as sent.
	sections [sectionCount]jsontext.Value
	ttl      time.Duration
	creationMembers
	fieldErrors
	violationState
}

// decodeBody reads a body that holds sections, as far as all of them have in
// common, into p, which must be empty. In place these may share the body's
// bytes. Field errors are collected in p and do not fail the call, so that
// the caller can add to them.
func (r *Rules) decodeBody(body []byte, p *bodyMembers, inPlace bool) error {
	if r.fastDecodeBody(body, p, inPlace) {
		return nil
	}
	*p = bodyMembers{creationMembers: creationMembers{takes: p.takes}}
	return r.strictDecodeBody(body, p)
}

// strictDecodeBody is decodeBody for a body of any form.
func (r *Rules) strictDecodeBody(body []byte, p *bodyMembers) error {
	body = emptyArrayAsObject(body)
	if err := checkSyntax(body, jsontext.KindBeginObject); err != nil {
		return err
	}
	n := normalizer{rules: r, src: body, dst: make([]byte, 0, len(body)), loc: make(path, 0, 8)}
	n.skipSpace()
	for m := range n.members() {
		i := sectionOf(m)
		n.sanitize, n.skipNameCheck, n.inSection = i == sectionInputs, i == sectionUser, i > sectionUser
		value, err := n.appendValue(2)
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
				n.fatal = true
				n.add(n.loc.pointer(), "must be an object or null")
			}
		case string(m) == "ttlMs":
			before := len(n.fieldErrors)
			p.ttl = r.readTTL(value, &n.fieldErrors)
			n.fatal = n.fatal || len(n.fieldErrors) > before
		case p.read(string(m), value, &n.fieldErrors):
		case !isReadOnly(m):
			n.fatal = true
			n.add(n.loc.pointer(), "is not a member of a session")
		}
	}
	p.fieldErrors, p.violationState = n.fieldErrors, n.violationState
	return nil
}

// emptyArrayAsObject returns the empty object for a body that is an empty array,
// which is how PHP encodes an empty object, and any other body unchanged.
func emptyArrayAsObject(body []byte) []byte {
	const space = " \t\r\n" // RFC 8259 section 2
	rest, ok := bytes.CutPrefix(bytes.Trim(body, space), []byte{'['})
	if ok && string(bytes.TrimLeft(rest, space)) == "]" {
		return emptyObject
	}
	return body
}

// isReadOnly reports whether a top-level member is one that only the service sets:
// those of the document, and the token that comes with it. They are ignored, so
// that a client can send a document back.
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
	err = r.decodeSingleMember("ttlMs", body, func(value []byte, m *fieldErrors) {
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
	// User is a change of the user, or of how and when the user signed in, and nothing
	// else; nil where the body names neither.
	User Change
	// Remember says whether the session is remembered from now on, nil where the body
	// does not.
	Remember *bool
}

// DecodeRenewal reads the body of a regeneration: an object whose only members
// may be graceMs, at least 0, remember, and user or auth. An empty body is the zero Renewal. The
// error is an *Error.
func (r *Rules) DecodeRenewal(body []byte) (renewal Renewal, err error) {
	var auth Change
	err = r.decodeSmallObject(body, "only graceMs, remember, user and auth are taken here", func(name string, value []byte, m *fieldErrors) bool {
		switch name {
		case "graceMs":
			var ok bool
			if renewal.Grace, ok = readMillis(value); !ok {
				m.add("/graceMs", "must be a whole number of milliseconds, at least 0")
			}
		case "user":
			renewal.User = &Input{setUser: true, user: readWholeUser(value, m)}
		case "auth":
			auth = readAuthChange(value, m)
		case "remember":
			renewal.Remember = readRemember(value, m)
		default:
			return false
		}
		if name != "graceMs" && auth != nil && renewal.User != nil {
			m.add(string(authPointer), "belongs into user where that is sent, too")
		}
		return true
	})
	if auth != nil {
		renewal.User = auth
	}
	if err != nil {
		return Renewal{}, err
	}
	return renewal, nil
}

// decodeSingleMember decodes an object whose only member may be name, and calls
// read with its value.
func (r *Rules) decodeSingleMember(name string, body []byte, read func(value []byte, m *fieldErrors)) error {
	return r.decodeSmallObject(body, "only "+name+" is taken here", func(got string, value []byte, m *fieldErrors) bool {
		if got != name {
			return false
		}
		read(value, m)
		return true
	})
}

// decodeSmallObject decodes an object and calls read with each member; read reports
// whether it knows the name. Unknown members get a field error with the text
// refusal.
func (r *Rules) decodeSmallObject(body []byte, refusal string, read func(name string, value []byte, m *fieldErrors) bool) error {
	if len(body) == 0 {
		return nil
	}
	body = emptyArrayAsObject(body)
	if err := checkSyntax(body, jsontext.KindBeginObject); err != nil {
		return err
	}
	n := normalizer{rules: r, src: body}
	n.skipSpace()
	for m := range n.members() {
		n.skipNameCheck = string(m) == "user"
		value, err := n.appendValue(2)
		if err != nil {
			return err
		}
		if !read(string(m), value, &n.fieldErrors) {
			n.add(n.loc.pointer(), refusal)
		}
	}
	return n.err()
}

// readTTL reads a ttlMs.
func (r *Rules) readTTL(value []byte, m *fieldErrors) time.Duration {
	ttl, ok := readMillis(value)
	switch {
	case !ok || ttl == 0:
		m.add("/ttlMs", "must be a whole number of milliseconds, at least 1")
	case ttl == overflowDuration, r.MaxTTL > 0 && ttl > r.MaxTTL:
		m.add("/ttlMs", "is more than the service allows")
	}
	return ttl
}

// overflowDuration stands for every duration that time.Duration cannot hold. It is
// not a whole number of milliseconds, so it cannot be confused with one.
const overflowDuration = time.Duration(math.MaxInt64)

// readMillis reads a count of milliseconds.
func readMillis(value []byte) (time.Duration, bool) {
	ms, ok := jsonscan.Whole(value)
	if ms > math.MaxInt64/int64(time.Millisecond) {
		return overflowDuration, ok
	}
	return time.Duration(ms) * time.Millisecond, ok
}
