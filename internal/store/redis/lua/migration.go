package lua

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/rueidis"

	"session-api/internal/store/redis/conn"
)

// runMigrating runs a script of several keys while their slot migrates between
// two servers of a Cluster. Neither server takes a call of several keys then, unless
// it has all of them, and of a session's keys one or two are never there. So the
// values of the keys beside the session's are read first, the script runs on the
// session's key alone, which decides, and what it would have written beside that is
// written afterwards. Each of these commands has one key, which the client library
// follows to either server.
//
// It is no longer one step, which is why it is done only then: between the two
// writes readers do not find the tombstone or the grace of a session that has just
// ended, unless Call.Before set it.
func runMigrating(ctx context.Context, to *conn.Conn, client rueidis.Client, c Call) (Answer, error) {
	reads := make([]rueidis.Completed, len(c.Keys)-1)
	for i, key := range c.Keys[1:] {
		reads[i] = client.B().Get().Key(key).Build().Pin()
	}
	if c.Before != nil {
		if err := client.Do(ctx, command(client, c.Before)).Error(); err != nil && !rueidis.IsRedisNil(err) {
			return Answer{}, err
		}
	}
	lines := []string{c.Args[0]}
	for i, result := range client.DoMulti(ctx, reads...) {
		value, err := result.ToString()
		if err != nil && !rueidis.IsRedisNil(err) && !conn.Answered(err, "WRONGTYPE ") {
			return Answer{}, err
		}
		lines = append(lines, c.Keys[i+1], value)
	}
	alone := Call{Script: *c.Script.migrating, Keys: c.Keys[:1], Args: append([]string{strings.Join(lines, "\n")}, c.Args[1:]...), Confirmed: c.Confirmed}
	a, err := Run(ctx, to, client, alone)
	if err != nil && !errors.Is(err, conn.ErrUnconfirmed) {
		return a, err
	}
	if len(a.writes) > 0 {
		after, cancel := to.Afterwards(ctx)
		defer cancel()
		cmds := make([]rueidis.Completed, len(a.writes))
		for i, args := range a.writes {
			cmds[i] = command(client, args)
		}
		// What was decided stays, whether or not this succeeds.
		to.Send(after, client, cmds...)
	}
	return a, err
}

// command builds a command whose first argument is its key.
func command(client rueidis.Client, args []string) rueidis.Completed {
	return client.B().Arbitrary(strings.ToUpper(args[0])).Keys(args[1]).Args(args[2:]...).Build().Pin()
}
