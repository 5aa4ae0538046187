package api

import (
	"net/http"
	"time"

	"session-api/internal/schema"
)

// decoder makes a change of a request's body. The change may share the body's
// bytes, which stay until the request has been answered.
type decoder func(body []byte) (schema.Change, error)

func (s *Server) decodeInput(body []byte) (schema.Change, error) {
	return s.Rules.DecodeInputInPlace(body)
}

func (s *Server) decodeMergePatch(body []byte) (schema.Change, error) {
	return s.Rules.DecodeMergePatchInPlace(body)
}

func (s *Server) decodeOperations(body []byte) (schema.Change, error) {
	return s.Rules.DecodeOperations(body)
}

// readChange reads the change that the request asks for; it must ask for one.
func (s *Server) readChange(w http.ResponseWriter, r *http.Request, types []string, decode decoder) (schema.Change, error) {
	body, err := s.requireBody(w, r, types)
	if err != nil {
		return nil, err
	}
	return s.decodeAdmitted(r, body, tolerateStored(decode))
}

// tolerateStored is decode for a change of a session that is stored, perhaps under
// rules that were less strict.
func tolerateStored(decode decoder) decoder {
	return func(body []byte) (schema.Change, error) {
		change, err := decode(body)
		if standing, ok := schema.IfStored(err); ok {
			return standing, nil
		}
		return change, err
	}
}

// decodeAdmitted decodes the body in a CPU slot; the change takes one as well.
func (s *Server) decodeAdmitted(r *http.Request, body []byte, decode decoder) (schema.Change, error) {
	c := &admittedChange{bytes: len(body), s: s, ctx: r.Context()}
	err := s.withCPU(c.ctx, len(body), func() (err error) {
		c.Change, err = decode(body)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// readCreation reads what a new session starts with: nothing, where there is no body.
// What the body says beside the document, the request tells. It may name a client only
// where withClient says so.
func (s *Server) readCreation(w http.ResponseWriter, r *http.Request, withClient bool) (schema.Change, error) {
	body, err := s.readBody(w, r, jsonTypes)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return &schema.Input{}, nil
	}
	return s.decodeAdmitted(r, body, func(body []byte) (schema.Change, error) {
		in, err := s.Rules.DecodeCreationInPlace(body, withClient)
		if err != nil {
			return nil, err
		}
		s.observeBody(r, saidFacts{in.Remember, in.Client})
		return in.Input, nil
	})
}

// readTTL reads the idle timeout that a touch asks for, 0 for none.
func (s *Server) readTTL(w http.ResponseWriter, r *http.Request) (time.Duration, error) {
	body, err := s.readBody(w, r, jsonTypes)
	if err != nil || len(body) == 0 {
		return 0, err
	}
	var ttl time.Duration
	err = s.withCPU(r.Context(), len(body), func() (err error) {
		ttl, _, err = s.Rules.DecodeTTL(body)
		return err
	})
	return ttl, err
}

// readRenewal reads how long the old id of a regenerated session may lead to it,
// and whose the session is to be from now on. Whether it is remembered, the request
// tells.
func (s *Server) readRenewal(w http.ResponseWriter, r *http.Request) (how schema.Renewal, err error) {
	body, err := s.readBody(w, r, jsonTypes)
	if err != nil {
		return how, err
	}
	err = s.withCPU(r.Context(), len(body), func() (err error) {
		how, err = s.Rules.DecodeRenewal(body)
		return err
	})
	s.observeBody(r, saidFacts{remember: how.Remember})
	how.Grace = min(how.Grace, s.MaxGrace)
	return how, err
}
