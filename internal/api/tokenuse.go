package api

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"session-api/internal/token"
)

const (
	// tokenReportInterval is how often the state of the service tokens is logged.
	tokenReportInterval = 24 * time.Hour
	// unusedAfter is how long a token is not used until that is logged.
	unusedAfter = 90 * 24 * time.Hour
	// expiresSoon is how long before its end a token is logged.
	expiresSoon = 14 * 24 * time.Hour
)

// tokenUses are the uses of all service tokens. Those of a name go on when the tokens are
// read again.
type tokenUses struct {
	requests *prometheus.CounterVec
	mu       sync.Mutex
	byName   map[string]*tokenUse
}

// tokenUse is the use of one.
type tokenUse struct {
	requests prometheus.Counter
	// last is when it was last used, or when this process first knew it, in
	// milliseconds since 1970.
	last atomic.Int64
}

func newTokenUses() *tokenUses {
	return &tokenUses{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "session_api_service_token_requests_total", Help: "Requests with a valid service token, by the token's name.",
	}, []string{"name"})}
}

// of returns the uses of the tokens by their names, and forgets those of all others.
func (u *tokenUses) of(tokens []token.Service, now time.Time) map[string]*tokenUse {
	u.mu.Lock()
	defer u.mu.Unlock()
	uses := make(map[string]*tokenUse, len(tokens))
	for i := range tokens {
		name := tokens[i].Name
		if uses[name] = u.byName[name]; uses[name] == nil {
			uses[name] = &tokenUse{requests: u.requests.WithLabelValues(name)}
			uses[name].last.Store(now.UnixMilli())
		}
	}
	for name := range u.byName {
		if uses[name] == nil {
			u.requests.DeleteLabelValues(name)
		}
	}
	u.byName = uses
	return uses
}

func (u *tokenUse) add(now time.Time) {
	u.requests.Inc()
	u.last.Store(now.UnixMilli())
}

// ServiceTokensLoop logs the state of the service tokens, now and once a day, until ctx
// ends.
func (s *Server) ServiceTokensLoop(ctx context.Context) {
	tick := time.NewTicker(tokenReportInterval)
	defer tick.Stop()
	for {
		s.ReportServiceTokens(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// ReportServiceTokens logs a line for each service token that has expired, expires
// soon, or was not used for long, as far as this process knows.
func (s *Server) ReportServiceTokens(ctx context.Context) {
	k, now := s.keys.Load(), s.Now()
	for _, t := range k.services.All() {
		last := time.UnixMilli(k.uses[t.Name].last.Load()).UTC()
		switch {
		case t.IsExpired(now):
			s.Logger.WarnContext(ctx, "service token has expired", "name", t.Name, "expired", t.Expires)
		case t.IsExpired(now.Add(expiresSoon)):
			s.Logger.WarnContext(ctx, "service token expires soon", "name", t.Name, "expires", t.Expires)
		case now.Sub(last) >= unusedAfter:
			s.Logger.InfoContext(ctx, "service token is not used", "name", t.Name, "since", last)
		}
	}
}
