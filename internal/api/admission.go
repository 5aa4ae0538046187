package api

import (
	"errors"
	"io"
	"net/http"

	"github.com/go-chi/httprate"

	"session-api/internal/admission"
)

// smallBody is the largest body or answer that needs no permit: it takes no more than
// the headers of a request may.
const smallBody = 16 << 10

// DefaultBodyMemory is Options.MaxBodyMemory where that is 0.
const DefaultBodyMemory = 32 << 20

// overloaded returns errOverloaded for what was not admitted in time, and any other
// error as it is.
func overloaded(err error) error {
	if errors.Is(err, admission.ErrTimeout) {
		return errOverloaded
	}
	return err
}

// admissionClient names the client to whose share the permits of a request count: an
// address of IPv4 or a /64 of IPv6. A trusted proxy that does not say who its
// client is has no share but the empty name.
func (s *Server) admissionClient(r *http.Request) string {
	client, isProxy := s.proxies.Farthest(r)
	if isProxy {
		return ""
	}
	return httprate.CanonicalizeIP(client)
}

// progressReader is a body that reports its progress to its permit.
type progressReader struct {
	body   io.Reader
	permit *admission.Permit
}

// Read implements io.Reader.
func (p progressReader) Read(into []byte) (int, error) {
	n, err := p.body.Read(into)
	if n > 0 {
		p.permit.Progress()
	}
	return n, err
}
