package redis

import (
	"context"
	"strings"

	"github.com/redis/rueidis"
)

// evalApart runs a script of several keys while their slot moves between two
// servers of a Cluster. Neither server takes a call of several keys then, unless
// it has all of them, and of a session's keys one or two are never there. So the
// values of the keys beside the session's are read first, the script runs on the
// session's key alone, which is where things are decided, and what it would have
// written beside that is written afterwards. Each of these commands has one key,
// which the client library follows to either server.
//
// It is no longer one step, which is why it is done only then: between the two
// writes nobody finds the tombstone or the grace of a session that has just
// ended, unless call.before set it.
func (s *Store) evalApart(ctx context.Context, client rueidis.Client, doing string, c call) (answer, error) {
	reads := make([]rueidis.Completed, len(c.keys)-1)
	for i, key := range c.keys[1:] {
		reads[i] = client.B().Get().Key(key).Build().Pin()
	}
	if c.before != nil {
		if err := client.Do(ctx, command(client, c.before)).Error(); err != nil && !rueidis.IsRedisNil(err) {
			return answer{}, failed(doing, err)
		}
	}
	lines := []string{c.args[0]}
	for i, result := range client.DoMulti(ctx, reads...) {
		value, err := result.ToString()
		if err != nil && !rueidis.IsRedisNil(err) && !answered(err, "WRONGTYPE ") {
			return answer{}, failed(doing, err)
		}
		lines = append(lines, c.keys[i+1], value)
	}
	alone := call{script: c.script, keys: c.keys[:1], args: append([]string{strings.Join(lines, "\n")}, c.args[1:]...)}
	a, err := s.eval(ctx, client, doing, alone)
	if err != nil {
		return a, err
	}
	if len(a.left) > 0 {
		after, cancel := s.afterwards(ctx)
		defer cancel()
		cmds := make([]rueidis.Completed, len(a.left))
		for i, args := range a.left {
			cmds[i] = command(client, args)
		}
		// What was decided stays, whether or not this succeeds.
		s.send(after, client, cmds...)
	}
	return a, nil
}

// command builds a command whose first argument is its key.
func command(client rueidis.Client, args []string) rueidis.Completed {
	return client.B().Arbitrary(strings.ToUpper(args[0])).Keys(args[1]).Args(args[2:]...).Build().Pin()
}
