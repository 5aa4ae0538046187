package redis

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// change runs a script that changes a session, and that tells followers of it.
func (s *Store) change(ctx context.Context, client rueidis.Client, doing string, c call) (answer, error) {
	done, err := s.outbox.turns(ctx, c.keys[0])
	if err != nil {
		return answer{}, failed(doing, err)
	}
	defer done()
	a, err := s.eval(ctx, client, doing, s.telling(c))
	s.outbox.add(a.told...)
	return a, err
}

// changeAll is change for several sessions, in one round trip.
func (s *Store) changeAll(ctx context.Context, client rueidis.Client, doing string, calls []call) (answers []answer, failures []error) {
	answers, failures = make([]answer, len(calls)), make([]error, len(calls))
	names := make([]string, len(calls))
	telling := make([]call, len(calls))
	for i, c := range calls {
		names[i] = c.keys[0]
		telling[i] = s.telling(c)
	}
	done, err := s.outbox.turns(ctx, names...)
	if err != nil {
		for i := range failures {
			failures[i] = failed(doing, err)
		}
		return answers, failures
	}
	defer done()
	answers, failures = s.evalAll(ctx, client, doing, telling)
	for _, a := range answers {
		s.outbox.add(a.told...)
	}
	return answers, failures
}

// telling is a call with the stream for its events, and how long that may be.
// In a Cluster there is none: the script answers them. c is not used otherwise.
func (s *Store) telling(c call) call {
	if s.outbox != nil {
		c.args = append(c.args, "")
		return c
	}
	c.keys = append(c.keys, s.keys.Events())
	c.args = append(c.args, strconv.Itoa(s.opts.Events))
	return c
}

// eventValues is how many values make an event, as scripts have it.
const eventValues = 7

// readTold reads the events and the commands that a script left.
func readTold(list rueidis.RedisMessage) (told, left [][]string, err error) {
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
			left = append(left, values[1:])
		case len(values) == eventValues:
			told = append(told, values)
		default:
			return nil, nil, errors.New("half an event")
		}
	}
	return told, left, nil
}

// sendEvents adds events to the stream, if there is one. lost says that there
// were others before them, which nobody will be told of.
func (s *Store) sendEvents(ctx context.Context, events [][]string, lost bool) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	ctx, cancel := s.limited(ctx)
	defer cancel()
	args := make([]string, 0, 3+eventValues*len(events))
	args = append(args, millis(time.UnixMilli(0)), flag(lost))
	for _, event := range events {
		args = append(args, event...)
	}
	_, err = s.eval(ctx, client, "telling of changes", call{script: tellScript, keys: []string{s.keys.Events()}, args: append(args, strconv.Itoa(s.opts.Events))})
	return err
}

// escaped is a text as JSON has it, without its quotes.
func escaped(text string) string {
	quoted, _ := json.Marshal(text) // never fails
	return string(quoted[1 : len(quoted)-1])
}

// unescaped is the reverse of escaped.
func unescaped(text string) string {
	var out string
	_ = json.Unmarshal([]byte(`"`+text+`"`), &out) // what is no text is empty
	return out
}
