package schema

import "time"

// BodyMembers are bodyMembers for tests: the sections as text.
type BodyMembers struct {
	Sections [sectionCount]string
	TTL      time.Duration
}

func (p *bodyMembers) forTest() (shown BodyMembers) {
	for i, value := range p.sections {
		shown.Sections[i] = string(value)
	}
	shown.TTL = p.ttl
	return shown
}

// FastDecodeBody is fastDecodeBody.
func (r *Rules) FastDecodeBody(body []byte, inPlace bool) (BodyMembers, bool) {
	var p bodyMembers
	ok := r.fastDecodeBody(body, &p, inPlace)
	return p.forTest(), ok
}

// StrictDecodeBody is strictDecodeBody.
func (r *Rules) StrictDecodeBody(body []byte) (BodyMembers, error) {
	var p bodyMembers
	err := r.strictDecodeBody(body, &p)
	if err == nil {
		err = p.err()
	}
	return p.forTest(), err
}

// The limits of an authentication's fields.
const (
	MaxAuthMethods = maxAuthMethods
	MaxAuthLevel   = maxAuthLevel
)

// Member returns how the authentication is written in a user.
func (a *Authentication) Member() string { return string(a.appendJSON(nil)) }
