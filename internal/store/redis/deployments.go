package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"

	"github.com/redis/rueidis"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
)

// errOverlap: another deployment has keys that this one takes for its own.
var errOverlap = errors.New("another deployment uses the same keys")

// between is what may stand between two prefixes whose keys meet: a namespace of the
// shorter one, the beginning of an id, or both.
var between = regexp.MustCompile(`^(?:([a-z0-9-]{1,32}):)?[A-Za-z0-9_-]*$`)

// shorterPrefixes returns the shorter prefixes whose keys may be this one's, each with the
// namespace that they would be in; empty for the default one.
func shorterPrefixes(prefix string) (prefixes, namespaces []string) {
	for end := 1; end < len(prefix); end++ {
		if found := between.FindStringSubmatch(prefix[end:]); found != nil {
			prefixes, namespaces = append(prefixes, prefix[:end]), append(namespaces, found[1])
		}
	}
	return prefixes, namespaces
}

// longerPrefixes returns the longer prefixes whose sessions are, by their keys, sessions of
// that namespace.
func longerPrefixes(prefix, namespace string) []string {
	prefixes := []string{prefix + namespace + ":"}
	for end := 1; end <= len(namespace); end++ {
		prefixes = append(prefixes, prefix+namespace[:end])
	}
	return prefixes
}

// claimPrefix marks the store's key space as a deployment's, and returns errOverlap if
// it is a part of that of another. The first deployment stays: of two that have shared
// a server since before there were markers, neither is refused unless the other
// has sessions among its own. What the server does not let the store's user look
// at is left alone.
func (s *Store) claimPrefix(ctx context.Context, client rueidis.Client) error {
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	own, err := s.anyExists(ctx, client, []string{s.keys.Deployment()})
	if err != nil {
		return err
	}
	if own == "" {
		if err := s.checkAbove(ctx, client); err != nil {
			return err
		}
	}
	return s.mark(ctx, client)
}

// mark marks the store's key space as a deployment's, unless it is marked already.
// Whoever flushes the server, or lets it evict any key, takes the mark away.
func (s *Store) mark(ctx context.Context, client rueidis.Client) error {
	err := s.conn.Send(ctx, client, client.B().Set().Key(s.keys.Deployment()).Value(rand.Text()).Nx().Build().Pin())[0].Error()
	// That there is no room for it is no reason not to run.
	if err != nil && !rueidis.IsRedisNil(err) && !conn.Answered(err, "OOM ") {
		return err
	}
	return nil
}

// checkAbove looks for deployments whose namespaces, or ids, this one's keys are.
func (s *Store) checkAbove(ctx context.Context, client rueidis.Client) error {
	prefixes, namespaces := shorterPrefixes(s.keys.Prefix)
	established, err := s.hasSessions(ctx, client)
	if err != nil {
		return err
	}
	for i, prefix := range prefixes {
		other, namespace := format.Keys{Prefix: prefix}, namespaces[i]
		there, err := s.anyExists(ctx, client, []string{other.Deployment()})
		if err != nil {
			return err
		}
		used := false
		if namespace != "" {
			if used, err = s.namesOther(ctx, client, other, namespace); err != nil {
				return err
			}
		}
		if !used && (there == "" || established) {
			if there != "" {
				s.log.WarnContext(ctx, "another deployment has a prefix whose keys may meet this one's: give one of them another REDIS_PREFIX",
					slog.String("prefix", s.keys.Prefix), slog.String("other", prefix))
			}
			continue
		}
		what := "ids that begin with " + fmt.Sprintf("%q", s.keys.Prefix[len(prefix):])
		if namespace != "" {
			what = "the namespace " + fmt.Sprintf("%q", namespace)
		}
		return conn.Permanent(fmt.Errorf("%w: those that begin with %q are, to the deployment with the prefix %q, %s; "+
			"set another REDIS_PREFIX, or if that deployment is no more, delete its key %s",
			errOverlap, s.keys.Prefix, prefix, what, other.Deployment()))
	}
	return nil
}

// hasSessions reports whether sessions are indexed under the store's own prefix.
func (s *Store) hasSessions(ctx context.Context, client rueidis.Client) (bool, error) {
	keys := make([]string, format.Shards)
	for shard := range format.Shards {
		keys[shard] = s.keys.Expiries(shard)
	}
	found, err := s.anyExists(ctx, client, keys)
	return found != "", err
}

// namesOther reports whether a deployment has ever had sessions in the namespace.
func (s *Store) namesOther(ctx context.Context, client rueidis.Client, other format.Keys, namespace string) (bool, error) {
	cmds := make([]rueidis.Completed, format.Shards)
	for shard := range format.Shards {
		cmds[shard] = rangeByLex(client, other.Names(shard), "["+namespace, "["+namespace, 1)
	}
	for _, result := range client.DoMulti(ctx, cmds...) {
		members, err := result.AsStrSlice()
		switch {
		case err == nil && len(members) > 0:
			return true, nil
		case err != nil && !conn.IsAnswer(err):
			return false, err
		}
	}
	return false, nil
}

// anyExists returns the first of the keys that exists; empty for none. A key that
// the user may not look at counts as none.
func (s *Store) anyExists(ctx context.Context, client rueidis.Client, keys []string) (string, error) {
	cmds := make([]rueidis.Completed, len(keys))
	for i, key := range keys {
		cmds[i] = client.B().Exists().Key(key).Build().Pin()
	}
	found := ""
	for i, result := range s.conn.Send(ctx, client, cmds...) {
		n, err := result.AsInt64()
		switch {
		case conn.Answered(err, "NOPERM "):
		case err != nil:
			return "", err
		case n > 0 && found == "":
			found = keys[i] //nolint:gosec // there is a result for each command
		}
	}
	return found, nil
}

// nameSet is a bounded set of names.
type nameSet struct {
	mu  sync.RWMutex
	set map[string]struct{}
}

// maxNamesKept is how many names a set has; it is emptied when it has more.
const maxNamesKept = 4096

func (n *nameSet) has(name string) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	_, ok := n.set[name]
	return ok
}

func (n *nameSet) add(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.set == nil || len(n.set) >= maxNamesKept {
		n.set = map[string]struct{}{}
	}
	n.set[name] = struct{}{}
}

// checkNamespace returns an error if the namespace is another deployment's key space. It
// asks the server once for each namespace: a deployment that comes later is
// refused by its own start.
func (s *Store) checkNamespace(ctx context.Context, client rueidis.Client, namespace string) error {
	if namespace == schema.DefaultNamespace {
		return nil
	}
	if s.checked.has(namespace) {
		return nil
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	prefixes := longerPrefixes(s.keys.Prefix, namespace)
	keys := make([]string, len(prefixes))
	for i, prefix := range prefixes {
		keys[i] = format.Keys{Prefix: prefix}.Deployment()
	}
	taken, err := s.anyExists(ctx, client, keys)
	if err != nil {
		return failed("looking for other deployments", err)
	}
	if taken != "" {
		err := fmt.Errorf("%w: the namespace %q is the deployment that %s marks; use another namespace, or if that deployment is no more, delete the key",
			errOverlap, namespace, taken)
		return unready(fmt.Errorf("redis: %w: %w", backend.ErrUnavailable, err))
	}
	s.checked.add(strings.Clone(namespace))
	return nil
}
