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

// do sends one request and returns what comes back, which must have the
// status. lines are header lines.
func (l *harness) do(ctx context.Context, addr, method, path, body string, status int, lines ...string) (response, error) {
	return doWith(ctx, l.client, addr, method, path, body, status, lines...)
}

// doWith is ask with another client.
func doWith(ctx context.Context, client *http.Client, addr, method, path, body string, status int, lines ...string) (response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return response{}, err
	}
	content, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return response{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode != status {
		return response{}, fmt.Errorf("%s %s: %s in place of %d: %s", method, path, resp.Status, status, content)
	}
	resp.Header.Del("Date") // net/http sets its own
	return response{Status: resp.StatusCode, Header: resp.Header, Body: content}, nil
}

// doCaller sends one request of the row's load; n is its number.
func (l *harness) doCaller(ctx context.Context, addr string, r *row, c caller, n int) (response, error) {
	return l.do(ctx, addr, r.method, cmp.Or(c.path, r.path), numberedBody(r.body, n), r.status, append(headerLines(r.header), c.header)...)
}

// firstNumber is the first of the numbers of requests and sessions.
const firstNumber = 100_000_000

// numberedBody puts a number into a body, of as many digits as load.lua puts there.
func numberedBody(body string, n int) string {
	return strings.Replace(body, numberMark, strconv.Itoa(firstNumber+n), 1)
}

// headerLines returns headers as lines.
func headerLines(header map[string]string) []string {
	list := make([]string, 0, len(header)+1)
	for name, value := range header {
		list = append(list, name+": "+value)
	}
	return list
}
