package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// ask sends one request and returns what comes back, which must have the
// status. lines are header lines.
func (l *lab) ask(ctx context.Context, addr, method, path, body string, status int, lines ...string) (answer, error) {
	return askWith(ctx, l.client, addr, method, path, body, status, lines...)
}

// askWith is ask with another client.
func askWith(ctx context.Context, client *http.Client, addr, method, path, body string, status int, lines ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
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
func (l *lab) try(ctx context.Context, addr string, r *row, c caller, n int) (answer, error) {
	return l.ask(ctx, addr, r.method, cmp.Or(c.path, r.path), step(r.body, n), r.status, append(lines(r.header), c.header)...)
}

// firstStep is the first of the numbers of requests and sessions.
const firstStep = 100_000_000

// step puts a number into a body, of as many digits as load.lua puts there.
func step(body string, n int) string {
	return strings.Replace(body, stepMark, strconv.Itoa(firstStep+n), 1)
}

// lines returns headers as lines.
func lines(header map[string]string) []string {
	list := make([]string, 0, len(header)+1)
	for name, value := range header {
		list = append(list, name+": "+value)
	}
	return list
}
