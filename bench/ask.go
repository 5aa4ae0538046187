package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// ask sends one request and returns what comes back, which must have the
// status. lines are header lines.
func (l *lab) ask(ctx context.Context, addr, method, path, body string, status int, lines ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	content, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode != status {
		return answer{}, fmt.Errorf("%s %s: %s in place of %d: %s", method, path, resp.Status, status, content)
	}
	resp.Header.Del("Date") // net/http sets its own
	return answer{Status: resp.StatusCode, Header: resp.Header, Body: content}, nil
}

// try sends one request of the row's load; n is its number.
func (l *lab) try(ctx context.Context, addr string, r *row, caller string, n int) (answer, error) {
	return l.ask(ctx, addr, r.method, r.path, step(r.body, n), r.status, append(lines(r.header), caller)...)
}

// step puts a number into a body, of as many digits as load.lua puts there.
func step(body string, n int) string {
	return strings.Replace(body, stepMark, strconv.Itoa(100_000_000+n), 1)
}

// lines returns headers as lines.
func lines(header map[string]string) []string {
	list := make([]string, 0, len(header)+1)
	for name, value := range header {
		list = append(list, name+": "+value)
	}
	return list
}

// seeders is how many requests make sessions at a time.
const seeders = 32

// seed makes sessions and returns the cookies of some of them, evenly spread.
func (l *lab) seed(ctx context.Context, addr string, count int) ([]string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	every := max(1, count/maxCallers)
	cookies := make([]string, (count+every-1)/every)
	var next atomic.Int64
	var work sync.WaitGroup
	for range seeders {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < count && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				cookie, err := l.create(ctx, addr, i)
				if err != nil {
					cancel(err)
					return
				}
				if i%every == 0 {
					cookies[i/every] = cookie
				}
			}
		})
	}
	work.Wait()
	return cookies, context.Cause(ctx)
}

// create makes a session and returns its cookie.
func (l *lab) create(ctx context.Context, addr string, n int) (string, error) {
	a, err := l.ask(ctx, addr, http.MethodPost, "/api/session", step(sessionBody, n), http.StatusCreated,
		append(lines(asJSON), serviceToken(l, nil)...)...)
	if err != nil {
		return "", fmt.Errorf("making a session: %w", err)
	}
	cookie, _, found := strings.Cut(a.Header.Get("Set-Cookie"), ";")
	if !found {
		return "", fmt.Errorf("making a session: no cookie in %v", a.Header)
	}
	return cookie, nil
}
