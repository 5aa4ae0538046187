package api

import (
	"io"
	"net/http"
	"net/netip"

	"github.com/go-chi/httprate"
)

// admissionClient names the client to whose share the permits of a request count: an
// address of IPv4 or a /64 of IPv6. A trusted proxy that does not say who its
// client is has no share but the empty name.
func (s *Server) admissionClient(r *http.Request) string {
	client := s.clientIP(r)
	if len(s.proxies.trusted) > 0 {
		if addr, err := netip.ParseAddr(client); err == nil && s.proxies.trust(withoutZone(addr)) {
			return ""
		}
	}
	return httprate.CanonicalizeIP(client)
}

// progressReader is a body that reports its progress to its permit.
type progressReader struct {
	body   io.Reader
	permit *permit
}

// Read implements io.Reader.
func (p progressReader) Read(into []byte) (int, error) {
	n, err := p.body.Read(into)
	if n > 0 {
		p.permit.progress()
	}
	return n, err
}
