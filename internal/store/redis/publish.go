package redis

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"session-api/internal/store/redis/lua"
)

// change runs a script that changes a session, and publishes its events.
func (s *Store) change(ctx context.Context, client rueidis.Client, doing string, c lua.Call) (lua.Answer, error) {
	done, err := s.events.lockKeys(ctx, c.Keys[0])
	if err != nil {
		return lua.Answer{}, failed(doing, err)
	}
	defer done()
	a, err := s.eval(ctx, client, doing, s.withStream(c))
	s.events.add(a.Events...)
	return a, err
}

// changeAll is change for several sessions, in one round trip.
func (s *Store) changeAll(ctx context.Context, client rueidis.Client, doing string, calls []lua.Call) (answers []lua.Answer, failures []error) {
	answers, failures = make([]lua.Answer, len(calls)), make([]error, len(calls))
	names := make([]string, len(calls))
	withStream := make([]lua.Call, len(calls))
	for i, c := range calls {
		names[i] = c.Keys[0]
		withStream[i] = s.withStream(c)
	}
	done, err := s.events.lockKeys(ctx, names...)
	if err != nil {
		for i := range failures {
			failures[i] = failed(doing, err)
		}
		return answers, failures
	}
	defer done()
	answers, failures = s.evalAll(ctx, client, doing, withStream)
	for _, a := range answers {
		s.events.add(a.Events...)
	}
	return answers, failures
}

// withStream is a call with the stream for its events, and how long that may be.
// In a Cluster there is none: the script answers them. c is not used otherwise.
func (s *Store) withStream(c lua.Call) lua.Call {
	if s.events != nil {
		c.Args = append(c.Args, "")
		return c
	}
	c.Keys = append(c.Keys, s.keys.Events())
	c.Args = append(c.Args, strconv.Itoa(s.opts.Events))
	return c
}

// publishEvents adds events to the stream, if there is one. lost says that there
// were others before them, which are lost.
func (s *Store) publishEvents(ctx context.Context, events [][]string, lost bool) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	ctx, cancel := s.conn.WithTimeout(ctx)
	defer cancel()
	args := make([]string, 0, 3+lua.EventValues*len(events))
	args = append(args, millis(time.UnixMilli(0)), flag(lost))
	for _, event := range events {
		args = append(args, event...)
	}
	_, err = s.eval(ctx, client, "telling of changes", lua.Call{Script: lua.PublishEvents, Keys: []string{s.keys.Events()}, Args: append(args, strconv.Itoa(s.opts.Events))})
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
