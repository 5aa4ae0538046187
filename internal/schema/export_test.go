package schema

import "time"

// Parts is what the parts of a body are for a test: the sections as text.
type Parts struct {
	Sections [sectionCount]string
	TTL      time.Duration
}

func (p *parts) shown() (shown Parts) {
	for i, value := range p.sections {
		shown.Sections[i] = string(value)
	}
	shown.TTL = p.ttl
	return shown
}

// PlainParts reads the parts of a body in the short way.
func (r *Rules) PlainParts(body []byte, inPlace bool) (Parts, bool) {
	var p parts
	ok := r.plainParts(body, &p, inPlace)
	return p.shown(), ok
}

// AnyParts reads them in the long way.
func (r *Rules) AnyParts(body []byte) (Parts, error) {
	var p parts
	err := r.anyParts(body, &p)
	if err == nil {
		err = p.err()
	}
	return p.shown(), err
}
