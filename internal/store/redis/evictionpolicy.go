package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
)

// The indexes have no TTL, so a server whose maxmemory-policy is volatile-… never
// evicts them. Under allkeys-… it does, and a session that has lost its index entries
// is still live, but neither listed nor counted nor ended with the others of its user.
// Such a server is refused, unless Options.AllowKeyEviction is set.

// errEvictsIndexes is returned for a server that may evict the indexes.
var errEvictsIndexes = errors.New("the server may evict the indexes of sessions, so that ending all sessions of a user would miss some")

// evictionPolicy is the maxmemory-policy of a primary that may evict indexes; nil if
// none does, or none is known to.
type evictionPolicy struct{ found atomic.Pointer[string] }

// evictsIndexes reports whether a maxmemory-policy evicts keys without a TTL.
func evictsIndexes(policy string) bool { return strings.HasPrefix(policy, "allkeys-") }

// policyError returns the error of a server with that policy.
func policyError(policy string) error {
	return fmt.Errorf("%w (maxmemory-policy %s): set noeviction, volatile-lru or volatile-ttl, or accept it with REDIS_ALLOW_KEY_EVICTION=true",
		errEvictsIndexes, policy)
}

// checkEvictionPolicy looks at the maxmemory-policy of every primary. It logs a warning
// if sessions may be evicted, and returns errEvictsIndexes if indexes may be. A server
// that does not let its user look is taken as it is.
func (s *Store) checkEvictionPolicy(ctx context.Context, client rueidis.Client) error {
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	warned := ""
	for _, node := range client.Nodes() {
		facts, err := memoryFacts(ctx, node)
		if err != nil || facts["role"] != "master" {
			continue // Nodes that are away are not asked for anything else, either.
		}
		policy := facts["maxmemory_policy"]
		switch {
		case policy == "" || policy == "noeviction" || policy == warned:
			continue
		case evictsIndexes(policy) && !s.opts.AllowKeyEviction:
			return conn.Permanent(policyError(policy))
		}
		lost := "sessions, which signs people out and leaves no trace"
		if evictsIndexes(policy) {
			lost = "sessions and their index entries: lists, counts and sign-outs everywhere then miss sessions"
		}
		s.log.WarnContext(ctx, "redis may evict keys to make room. With the maxmemory-policy noeviction, creating sessions is refused instead while memory is full",
			slog.String("maxmemory_policy", policy), slog.String("may_lose", lost))
		warned = policy
	}
	return nil
}

// note records the policy of a primary that may evict indexes, empty for none, and logs
// what has changed.
func (p *evictionPolicy) note(ctx context.Context, log *slog.Logger, policy string) {
	var found *string
	if policy != "" {
		found = &policy
	}
	switch was := p.found.Swap(found); {
	case found != nil && (was == nil || *was != policy):
		log.ErrorContext(ctx, "not ready: the maxmemory-policy of redis has changed", slog.Any("error", policyError(policy)))
	case found == nil && was != nil:
		log.InfoContext(ctx, "the maxmemory-policy of redis evicts no indexes any more")
	}
}

// err returns an error if indexes may be evicted.
func (p *evictionPolicy) err() error {
	policy := p.found.Load()
	if policy == nil {
		return nil
	}
	return fmt.Errorf("redis: %w: %w", backend.ErrUnavailable, policyError(*policy))
}
