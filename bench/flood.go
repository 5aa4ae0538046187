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
	// floodRate is the number of sessions that visitors create in a second, and
	// floodClients the number of clients that do so.
	floodRate    = thousand
	floodClients = 16
	// floodCap is the capacity of the store in those rows: it is full from the start.
	floodCap = 20 * thousand
	// fillClients is the number of clients that fill the store.
	fillClients = 16
)

// atCap gives the store a capacity that is reached, with a reserve for users.
var atCap = map[string]string{"ACCESS_LOG": "errors", "SESSION_MAX_ENTRIES": fmt.Sprint(floodCap)}

// anonymousBody creates a session without a user.
var anonymousBody = `{"inputs":{"text":"` + strings.Repeat("x", 800) + `"}}`

// noFlood is the row's service, full as well, without a flood.
var noFlood = yardstick{name: "no flood", start: startNoFlood}

func startNoFlood(_ context.Context, _ *harness, r *row, s *serviceUnderTest) (contender, error) {
	return &actionLoad{serviceUnderTest: s, act: r.act}, nil
}

// prepareFlood fills the store.
func prepareFlood(ctx context.Context, l *harness, r *row, s *serviceUnderTest) (contender, error) {
	l.logf("%s: filling the store", r.name)
	strangers := l.anonymousClient(fillClients)
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
	return &floodedLoad{actionLoad{serviceUnderTest: s, act: r.act}}, nil
}

// anonymousClient returns an HTTP client for count concurrent requests.
func (l *harness) anonymousClient(count int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: count}, Timeout: l.client.Timeout}
}

// create creates a session without a user.
func create(ctx context.Context, client *http.Client, addr string) error {
	_, err := doWith(ctx, client, addr, http.MethodPost, sessionPath, anonymousBody, http.StatusCreated, headerLines(asJSON)...)
	return err
}

// action performs a request of a signed-in visitor, or a sign-in, and returns its
// latency, without the requests before and after it.
type action func(ctx context.Context, l *harness, s *serviceUnderTest, n int) (time.Duration, error)

// timed sends a request and returns its latency.
func (l *harness) timed(ctx context.Context, addr, method, path, body string, status int, lines ...string) (response, time.Duration, error) {
	began := time.Now()
	a, err := l.do(ctx, addr, method, path, body, status, lines...)
	return a, time.Since(began), err
}

// readOwn reads the session of a user.
func readOwn(ctx context.Context, l *harness, s *serviceUnderTest, n int) (time.Duration, error) {
	_, took, err := l.timed(ctx, s.server.addr, http.MethodGet, sessionPath, "", http.StatusOK, s.callers[n%len(s.callers)].header)
	return took, err
}

// signIn signs a visitor in, as a service does.
func signIn(ctx context.Context, l *harness, s *serviceUnderTest, n int) (time.Duration, error) {
	token := serviceToken(l, nil)[0].header
	made, err := l.do(ctx, s.server.addr, http.MethodPost, sessionPath, anonymousBody, http.StatusCreated, headerLines(asJSON)...)
	if err != nil {
		return 0, err
	}
	var was struct{ ID string }
	if err := json.Unmarshal(made.Body, &was); err != nil {
		return 0, err
	}
	user := fmt.Sprintf(`{"user":{"id":"flood-%d"}}`, n)
	a, took, err := l.timed(ctx, s.server.addr, http.MethodPost, listPath+"/"+was.ID+"/regenerate", user, http.StatusOK,
		append(headerLines(asJSON), token)...)
	if err != nil {
		return 0, err
	}
	var is struct{ Session struct{ ID string } }
	if err := json.Unmarshal(a.Body, &is); err != nil {
		return 0, err
	}
	_, err = l.do(ctx, s.server.addr, http.MethodDelete, listPath+"/"+is.Session.ID, "", http.StatusNoContent, token)
	return took, err
}

// endOwn ends the session of a user.
func endOwn(ctx context.Context, l *harness, s *serviceUnderTest, n int) (time.Duration, error) {
	token := serviceToken(l, nil)[0].header
	made, err := l.do(ctx, s.server.addr, http.MethodPost, sessionPath, numberedBody(sessionBody, n), http.StatusCreated,
		append(headerLines(asJSON), token)...)
	if err != nil {
		return 0, err
	}
	cookie, _, _ := strings.Cut(made.Header.Get("Set-Cookie"), ";")
	_, took, err := l.timed(ctx, s.server.addr, http.MethodDelete, sessionPath, "", http.StatusNoContent, "Cookie: "+cookie)
	return took, err
}

// actionLoad performs one action after the other.
type actionLoad struct {
	*serviceUnderTest
	act   action
	count int
}

// stop implements contender. The row stops the service.
func (*actionLoad) stop() {}

// measure implements contender.
func (a *actionLoad) measure(ctx context.Context, l *harness, length time.Duration, _ int) (t sample, requests int64, err error) {
	var took []float64
	for began := time.Now(); time.Since(began) < length; a.count++ {
		d, err := a.act(ctx, l, a.serviceUnderTest, a.count)
		if err != nil {
			return sample{}, 0, err
		}
		took = append(took, float64(d.Microseconds())/1e3)
	}
	slices.Sort(took)
	at := func(p float64) float64 { return took[int(float64(len(took)-1)*p)] }
	return sample{p50: at(0.5), p99: at(0.99), p999: at(0.999)}, int64(len(took)), nil
}

// floodedLoad is an actionLoad during a flood.
type floodedLoad struct{ actionLoad }

// measure implements contender. It fails unless a quarter of the flood's sessions were
// created, on however busy a machine, and nearly each of them evicted another.
func (f *floodedLoad) measure(ctx context.Context, l *harness, length time.Duration, round int) (t sample, requests int64, err error) {
	before, err := l.counters(ctx, f.server)
	if err != nil {
		return sample{}, 0, err
	}
	flood := l.flood(ctx, f.server.addr, floodRate)
	t, requests, err = f.actionLoad.measure(ctx, l, length, round)
	made, failed := flood()
	if err := errors.Join(err, failed); err != nil {
		return sample{}, 0, err
	}
	after, err := l.counters(ctx, f.server)
	if err != nil {
		return sample{}, 0, err
	}
	evicted := `session_api_store_evictions_total{store="memory"}`
	if n := after.metrics[evicted] - before.metrics[evicted]; n < 0.9*float64(made) {
		return sample{}, 0, fmt.Errorf("%d sessions of the flood have pushed out %.0f", made, n)
	}
	return t, requests, enough(made, length, floodRate)
}

// enough returns an error unless a quarter of the sessions were made that are to be made
// at the rate.
func enough(made int64, length time.Duration, rate int) error {
	if least := int64(length.Seconds() * float64(rate) / 4); made < least {
		return fmt.Errorf("%d sessions were made meanwhile, in place of %d at least", made, least)
	}
	return nil
}

// flood creates sessions at a rate a second until end is called, which returns their
// number.
func (l *harness) flood(ctx context.Context, addr string, perSecond int) (end func() (made int64, err error)) {
	ctx, stop := context.WithCancel(ctx)
	strangers := l.anonymousClient(floodClients)
	var count atomic.Int64
	var work sync.WaitGroup
	failed := make([]error, floodClients)
	for w := range floodClients {
		work.Go(func() {
			tick := time.NewTicker(time.Second * floodClients / time.Duration(perSecond))
			defer tick.Stop()
			for failed[w] == nil {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				// Without cancellation, so that all that was sent is counted.
				if failed[w] = create(context.WithoutCancel(ctx), strangers, addr); failed[w] == nil {
					count.Add(1)
				}
			}
		})
	}
	return func() (int64, error) {
		stop()
		work.Wait()
		strangers.CloseIdleConnections()
		return count.Load(), errors.Join(failed...)
	}
}

const (
	// held is the number of sessions in the rows about a store that grows, and
	// growthRate how many are made there in a second.
	held       = 200 * thousand
	growthRate = 2 * thousand
)

// growingLoad is the load of the row while sessions are made.
type growingLoad struct{ *serviceUnderTest }

// prepareGrowth adds the sessions that are made to the load.
func prepareGrowth(_ context.Context, _ *harness, _ *row, s *serviceUnderTest) (contender, error) {
	return growingLoad{s}, nil
}

// growingThousand is a second instance of the service, with fewer sessions and as many
// that are made.
var growingThousand = yardstick{name: "the service with 1 thousand sessions, and as many more", start: startGrowingThousand}

func startGrowingThousand(ctx context.Context, l *harness, r *row, _ *serviceUnderTest) (contender, error) {
	same := *r
	same.sessions = thousand
	s, err := l.startRow(ctx, &same, "thousand")
	if err != nil {
		return nil, err
	}
	return growingLoad{s}, nil
}

// measure implements contender. The processor time of the sessions that are made is
// part of the sample's.
func (g growingLoad) measure(ctx context.Context, l *harness, length time.Duration, round int) (t sample, requests int64, err error) {
	flood := l.flood(ctx, g.server.addr, growthRate)
	t, requests, err = g.serviceUnderTest.measure(ctx, l, length, round)
	made, failed := flood()
	if err := errors.Join(err, failed); err != nil {
		return sample{}, 0, err
	}
	return t, requests, enough(made, length, growthRate)
}
