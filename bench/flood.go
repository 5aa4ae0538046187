package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// floodRate is how many sessions strangers make in a second, and floodClients
	// how many do so at a time.
	floodRate    = thousand
	floodClients = 16
	// floodCap is how many sessions the store holds in those rows: it is full when
	// they begin.
	floodCap = 20 * thousand
	// fillClients make them so.
	fillClients = 16
)

// atCap: the store is full of sessions, and has a reserve for those with a user.
var atCap = map[string]string{"ACCESS_LOG": "errors", "SESSION_MAX_ENTRIES": fmt.Sprint(floodCap)}

// strangersBody makes a session of nobody.
var strangersBody = `{"inputs":{"text":"` + strings.Repeat("x", 800) + `"}}`

// quiet is the row's service, as full, while nobody floods it.
var quiet = yardstick{name: "no flood", start: startQuiet}

func startQuiet(_ context.Context, _ *lab, r *row, s *subject) (side, error) {
	return &acting{subject: s, act: r.act}, nil
}

// prepareFlood fills the store.
func prepareFlood(ctx context.Context, l *lab, r *row, s *subject) (side, error) {
	l.say("%s: filling the store", r.name)
	strangers := l.strangers(fillClients)
	defer strangers.CloseIdleConnections()
	var left atomic.Int64
	left.Store(floodCap)
	var work sync.WaitGroup
	failed := make([]error, fillClients)
	for w := range fillClients {
		work.Go(func() {
			for left.Add(-1) >= 0 && failed[w] == nil {
				failed[w] = create(ctx, strangers, s.server.addr)
			}
		})
	}
	work.Wait()
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	return &flooded{acting{subject: s, act: r.act}}, nil
}

// strangers is a client for so many of them at a time.
func (l *lab) strangers(count int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: count}, Timeout: l.client.Timeout}
}

// create makes one session of nobody.
func create(ctx context.Context, client *http.Client, addr string) error {
	_, err := askWith(ctx, client, addr, http.MethodPost, sessionPath, strangersBody, http.StatusCreated, lines(asJSON)...)
	return err
}

// act does something as somebody who is signed in, or signs in, and returns how
// long that took; what comes before and after it does not count.
type act func(ctx context.Context, l *lab, s *subject, n int) (time.Duration, error)

// timed sends the request that an act is about.
func (l *lab) timed(ctx context.Context, addr, method, path, body string, status int, lines ...string) (answer, time.Duration, error) {
	began := time.Now()
	a, err := l.ask(ctx, addr, method, path, body, status, lines...)
	return a, time.Since(began), err
}

// readOwn reads a session that has a user.
func readOwn(ctx context.Context, l *lab, s *subject, n int) (time.Duration, error) {
	_, took, err := l.timed(ctx, s.server.addr, http.MethodGet, sessionPath, "", http.StatusOK, s.callers[n%len(s.callers)].header)
	return took, err
}

// signIn makes a stranger's session that of a user, as a service does it.
func signIn(ctx context.Context, l *lab, s *subject, n int) (time.Duration, error) {
	token := serviceToken(l, nil)[0].header
	made, err := l.ask(ctx, s.server.addr, http.MethodPost, sessionPath, strangersBody, http.StatusCreated, lines(asJSON)...)
	if err != nil {
		return 0, err
	}
	var was struct{ ID string }
	if err := json.Unmarshal(made.Body, &was); err != nil {
		return 0, err
	}
	user := fmt.Sprintf(`{"user":{"id":"flood-%d"}}`, n)
	a, took, err := l.timed(ctx, s.server.addr, http.MethodPost, listPath+"/"+was.ID+"/regenerate", user, http.StatusOK,
		append(lines(asJSON), token)...)
	if err != nil {
		return 0, err
	}
	var is struct{ Session struct{ ID string } }
	if err := json.Unmarshal(a.Body, &is); err != nil {
		return 0, err
	}
	_, err = l.ask(ctx, s.server.addr, http.MethodDelete, listPath+"/"+is.Session.ID, "", http.StatusNoContent, token)
	return took, err
}

// endOwn ends a session that has a user.
func endOwn(ctx context.Context, l *lab, s *subject, n int) (time.Duration, error) {
	token := serviceToken(l, nil)[0].header
	made, err := l.ask(ctx, s.server.addr, http.MethodPost, sessionPath, step(sessionBody, n), http.StatusCreated,
		append(lines(asJSON), token)...)
	if err != nil {
		return 0, err
	}
	cookie, _, _ := strings.Cut(made.Header.Get("Set-Cookie"), ";")
	_, took, err := l.timed(ctx, s.server.addr, http.MethodDelete, sessionPath, "", http.StatusNoContent, "Cookie: "+cookie)
	return took, err
}

// acting is somebody who does one act after the other.
type acting struct {
	*subject
	act   act
	count int
}

// stop implements side: the service is the row's.
func (*acting) stop() {}

// take implements side.
func (a *acting) take(ctx context.Context, l *lab, length time.Duration, _ int) (t turn, requests int64, err error) {
	var took []float64
	for began := time.Now(); time.Since(began) < length; a.count++ {
		d, err := a.act(ctx, l, a.subject, a.count)
		if err != nil {
			return turn{}, 0, err
		}
		took = append(took, float64(d.Microseconds())/1e3)
	}
	slices.Sort(took)
	at := func(p float64) float64 { return took[int(float64(len(took)-1)*p)] }
	return turn{p50: at(0.5), p99: at(0.99), p999: at(0.999)}, int64(len(took)), nil
}

// flooded is that while strangers flood the store.
type flooded struct{ acting }

// take implements side. The flood has to be one: a quarter of what is to be made in
// the turn is, on however busy a machine, and as good as each of those pushes out another.
func (f *flooded) take(ctx context.Context, l *lab, length time.Duration, round int) (t turn, requests int64, err error) {
	before, err := l.counters(ctx, f.server)
	if err != nil {
		return turn{}, 0, err
	}
	flood := l.flood(ctx, f.server.addr)
	t, requests, err = f.acting.take(ctx, l, length, round)
	made, failed := flood()
	if err := errors.Join(err, failed); err != nil {
		return turn{}, 0, err
	}
	after, err := l.counters(ctx, f.server)
	if err != nil {
		return turn{}, 0, err
	}
	evicted := `session_api_store_evictions_total{store="memory"}`
	if n := after.metrics[evicted] - before.metrics[evicted]; n < 0.9*float64(made) {
		return turn{}, 0, fmt.Errorf("%d sessions of the flood have pushed out %.0f", made, n)
	}
	if least := int64(length.Seconds() * floodRate / 4); made < least {
		return turn{}, 0, fmt.Errorf("the flood made %d sessions, in place of %d at least", made, least)
	}
	return t, requests, nil
}

// flood has strangers make sessions until it is told to end, which says how many
// they made.
func (l *lab) flood(ctx context.Context, addr string) (end func() (made int64, err error)) {
	ctx, enough := context.WithCancel(ctx)
	strangers := l.strangers(floodClients)
	var count atomic.Int64
	var work sync.WaitGroup
	failed := make([]error, floodClients)
	for w := range floodClients {
		work.Go(func() {
			tick := time.NewTicker(time.Second * floodClients / floodRate)
			defer tick.Stop()
			for failed[w] == nil {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				// Without its end: what was sent is counted.
				if failed[w] = create(context.WithoutCancel(ctx), strangers, addr); failed[w] == nil {
					count.Add(1)
				}
			}
		})
	}
	return func() (int64, error) {
		enough()
		work.Wait()
		strangers.CloseIdleConnections()
		return count.Load(), errors.Join(failed...)
	}
}
