package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/lua"
)

// errRights: the server does not let the store's user do what the store needs.
var errRights = errors.New("the user lacks rights")

// right is a command that the store sends, or runs in a script. All of them are
// tried before the store is used: found out one by one, under load, they would be
// outages.
type right struct {
	name string
	// command is what is sent; empty for the name.
	command string
	// args follow the command; KEY stands for the key. Nothing is left of what it
	// writes.
	args []string
	// cache: only with a client cache.
	cache bool
	// wait: only with WaitReplicas.
	wait bool
}

// rights are in the order in which they are tried.
var rights = []right{
	{name: "set", args: []string{"KEY", "1", "PX", "10000"}},
	{name: "get", args: []string{"KEY"}},
	{name: "mget", args: []string{"KEY"}},
	{name: "getrange", args: []string{"KEY", "0", "1"}},
	{name: "strlen", args: []string{"KEY"}},
	{name: "exists", args: []string{"KEY"}},
	{name: "pexpire", args: []string{"KEY", "10000"}},
	{name: "pexpireat", args: []string{"KEY", "1"}}, // removes it
	{name: "pexpiretime", args: []string{"KEY"}},
	{name: "pttl", args: []string{"KEY"}, cache: true},
	{name: "hset", args: []string{"KEY", "a", "1"}},
	{name: "hmget", args: []string{"KEY", "a"}},
	{name: "pexpireat", args: []string{"KEY", "1"}}, // removes it
	{name: "zadd", args: []string{"KEY", "0", "1"}},
	{name: "zcard", args: []string{"KEY"}},
	{name: "zrange", args: []string{"KEY", "0", "0"}},
	{name: "zrandmember", args: []string{"KEY"}},
	{name: "zrem", args: []string{"KEY", "1"}}, // removes it
	{name: "xadd", args: []string{"KEY", "MAXLEN", "1", "*", "a", "1"}},
	{name: "xrange", args: []string{"KEY", "-", "+", "COUNT", "1"}},
	{name: "xrevrange", args: []string{"KEY", "+", "-", "COUNT", "1"}},
	{name: "xread", args: []string{"COUNT", "1", "STREAMS", "KEY", "0"}},
	{name: "del", args: []string{"KEY"}}, // removes it
	// It has no key by which a Cluster could be asked, so a script runs it.
	{name: "time", command: "eval", args: []string{"return redis.call('TIME')", "1", "KEY"}},
	{name: "wait", args: []string{"0", "0"}, wait: true},
	{name: "eval", args: []string{"return 1", "1", "KEY"}},
	{name: "evalsha", args: []string{strings.Repeat("0", 40), "1", "KEY"}},
}

// checkRights tries everything that the store will need, on keys of its own and on
// every primary, and returns an error that names what is missing. Any other
// answer than that it is not permitted proves the right: the server looks at that
// first.
func (s *Store) checkRights(ctx context.Context, client rueidis.Client) error {
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	var cmds []rueidis.Completed
	var names []string
	for n := range s.probes() {
		key := s.keys.Probe(n)
		// The keys beside a session's begin with a brace.
		for _, key := range []string{key, "{" + key + "}:to"} {
			for _, one := range rights {
				if one.cache && !s.opts.ClientCache || one.wait && s.opts.WaitReplicas == 0 {
					continue
				}
				cmds, names = append(cmds, one.try(client, key)), append(names, one.name)
			}
		}
	}
	var missing []string
	for i, result := range client.DoMulti(ctx, cmds...) {
		err := result.Error()
		switch {
		case conn.Answered(err, "NOPERM ") && strings.Contains(err.Error(), " access "):
			missing = append(missing, "~"+s.keys.Prefix+"* and ~{"+s.keys.Prefix+"*")
		case conn.Answered(err, "NOPERM ", inScript):
			missing = append(missing, "+"+names[i])
		case err != nil && !rueidis.IsRedisNil(err) && !conn.IsAnswer(err):
			return err
		}
	}
	slices.Sort(missing)
	if missing = slices.Compact(missing); len(missing) > 0 {
		return conn.Permanent(fmt.Errorf("%w: %s (docs/scaling.md lists what it needs)", errRights, strings.Join(missing, " ")))
	}
	return nil
}

// try is the right, tried on a key.
func (r *right) try(client rueidis.Client, key string) rueidis.Completed {
	cmd := client.B().Arbitrary(strings.ToUpper(cmp.Or(r.command, r.name)))
	for _, arg := range r.args {
		if arg == "KEY" {
			cmd = cmd.Keys(key)
		} else {
			cmd = cmd.Args(arg)
		}
	}
	// One without a key goes to the server that has the key all the same.
	return cmd.Build().Pin().SetSlot(key)
}

// inScript is what a script answers that runs what its user may not, before
// Redis 7.2.
const inScript = "ERR The user executing the script can't run this command"

// probes is how many keys lead to every server: one does, or in a Cluster as
// many as indexes have shards.
func (s *Store) probes() int {
	if s.opts.Cluster {
		return format.Shards
	}
	return 1
}

// Ping reports whether there is a server that runs the store's scripts and takes
// writes: one that answers may be a replica, have too few of its own, be busy, or
// let the user only read, or may evict indexes. Nothing is written, so memory that is full is no reason
// against it. A Cluster that lost one of several servers can still be asked for
// most sessions, and no other instance could do better; but a right that is
// missing on one of them is an error.
func (s *Store) Ping(ctx context.Context) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	if err := s.policy.err(); err != nil {
		return unready(err)
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	const doing = "asking for an answer"
	calls := make([]lua.Call, s.probes())
	for n := range calls {
		calls[n] = lua.Call{Script: lua.Probe, Keys: []string{s.keys.Probe(n)}, Args: []string{"0"}}
	}
	_, failures := s.evalAll(ctx, client, doing, calls)
	var last error
	well := false
	for _, err := range failures {
		switch {
		case err == nil:
			well = true
		case conn.Answered(err, "NOPERM "):
			return unready(err)
		default:
			last = err
		}
	}
	if well {
		return nil
	}
	return unready(last)
}

// reasons are answers that say why a server that can be reached does not do, in
// words that may be shown to anybody.
var reasons = []struct{ answer, reason string }{
	{"READONLY ", "The Redis server is a replica, which takes no writes."},
	{"NOREPLICAS ", "The Redis server has too few replicas to take writes."},
	{"MISCONF ", "The Redis server cannot save its data, and takes no writes."},
	{"NOPERM ", "The Redis user may not run scripts that write to the service's keys."},
	{"NOAUTH ", "Redis asks for another password."},
	{"WRONGPASS ", "Redis asks for another password."},
	{"LOADING ", "The Redis server is loading its data."},
	{"BUSY ", "The Redis server is busy running a script."},
	{"CLUSTERDOWN ", "The Redis Cluster is down."},
	{"ERR max number of clients", "The Redis server has as many clients as it takes."},
}

// unusable are the errors of servers that settings, here or there, keep from being used.
var unusable = []error{errRights, errOverlap, errEvictsIndexes}

// unready adds to an error why the store is not ready, as far as that may be
// shown.
func unready(err error) error {
	if slices.ContainsFunc(unusable, func(known error) bool { return errors.Is(err, known) }) {
		return &backend.UnreadyError{Reason: "Redis cannot be used like this: " + publicText(err) + ".", Err: err}
	}
	for _, one := range reasons {
		if conn.Answered(err, one.answer) {
			return &backend.UnreadyError{Reason: one.reason, Err: err}
		}
	}
	return err
}

// publicText is the part of an error that begins with what it is.
func publicText(err error) string {
	text := err.Error()
	for _, known := range unusable {
		if at := strings.Index(text, known.Error()); at >= 0 {
			return text[at:]
		}
	}
	return ""
}
