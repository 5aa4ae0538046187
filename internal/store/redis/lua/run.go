package lua

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/rueidis"

	"session-api/internal/store/redis/conn"
)

// Outcome is what a script answers first, as answers.lua has it.
type Outcome int64

const (
	// Absent means that there is no session.
	Absent Outcome = iota
	// Changed means that it is not as the caller takes it to be.
	Changed
	// VersionNeeded means that it is indexed by something else, so its entry has to be
	// written anew.
	VersionNeeded
	// Done means that the script did what it is for.
	Done
	// Pending means that the session is about to become another's successor.
	Pending
	// Ended means that the key has the tombstone of a session that was ended.
	Ended
	// Lapsed means that the key has the tombstone of a session that expired.
	Lapsed
	// Full means that what is left of the memory is reserved for others.
	Full
)

// Answer is what a script answers.
type Answer struct {
	Outcome
	rest []rueidis.RedisMessage
	// Events are those that the script leaves to its caller.
	Events [][]string
	// writes are commands that it leaves to its caller, see runMigrating.
	writes [][]string
}

// Text returns the n-th value after the outcome.
func (a Answer) Text(n int) string {
	if n >= len(a.rest) {
		return ""
	}
	text, _ := a.rest[n].ToString() // nil is ""
	return text
}

// Deadline returns the first value after the outcome, where that is one.
func (a Answer) Deadline() int64 {
	if len(a.rest) == 0 {
		return 0
	}
	deadline, _ := a.rest[0].AsInt64()
	return deadline
}

// Call is a script with its arguments. The first of Args is the time of the
// operation in ms.
type Call struct {
	Script
	Keys, Args []string
	// Before is a command that is sent first where the script cannot write to the
	// keys beside its first one; nil for none.
	Before []string
	// Confirmed is what replicas have to confirm if the Outcome is Done. Otherwise
	// the answer comes with conn.ErrUnconfirmed.
	Confirmed conn.Confirmation
}

func (c Call) bySHA(client rueidis.Client) rueidis.Completed {
	return client.B().Evalsha().Sha1(c.sha).Numkeys(int64(len(c.Keys))).Key(c.Keys...).Arg(c.Args...).Build().Pin()
}

func (c Call) byText(client rueidis.Client) rueidis.Completed {
	return client.B().Eval().Script(c.text).Numkeys(int64(len(c.Keys))).Key(c.Keys...).Arg(c.Args...).Build().Pin()
}

// Do runs a script once, and returns what it answers as it is.
func (c Call) Do(ctx context.Context, client rueidis.Client) rueidis.RedisResult {
	result := client.Do(ctx, c.bySHA(client))
	if conn.Answered(result.Error(), "NOSCRIPT ") {
		result = client.Do(ctx, c.byText(client))
	}
	return result
}

// reply is what a server answers to a call.
type reply struct {
	rueidis.RedisResult
	// unconfirmed is why too few replicas have confirmed what it did; nil for enough.
	unconfirmed error
}

// send runs a script once, and waits for replicas if the call asks for that. The
// error is for a call that was not sent.
func (c Call) send(ctx context.Context, to *conn.Conn, client rueidis.Client) (reply, error) {
	if c.Confirmed.Replicas == 0 {
		return reply{RedisResult: c.Do(ctx, client)}, nil
	}
	results, err := to.SendConfirmed(ctx, client, c.Confirmed, c.Keys[0], c.bySHA(client))
	if len(results) > 0 && conn.Answered(results[0].Error(), "NOSCRIPT ") {
		results, err = to.SendConfirmed(ctx, client, c.Confirmed, c.Keys[0], c.byText(client))
	}
	if len(results) == 0 {
		return reply{}, err
	}
	return reply{results[0], err}, nil
}

// read reads the answer.
func (r reply) read() (Answer, error) {
	a, err := readAnswer(r.RedisResult)
	if err == nil && a.Outcome == Done {
		err = r.unconfirmed
	}
	return a, err
}

// Run runs a script. It is repeated only where the server says that it did not run
// it: where the answer is lost, the script may have run.
func Run(ctx context.Context, to *conn.Conn, client rueidis.Client, c Call) (Answer, error) {
	for try := 0; ; try++ {
		result, err := c.send(ctx, to, client)
		if err != nil {
			return Answer{}, err
		}
		err = result.Error()
		if conn.Answered(err, "TRYAGAIN ") && len(c.Keys) > 1 {
			if c.Script.migrating == nil {
				return Answer{Outcome: Changed}, nil
			}
			return runMigrating(ctx, to, client, c)
		}
		if conn.Refused(err) {
			to.Heed(err)
			if try < conn.MaxTries && conn.Pause(ctx, try) == nil {
				continue
			}
		}
		return result.read()
	}
}

// RunAll runs scripts, each for itself, in one round trip. All of them have the same
// Confirmed. If that asks for replicas in a Cluster, where WAIT concerns one server, each
// takes a round trip, many at a time.
func RunAll(ctx context.Context, to *conn.Conn, client rueidis.Client, calls []Call) ([]Answer, []error) {
	answers, failures := make([]Answer, len(calls)), make([]error, len(calls))
	if len(calls) == 0 {
		return answers, failures
	}
	want := calls[0].Confirmed
	if want.Replicas > 0 && client.Mode() == rueidis.ClientModeCluster {
		var running sync.WaitGroup
		for i, c := range calls {
			running.Go(func() { answers[i], failures[i] = Run(ctx, to, client, c) })
		}
		running.Wait()
		return answers, failures
	}
	cmds := make([]rueidis.Completed, len(calls))
	for i, c := range calls {
		cmds[i] = c.bySHA(client)
	}
	var results []rueidis.RedisResult
	var unconfirmed error
	if want.Replicas == 0 {
		results = client.DoMulti(ctx, cmds...)
	} else if results, unconfirmed = to.SendConfirmed(ctx, client, want, "", cmds...); results == nil {
		for i := range failures {
			failures[i] = unconfirmed
		}
		return answers, failures
	}
	for i, result := range results {
		if err := result.Error(); conn.Answered(err, "NOSCRIPT ") || conn.Refused(err) {
			answers[i], failures[i] = Run(ctx, to, client, calls[i])
		} else {
			answers[i], failures[i] = reply{result, unconfirmed}.read()
		}
	}
	return answers, failures
}

func readAnswer(result rueidis.RedisResult) (Answer, error) {
	list, err := result.ToArray()
	if err == nil && len(list) == 0 {
		err = errors.New("an empty answer")
	}
	if err != nil {
		return Answer{}, err
	}
	first, err := list[0].AsInt64()
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Outcome: Outcome(first), rest: list[1:]}
	if last := len(a.rest) - 1; last >= 0 && a.rest[last].IsArray() {
		if a.Events, a.writes, err = readLeft(a.rest[last]); err != nil {
			return Answer{}, err
		}
		a.rest = a.rest[:last]
	}
	return a, nil
}

// EventValues is how many values make an event.
const EventValues = 7

// readLeft reads the events and the commands that a script leaves to its caller.
func readLeft(list rueidis.RedisMessage) (events, writes [][]string, err error) {
	all, err := list.ToArray()
	if err != nil {
		return nil, nil, err
	}
	for _, each := range all {
		values, err := each.AsStrSlice()
		switch {
		case err != nil:
			return nil, nil, err
		case len(values) > 1 && values[0] == "do":
			writes = append(writes, values[1:])
		case len(values) == EventValues:
			events = append(events, values)
		default:
			return nil, nil, errors.New("half an event")
		}
	}
	return events, writes, nil
}
