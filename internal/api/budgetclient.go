package api

import (
	"io"
	"net/http"
	"net/netip"

	"github.com/go-chi/httprate"
)

// budgetClient names the client whose share of the budgets a request takes: an
// address of IPv4 or a /64 of IPv6. A trusted proxy that does not say who its
// client is has no share, and the empty name.
func (s *Server) budgetClient(r *http.Request) string {
	client := s.clientIP(r)
	if len(s.proxies.trusted) > 0 {
		if addr, err := netip.ParseAddr(client); err == nil && s.proxies.trust(plain(addr)) {
			return ""
		}
	}
	return httprate.CanonicalizeIP(client)
}

// progressReader is a body that tells its hold that it gets on.
type progressReader struct {
	body io.Reader
	hold *hold
}

// Read implements io.Reader.
func (p progressReader) Read(into []byte) (int, error) {
	n, err := p.body.Read(into)
	if n > 0 {
		p.hold.progress()
	}
	return n, err
}
